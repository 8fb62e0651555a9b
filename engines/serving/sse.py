"""Server-sent events: what happens in the rooms, as a stream that a client takes up again where it left.

The events of one room are replayed from its run folder; those of all rooms from the last ones in memory.
"""

from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from kuaihl.engines.serving.hub import MOST_LISTENERS, Hub
from kuaihl.engines.serving.problems import problem
from kuaihl.engines.serving.room import Room
from kuaihl.engines.serving.room_events import Place, RoomEvent, broadcasts_since, parse_id, recorded_events

_HEARTBEAT = 15.0  # seconds of silence after which a comment keeps proxies from closing the connection
_BEGIN = "retry: 2000\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def stream_room(hub: Hub, room: Room, last_id: str | None) -> Response:
    """The events of a room, those behind `last_id` first."""
    return _too_many() if hub.is_full else _stream(_of_room(hub, room, last_id))


def stream_all(hub: Hub, last_id: str | None) -> Response:
    """The events of all rooms, those behind `last_id` first."""
    return _too_many() if hub.is_full else _stream(_of_all(hub, last_id))


def _read(folder: Path, room: str, after: Place | None) -> list[RoomEvent]:
    return list(recorded_events(folder, room, after))


def _stream(parts: AsyncIterator[str]) -> Response:
    return StreamingResponse(parts, media_type="text/event-stream", headers=_HEADERS)


def _too_many() -> Response:
    detail = f"{MOST_LISTENERS} clients listen already"
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "30"})


async def _of_room(hub: Hub, room: Room, last_id: str | None) -> AsyncIterator[str]:
    listener = hub.listen(room.spec.id)  # before the recorded ones are read, so that none is missed
    try:
        yield _BEGIN
        told = None if last_id is None else parse_id(last_id)
        if told is not None:
            for broadcast in await run_in_threadpool(broadcasts_since, room.home, room.folder, told[0]):
                after = told[1] if told[0] == broadcast.name else None
                replay = partial(_read, broadcast, room.spec.id, after)
                for event in await run_in_threadpool(replay):
                    told = event.broadcast, event.place
                    yield _words(event.id, event)
        while True:
            try:
                numbered = await listener.next(_HEARTBEAT)
            except TimeoutError:
                yield ":\n\n"
                continue
            if numbered is None:
                return
            event = numbered.event
            if told is not None and event.broadcast == told[0] and event.place <= told[1]:
                continue  # it was replayed
            told = event.broadcast, event.place
            yield _words(event.id, event)
    finally:
        hub.leave(listener)


async def _of_all(hub: Hub, last_id: str | None) -> AsyncIterator[str]:
    listener = hub.listen(None)
    try:
        yield _BEGIN
        missed, told = hub.since(last_id), 0
        if missed is None:
            yield "event: missed\ndata: {}\n\n"  # read /rooms/{id}/scores for what came between
        for numbered in missed or ():
            told = numbered.number
            yield _words(hub.id_of(numbered), numbered.event)
        while True:
            try:
                next_one = await listener.next(_HEARTBEAT)
            except TimeoutError:
                yield ":\n\n"
                continue
            if next_one is None:
                return
            if next_one.number > told:
                told = next_one.number
                yield _words(hub.id_of(next_one), next_one.event)
    finally:
        hub.leave(listener)


def _words(event_id: str, event: RoomEvent) -> str:
    return f"id: {event_id}\nevent: {event.kind}\ndata: {event.to_json()}\n\n"
