"""Events POSTed to an address, with the headers and the signature of Standard Webhooks 1.0.0."""

import base64
import hashlib
import hmac
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import IO
from urllib.parse import unquote, urlsplit, urlunsplit

from kuaihl.engines.sinks.cloud_event import MEDIA_TYPE
from kuaihl.engines.sinks.delivery import Gone, Refused, Unreachable
from kuaihl.engines.sinks.spool import LONGEST_WAIT, Waiting
from kuaihl.models.credentials import shown_source
from kuaihl.models.errors import UsageError, reason_of

_SHORTEST = 24  # bytes of a secret, as the standard has it
_LATER = {408, 425, 429}  # among the statuses of the 4xx, those that may pass


class Webhook:
    """A receiver at an http(s) address; user and password in it become basic authentication."""

    def __init__(self, url: str, *, secret: bytes | None = None, timeout: float = 10.0) -> None:
        """Raises UsageError for an address that is none; `timeout` in seconds is that of a connection and an answer."""
        self.name = shown_source(url)
        self._url, self._credentials = _split_address(url)
        self._secret, self._timeout = secret, timeout
        self._opener = urllib.request.build_opener(_NoRedirects)

    def send(self, waiting: Waiting) -> None:
        body = waiting.to_json().encode("utf-8", "replace")
        request = urllib.request.Request(self._url, body, self._headers(waiting.id, body), method="POST")
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                answer.read(1 << 12)
        except urllib.error.HTTPError as error:
            with error:
                raise _meaning(error) from error
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            words = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
            raise Unreachable(f"does not answer ({reason_of(words)})") from error

    def close(self) -> None:
        self._opener.close()

    def _headers(self, id: str, body: bytes) -> dict[str, str]:
        now = str(int(time.time()))
        headers = {"Content-Type": MEDIA_TYPE, "User-Agent": "kuaihl", "webhook-id": id, "webhook-timestamp": now}
        if self._credentials:
            headers["Authorization"] = f"Basic {self._credentials}"
        if self._secret is not None:
            headers["webhook-signature"] = sign(self._secret, id, now, body)
        return headers


def sign(secret: bytes, id: str, timestamp: str, body: bytes) -> str:
    """The header `webhook-signature` of a message: `v1,` and the HMAC-SHA256 in base 64."""
    mac = hmac.new(secret, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


def parse_secret(text: str) -> bytes:
    """The key of a secret: `whsec_` and base 64, or any other text as it is. Raises UsageError if it is too short."""
    text = text.strip()
    try:
        secret = base64.b64decode(text[6:], validate=True) if text.startswith("whsec_") else text.encode()
    except ValueError as error:
        raise UsageError("the secret for webhooks begins with whsec_ but is not base 64") from error
    if len(secret) < _SHORTEST:
        raise UsageError(
            f"the secret for webhooks has {len(secret)} bytes; the standard wants {_SHORTEST} or more, "
            "as `openssl rand -base64 32` prints them"
        )
    return secret


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Follow none, as CloudEvents' rules for webhooks have it: the event might reach somebody else."""


def _split_address(url: str) -> tuple[str, str]:
    """The address without user and password, and those for the header."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError
    except ValueError:
        raise UsageError("not an address of http:// or https://", setting="webhook", value=shown_source(url)) from None
    user, at, host = parts.netloc.rpartition("@")
    plain = urlunsplit((parts.scheme, host, parts.path or "/", parts.query, ""))
    if not at:
        return plain, ""
    name, _, password = user.partition(":")
    return plain, base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()


def _meaning(error: urllib.error.HTTPError) -> Exception:
    """What an answer other than success says about the event."""
    words = f"answers {error.code} {error.reason}".rstrip()
    if error.code == 410:
        return Gone(words)
    if error.code in _LATER or error.code >= 500:
        return Unreachable(words, _retry_after(error.headers.get("Retry-After")))
    if error.code < 400:
        return Refused(f"{words} and names another address, which is not followed; give the right one")
    return Refused(words)


def _retry_after(header: str | None) -> float:
    """Seconds to wait, from a number or a date; 0 if there is none."""
    if not header:
        return 0.0
    try:
        seconds = float(header) if header.strip().isdigit() else _seconds_until(header)
    except (ValueError, TypeError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _seconds_until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
