"""Who may call the API: those with the token; without one, programs on this machine but no page of a browser."""

import hmac
import ipaddress
from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from kuaihl.engines.serving.problems import problem

_OPEN = frozenset({"/healthz", "/readyz"})  # for probes, which know no token
_HOOKS = "/hooks/"  # media servers cannot send headers: they give the token in the query


class Gate:
    """The application behind its checks."""

    def __init__(self, app: ASGIApp, token: str | None, hosts: Collection[str]) -> None:
        """`hosts` are the names by which the server may be called without a token."""
        self._app, self._token, self._hosts = app, token, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
            return
        status, detail = refusal
        headers = {"WWW-Authenticate": 'Bearer realm="kuaihl"'} if status == HTTPStatus.UNAUTHORIZED else None
        await problem(status, detail, headers)(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[HTTPStatus, str] | None:
        headers, path = Headers(scope=scope), str(scope["path"])
        if path in _OPEN:
            return None
        if self._token is None:
            # A page of another site may reach this port through a browser, under a name of its own or none.
            host = headers.get("host", "")
            if _host_in(host) not in self._hosts:
                return HTTPStatus.FORBIDDEN, "call this server by its address: without a token no other name is served"
            if headers.get("origin", f"http://{host}") not in (f"http://{host}", f"https://{host}"):
                return HTTPStatus.FORBIDDEN, "pages of other sites may not call this server"
            return None
        given = _token_in(headers, path, scope["query_string"])
        if given is None:
            return (
                HTTPStatus.UNAUTHORIZED,
                "send the token: Authorization: Bearer …; a hook has ?token=… in its address",
            )
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return HTTPStatus.UNAUTHORIZED, "the token is wrong"
        return None


def _token_in(headers: Headers, path: str, query: bytes) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    if path.startswith(_HOOKS):
        return next(iter(parse_qs(query.decode("latin-1")).get("token", [])), None)
    return None


def _host_in(header: str) -> str:
    """The host of a Host header, without its port; empty if it is none."""
    try:
        return (urlsplit(f"//{header}").hostname or "").lower() if "@" not in header else ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can reach an address that a server binds to."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
