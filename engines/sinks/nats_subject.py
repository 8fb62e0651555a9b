"""Events on a subject of NATS that a JetStream stream keeps: the stream leaves out what it has had, by its id."""

import asyncio
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from kuaihl.engines.sinks.cloud_event import MEDIA_TYPE
from kuaihl.engines.sinks.delivery import Refused, Unreachable
from kuaihl.engines.sinks.spool import Waiting
from kuaihl.models.credentials import shown_source
from kuaihl.models.errors import UsageError, reason_of

if TYPE_CHECKING:
    from nats.aio.client import Client

SUBJECT = "kuaihl"  # unless the address has another one
_ALIVE_SECONDS = 1  # in which a server answers a ping; the client does not tell at once that a connection was closed


class NatsSubject:
    """A subject of a NATS server, whose streams and their limits are its operator's."""

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        """`url` is nats://HOST:PORT/SUBJECT, or tls://. Raises UsageError for anything else, or without the package."""
        _check_package()
        self.name = shown_source(url)
        self._address = _split_address(url)
        self._timeout = timeout
        self._runner = asyncio.Runner()  # its loop runs only while an event is sent
        self._client: Client | None = None

    def send(self, waiting: Waiting) -> None:
        from nats.errors import Error, MaxPayloadError
        from nats.js.errors import BadRequestError, NoStreamResponseError

        try:
            self._runner.run(self._publish(waiting))
        except MaxPayloadError as error:
            raise Refused(reason_of(error)) from error
        except NoStreamResponseError as error:
            raise Unreachable(f"no stream of JetStream has the subject {self._address.subject}") from error
        except BadRequestError as error:
            raise Refused(reason_of(error.description or error)) from error
        except (Error, OSError, TimeoutError) as error:
            raise Unreachable(f"does not take events ({reason_of(str(error) or type(error).__name__)})") from error

    def close(self) -> None:
        ending = threading.Thread(target=self._end)  # for the caller's thread may have a running loop
        ending.start()
        ending.join()

    def _end(self) -> None:
        self._runner.run(self._disconnect())
        self._runner.close()

    async def _publish(self, waiting: Waiting) -> None:
        from nats.js.api import Header

        client = await self._connected()
        await client.jetstream().publish(
            self._address.subject,
            waiting.to_json().encode("utf-8", "replace"),
            timeout=self._timeout,
            headers={Header.MSG_ID: waiting.id, "Content-Type": MEDIA_TYPE},
        )

    async def _connected(self) -> "Client":
        """The connection, made anew if the server has closed it since the last event."""
        from nats.aio.client import Client
        from nats.errors import Error

        if self._client is not None:
            try:
                await self._client.flush(timeout=_ALIVE_SECONDS)
                return self._client
            except (Error, OSError, TimeoutError):
                await self._disconnect()
        client, context = Client(), ssl.create_default_context() if self._address.is_encrypted else None
        try:
            await client.connect(
                self._address.server,
                tls=context,
                user=_told_in_private(self._address.user, context),
                password=_told_in_private(self._address.password, context),
                token=_told_in_private(self._address.token, context),
                name="kuaihl",
                allow_reconnect=False,
                connect_timeout=max(1, round(self._timeout)),
                error_cb=self._give_up,
            )
            _check_private(context)
        except BaseException:
            with suppress(Error, OSError):
                await client.close()  # a server that refuses us leaves the socket open
            raise
        self._client = client
        return client

    async def _give_up(self, error: Exception) -> None:
        """End a connect that fails: the client would try for two minutes, and the delivery tries again anyway."""
        if self._client is None:
            raise error

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _check_package() -> None:
    try:
        import nats.aio.client  # noqa: F401
    except ImportError as error:
        raise UsageError("needs a package that is not here: pip install 'kuaihl[nats]'", setting="nats") from error


def _told_in_private(word: str | None, context: ssl.SSLContext | None) -> "str | Callable[[], str] | None":
    """For the client, which leaves it to the server whether to encrypt, and asks for a word when it is to be sent."""
    if word is None or context is None:
        return word

    def tell() -> str:
        _check_private(context)
        return word

    return tell


def _check_private(context: ssl.SSLContext | None) -> None:
    """Raise an error of NATS if a connection was to be encrypted by `context`, and is not."""
    from nats.errors import Error

    if context is not None and not context.session_stats()["connect_good"]:
        raise Error("the server does not encrypt, as tls:// demands")


class _Address(NamedTuple):
    server: str  # without the login
    subject: str
    user: str | None = None
    password: str | None = None
    token: str | None = None

    @property
    def is_encrypted(self) -> bool:
        return self.server.startswith("tls:")


def _split_address(url: str) -> _Address:
    """Raises UsageError."""
    try:
        parts = urlsplit(url)
        subject = unquote(parts.path.removeprefix("/")) or SUBJECT
        if parts.scheme not in ("nats", "tls") or not parts.hostname or parts.port == 0 or not _is_subject(subject):
            raise ValueError
    except ValueError:
        words = "not nats://HOST:PORT/SUBJECT or tls://…, whose subject has no space, no wildcard and no empty part"
        raise UsageError(words, setting="nats", value=shown_source(url)) from None
    server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    if not parts.username:
        return _Address(server, subject)
    if parts.password is None:
        return _Address(server, subject, token=unquote(parts.username))
    return _Address(server, subject, unquote(parts.username), unquote(parts.password))


def _is_subject(text: str) -> bool:
    return text.isprintable() and not set(" */>") & set(text) and all(text.split("."))
