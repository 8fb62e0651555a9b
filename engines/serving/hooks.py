"""Hooks of media servers: a stream begins or ends, and so does its room.

Each is answered at once with what lets the publisher go on. What is wrong with the stream is found out later, on the
room's own thread: a hook that fails would disconnect the publisher.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kuaihl.engines.archive.names import path_name
from kuaihl.engines.archive.recorder_hooks import RECORDERS
from kuaihl.engines.serving.access import host_of
from kuaihl.engines.serving.problems import Problem, read_body
from kuaihl.engines.serving.room_spec import RoomSpec, is_unicode
from kuaihl.models.errors import KuaihlError, SourceError, UsageError

if TYPE_CHECKING:
    from kuaihl.engines.serving.recordings import Recordings
    from kuaihl.engines.serving.rooms import Rooms

_PLAIN = re.compile(r"[A-Za-z0-9._~@:+=,-]{1,200}", re.ASCII)
_FIELDS = ("app", "stream", "path", "vhost")


@dataclass(frozen=True)
class Stream:
    """A stream that a media server announces, and whether it is there."""

    app: str
    name: str
    is_there: bool
    vhost: str = ""


Reader = Callable[[bytes], Stream | None]


def check_template(template: str) -> str:
    """The host of a template for the URLs of streams. Raises UsageError if it cannot be used."""
    try:
        host = host_of(template)
        template.format(**dict.fromkeys(_FIELDS, "x"))
    except SourceError as error:
        raise UsageError(str(error), setting="pull", value=template) from error
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(
            f"its fields are {', '.join(f'{{{one}}}' for one in _FIELDS)}", setting="pull", value=template
        ) from error
    if "{stream}" not in template and "{path}" not in template:
        raise UsageError("names no stream; put {stream} or {path} into it", setting="pull", value=template)
    return host


def spec_of(stream: Stream, template: str) -> RoomSpec:
    """The room of a stream. Raises UsageError for a name that cannot be put into a URL."""
    parts = [part for part in (*stream.app.split("/"), *stream.name.split("/")) if part]
    if not parts or any(set(part) == {"."} for part in parts):
        raise UsageError(f"a stream called {stream.name!r} has no room; give it another name")
    if not all(map(is_unicode, (stream.app, stream.name, stream.vhost))):
        raise UsageError(f"a stream called {stream.name!a} has no room; its name, app or host is not Unicode")
    if not template.lower().startswith("http") and not all(map(_PLAIN.fullmatch, parts)):
        # RTMP and SRT do not decode a URL: the name would have to stand there as it is.
        raise UsageError(f"a stream called {stream.name!r} has no room; use letters and digits of ASCII")
    path = "/".join(quote(part, safe="") for part in parts)
    url = template.format(
        app=quote(stream.app, safe="/"),
        stream=quote(stream.name, safe="/" if "/" in stream.name else ""),
        path=path,
        vhost=quote(stream.vhost, safe=""),
    )
    return RoomSpec(path_name(parts), url, streamer=parts[-1], origin="hook")


def read_srs(body: bytes) -> Stream | None:
    """SRS's `on_publish` and `on_unpublish`."""
    said = json.loads(body)
    there = {"on_publish": True, "on_unpublish": False}.get(str(said["action"]))
    if there is None:
        return None
    return Stream(str(said["app"]), str(said["stream"]), there, str(said.get("vhost", "")))


def read_nginx_rtmp(body: bytes) -> Stream | None:
    """nginx-rtmp's `on_publish` and `on_publish_done`."""
    said = _read_form(body)
    there = {"publish": True, "publish_done": False}.get(said["call"])
    return None if there is None else Stream(said["app"], said["name"], there)


def read_mediamtx(body: bytes) -> Stream | None:
    """What MediaMTX's commands send for us: `event` is available or unavailable, `path` is MTX_PATH."""
    said = _read_form(body)
    there = {"available": True, "unavailable": False}.get(said["event"])
    return None if there is None else Stream("", said["path"], there)


def read_node_media_server(body: bytes) -> Stream | None:
    """node-media-server's `postPublish` and `donePublish`; it sends its other events to the same address."""
    said = json.loads(body)
    there = {"postPublish": True, "donePublish": False}.get(str(said["action"]))
    return None if there is None else Stream(str(said["app"]), str(said["name"]), there)


def _read_form(body: bytes) -> Mapping[str, str]:
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100))


READERS: dict[str, Reader] = {
    "srs": read_srs,
    "nginx-rtmp": read_nginx_rtmp,
    "mediamtx": read_mediamtx,
    "node-media-server": read_node_media_server,
}


def hook_routes(rooms: "Rooms", template: str, grace: float, report: Callable[[str], None]) -> list[Route]:
    """A route per media server; `grace` is how long a room outlives its publisher, in seconds."""

    def take(name: str, read: Reader, body: bytes) -> None:
        try:
            stream = read(body)
        except KeyError as error:
            report(f"a hook of {name} could not be read: it has no {error}")
            return
        except (ValueError, TypeError, RecursionError):
            report(f"a hook of {name} could not be read: its body is not what {name} sends")
            return
        if stream is None:
            return
        try:
            spec = spec_of(stream, template)
            if stream.is_there:
                rooms.add(spec)
            else:
                rooms.leave(spec.id, grace)
        except KuaihlError as error:
            report(f"a hook of {name}: {error}")

    def route(name: str, read: Reader) -> Route:
        async def answer(request: Request) -> Response:
            await run_in_threadpool(take, name, read, await read_body(request))
            return PlainTextResponse("0")

        return Route(f"/hooks/{name}", answer, methods=["POST"])

    return [route(name, read) for name, read in READERS.items()]


def recorder_routes(recordings: "Recordings") -> list[Route]:
    """A route per recorder whose webhook announces finished files. What cannot be kept is answered with an error."""

    def route(recorder: str) -> Route:
        async def answer(request: Request) -> Response:
            try:
                payload = json.loads(await read_body(request))
                await run_in_threadpool(recordings.announce, recorder, payload)
            except SourceError as error:
                raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from error
            except UsageError as error:  # the disk is full: the recorder may try again
                raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
            except (ValueError, RecursionError):
                raise Problem(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None
            return Response(status_code=HTTPStatus.NO_CONTENT)

        return Route(f"/hooks/{recorder}", answer, methods=["POST"])

    return [route(recorder) for recorder in RECORDERS]
