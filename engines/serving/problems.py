"""Errors of the API: problem details as of RFC 9457, and the bounded reading of a request's body."""

import json
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MOST_BYTES = 64 << 10  # of a request's body


class ProblemResponse(JSONResponse):
    """An error as application/problem+json."""

    media_type = "application/problem+json"


class Problem(Exception):
    """An error that is answered with a status and one line."""

    def __init__(self, status: HTTPStatus, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


def problem(status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> Response:
    """The answer for an error; its type is none beyond the status."""
    content = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail}
    return ProblemResponse(content, int(status), headers=headers)


async def read_body(request: Request) -> bytes:
    """The body. Raises Problem if it is too large."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {MOST_BYTES} bytes")
    return body


async def read_object(request: Request) -> dict[str, Any]:
    """The body's JSON object. Raises Problem for anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
    try:
        found = json.loads(await read_body(request))
    except (ValueError, RecursionError):
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None
    if not isinstance(found, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is not a JSON object")
    return found
