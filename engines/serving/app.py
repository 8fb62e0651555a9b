"""The HTTP API of a server: its routes, over the rooms and the hub (docs/serving.md)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from kuaihl.engines.archive.names import source_name
from kuaihl.engines.outputs.highlights_json import SCORE_DECIMALS, TIME_DECIMALS
from kuaihl.engines.serving.access import Allowed, Refused, check_source
from kuaihl.engines.serving.hub import Hub
from kuaihl.engines.serving.metrics import Metrics
from kuaihl.engines.serving.openapi import PAGE, document
from kuaihl.engines.serving.problems import Problem, problem, read_object
from kuaihl.engines.serving.room import Room
from kuaihl.engines.serving.room_spec import RoomSpec, id_of, is_unicode
from kuaihl.engines.serving.rooms import RoomExists, Rooms, TooManyRooms
from kuaihl.engines.serving.sse import stream_all, stream_room
from kuaihl.models.credentials import shown_source
from kuaihl.models.errors import SourceUnavailable, UsageError, reason_of

_MOST_LINES = 1_000  # of scores in one answer
_RETRY = "30"  # seconds after which a room that found no place may be tried again
_FIELDS = {"id": str, "url": str, "streamer": str, "language": str}
_MOST_CHARACTERS = 200  # of an id, a streamer or a language
_MOST_ADDED = 20  # rooms at a time: half of the threads, for a look-up of a name may take many seconds


@dataclass(frozen=True)
class Service:
    """What the routes work on."""

    rooms: Rooms
    hub: Hub
    metrics: Metrics
    allowed: Allowed
    check_language: Callable[[str | None], None]  # raises UsageError
    why_not_ready: Callable[[], str | None]


def make_app(service: Service, more: list[Route]) -> Starlette:
    """The application; `more` are the routes of hooks."""
    rooms, adding = service.rooms, asyncio.Semaphore(_MOST_ADDED)

    def room_of(request: Request) -> Room:
        room = rooms.get(id_of(request.path_params["id"]))
        if room is None:
            raise Problem(HTTPStatus.NOT_FOUND, "there is no such room")
        return room

    def list_rooms(request: Request) -> Response:
        return JSONResponse({"rooms": [describe(room) for room in rooms.all()]})

    async def add_room(request: Request) -> Response:
        spec = _spec_in(await read_object(request))
        async with adding:
            room, is_new = await run_in_threadpool(_add, service, spec)
        status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
        return JSONResponse(describe(room), int(status), headers={"Location": f"/rooms/{quote(room.spec.id)}"})

    def show_room(request: Request) -> Response:
        return JSONResponse(describe(room_of(request)))

    def remove_room(request: Request) -> Response:
        rooms.remove(room_of(request).spec.id)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def room_scores(request: Request) -> Response:
        room = room_of(request)
        after = _number_in(request, "after", -1, least=-1)
        most = min(_number_in(request, "limit", _MOST_LINES, least=1), _MOST_LINES)
        lines = room.scores(after, most)
        return JSONResponse({"room": room.spec.id, "broadcast": room.broadcast, "scores": lines})

    def all_scores(request: Request) -> Response:
        now = time.time()
        return JSONResponse({"time": round(now, TIME_DECIMALS), "scores": list(filter(None, (
            latest(room, now) for room in rooms.all())))})  # fmt: skip

    async def room_events(request: Request) -> Response:
        return stream_room(service.hub, room_of(request), request.headers.get("last-event-id"))

    async def all_events(request: Request) -> Response:
        return stream_all(service.hub, request.headers.get("last-event-id"))

    def metrics(request: Request) -> Response:
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(request: Request) -> Response:
        why = service.why_not_ready()
        return PlainTextResponse("ok") if why is None else problem(HTTPStatus.SERVICE_UNAVAILABLE, why)

    def openapi(request: Request) -> Response:
        return JSONResponse(document())

    def page(request: Request) -> Response:
        return HTMLResponse(PAGE, headers={"Content-Security-Policy": "default-src 'self' 'unsafe-inline'"})

    return Starlette(
        routes=[
            Route("/", page),
            Route("/openapi.json", openapi),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route("/scores", all_scores),
            Route("/events", all_events),
            Route("/rooms", list_rooms, methods=["GET"]),
            Route("/rooms", add_room, methods=["POST"]),
            Route("/rooms/{id}", show_room, methods=["GET"]),
            Route("/rooms/{id}", remove_room, methods=["DELETE"]),
            Route("/rooms/{id}/scores", room_scores),
            Route("/rooms/{id}/events", room_events),
            *more,
        ],
        exception_handlers={Problem: _answer_problem, HTTPException: _answer_http, Exception: _answer_unexpected},
    )


def describe(room: Room) -> dict[str, Any]:
    """A room as the API shows it; its URL without keys."""
    spec = room.spec
    return {
        "id": spec.id,
        "url": shown_source(spec.url),
        "state": room.state,
        "detail": room.detail,
        "since": round(room.since, TIME_DECIMALS),
        "origin": spec.origin,
        "streamer": spec.streamer,
        "language": spec.language,
        "broadcast": room.broadcast,
        "segment": None if room.last is None else room.last.segment,
    }


def latest(room: Room, now: float) -> dict[str, Any] | None:
    """What a recommender reads of a room: its last score, what it is about, and how old it is."""
    last = room.last
    if last is None or room.state != "live":
        return None
    return {
        "room": room.spec.id,
        "streamer": room.spec.streamer,
        "segment": last.segment,
        "score": round(last.score, SCORE_DECIMALS),
        "interest": None if last.interest is None else round(last.interest, SCORE_DECIMALS),
        "predicts_start": round(last.predicts_start, TIME_DECIMALS),
        "predicts_end": round(last.predicts_end, TIME_DECIMALS),
        "gap": last.gap,
        "age": round(max(now - last.wall_time, 0.0), TIME_DECIMALS),
    }


def _spec_in(said: dict[str, Any]) -> RoomSpec:
    """The room that a body asks for. Raises Problem."""
    for name, value in said.items():
        kind = _FIELDS.get(name)
        if kind is None:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name[:40]!r}: there are {', '.join(_FIELDS)}")
        if value is not None and not isinstance(value, kind):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}: give a text")
        if value is not None and not is_unicode(value):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}: give a text in Unicode, not half a character")
        if name != "url" and value is not None and not 0 < len(value) <= _MOST_CHARACTERS:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}: give 1 to {_MOST_CHARACTERS} characters")
    if not said.get("url"):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "url: give the address of the stream")
    url = said["url"]
    return RoomSpec(id_of(said.get("id") or source_name(url)), url, said.get("streamer"), said.get("language"))


def _add(service: Service, spec: RoomSpec) -> tuple[Room, bool]:
    """Add a room whose source is one of those that are read. Raises Problem."""
    try:
        service.check_language(spec.language)
    except UsageError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    try:
        check_source(spec.url, service.allowed)
        return service.rooms.add(spec)
    except Refused as error:
        raise Problem(HTTPStatus.FORBIDDEN, str(error)) from error
    except SourceUnavailable as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    except RoomExists as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from error
    except TooManyRooms as error:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), **{"Retry-After": _RETRY}) from error


def _number_in(request: Request, name: str, usual: int, least: int) -> int:
    """A whole number of the query. Raises Problem."""
    text = request.query_params.get(name)
    if text is None:
        return usual
    if not (text.removeprefix("-").isdecimal() and text.isascii() and len(text) < 12 and int(text) >= least):
        raise Problem(HTTPStatus.BAD_REQUEST, f"{name}: give a whole number from {least} up")
    return int(text)


async def _answer_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem(error.status, error.detail, error.headers)


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    return problem(HTTPStatus(error.status_code), str(error.detail), headers)


async def _answer_unexpected(request: Request, error: Exception) -> Response:
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, f"unexpected {type(error).__name__}: {reason_of(error)}")
