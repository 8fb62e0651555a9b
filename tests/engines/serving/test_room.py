"""One room by itself: what it shows of a broadcast, and how long it waits before it tries its source again."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
from support.http_media import MediaServer, begin_stream
from support.serving import make_house, serving
from support.waiting import wait_until

from kuaihl.engines.scoring.model import Model
from kuaihl.engines.scoring.reading import Reading, read_here
from kuaihl.engines.serving.room import Room
from kuaihl.engines.serving.room_spec import RoomSpec
from kuaihl.engines.types import Segment
from kuaihl.models.errors import SourceUnavailable


def test_a_broadcast_without_a_score_shows_none_of_the_last_one(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path
) -> None:
    connections = count()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        begin_stream(handler)
        if next(connections) < 2:  # the address starts over, which ends the first broadcast
            handler.wfile.write(flv)
            return
        handler.wfile.write(flv[: len(flv) // 8])  # less than a segment
        handler.wfile.flush()
        media.released.wait(60)

    media.answers["/ann.flv"] = answer
    with serving(model, tmp_path, pull=media.url("/{path}.flv")) as client:
        for _ in range(2):  # the second announces the second broadcast
            client.call("POST", "/hooks/mediamtx", "event=available&path=ann")
        first = wait_until(lambda: client.get("/rooms/ann").json["broadcast"])
        wait_until(lambda: client.scores("ann"))
        room = wait_until(
            lambda: (one := client.get("/rooms/ann").json)["state"] == "live" and one["broadcast"] != first and one
        )
        assert room["segment"] is None and client.scores("ann") == []
        assert client.get("/scores").json["scores"] == []
        assert 'kuaihl_score{room="ann"}' not in client.get("/metrics").text


def test_a_room_whose_reader_dies_waits_as_briefly_as_at_first(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = count()

    def open_reading(name: str, timeout: float, stop: threading.Event) -> Reading:
        number = next(tries)
        if number < 8:
            raise SourceUnavailable("nobody is on air")
        reading = read_here(name, timeout, stop)
        if number == 8:
            monkeypatch.setattr(reading, "segments", dying_after_two(reading))
        else:
            room.stop()
        return reading

    def dying_after_two(reading: Reading) -> Any:
        cut = reading.segments

        def segments(*asked: Any, **more: Any) -> Iterator[Segment]:
            yield from islice(cut(*asked, **more), 2)
            raise SourceUnavailable("the process that read it has died")

        return segments

    house = make_house(model, tmp_path, reader=lambda spec: open_reading)
    room = Room(RoomSpec("ann", media.live("/ann.flv", flv, stall=True)), house)
    waits: list[float] = []
    monkeypatch.setattr(room._stop, "wait", waits.append)
    room.start()
    wait_until(lambda: not room.is_alive)
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 0.5]
