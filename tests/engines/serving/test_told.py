"""A server tells programs what happens in its rooms, and what they missed once they are back."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from support.event_receiver import event_receiver
from support.http_media import MediaServer
from support.serving import serving
from support.waiting import wait_until

from kuaihl.engines.scoring.model import Model
from kuaihl.engines.serving import leftovers
from kuaihl.engines.sinks import json_lines
from kuaihl.engines.sinks.delivery import Retry
from kuaihl.engines.sinks.settings import SinkSettings


def test_a_program_is_told_of_every_room_by_its_id(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path
) -> None:
    with event_receiver() as receiver, serving(model, tmp_path, sinks=SinkSettings(webhooks=(receiver.url,))) as client:
        client.add("ann", media.live("/live.flv", flv))
        client.add("bob", media.live("/other/live.flv", flv))
        for room in ("ann", "bob"):
            wait_until(lambda room=room: len(client.scores(room)) >= 4, f"scores of {room}")
        told = receiver.wait_for(8)
    assert {one["data"]["room"] for one in told} == {"ann", "bob"}
    assert len({one["id"] for one in told}) == len(told)
    assert {one["source"] for one in told} == {"/kuaihl/rooms/ann", "/kuaihl/rooms/bob"}


def test_a_stalled_reader_of_standard_output_holds_up_no_room(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr(json_lines, "_STDOUT_DESCRIPTOR", writer)
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"\n" * 4096)
    os.set_blocking(writer, True)
    sinks = SinkSettings(events="-", patience=0.2)
    try:
        with serving(model, tmp_path, sinks=sinks) as client:
            client.add("ann", media.live("/live.flv", flv))
            wait_until(lambda: any("not delivered" in line for line in client.lines), "the end of the broadcast")
    finally:
        os.close(reader)  # whoever still writes ends
        with json_lines._PRINTING:
            os.close(writer)


def test_what_a_broadcast_could_not_tell_is_told_when_the_receiver_is_back(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_EVERY", 0.2)
    with event_receiver() as receiver:
        receiver.answers += [503] * 10_000
        sinks = SinkSettings(webhooks=(receiver.url,), patience=0.2, retry=Retry(first=0.05, longest=0.1))
        with serving(model, tmp_path, sinks=sinks) as client:
            client.add("ann", media.live("/live.flv", flv, stall=True))
            wait_until(lambda: len(client.scores("ann")) >= 4, "scores")
            assert client.call("DELETE", "/rooms/ann").status == 204
            wait_until(lambda: list(tmp_path.glob("ann/*/highlights.json")), "the end of the broadcast")
            tries = len(receiver.requests)
            wait_until(lambda: len(receiver.requests) >= tries + 12, "later tries")
            assert not receiver.taken
            assert sum("not delivered; " in line for line in client.lines) <= 2  # at the end, and once later
            receiver.answers.clear()
            wait_until(lambda: any(one["type"] == "kuaihl.run.finished" for one in receiver.taken), "the rest")
            wait_until(lambda: client.lines[-1].endswith("the events that were left are delivered"), "the good news")
    ids = [one["id"] for one in receiver.taken]
    assert len(set(ids)) == len(ids) and sum(one["type"] == "kuaihl.segment.scored" for one in receiver.taken) >= 4
