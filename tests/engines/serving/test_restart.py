"""A server that ends and starts again: every room comes back, and no line of scores is lost or there twice."""

import json
import multiprocessing
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.http_media import MediaServer, silent_server
from support.rtmp_server import make_broadcast, rtmp_server
from support.serving import serving
from support.waiting import wait_until

from kuaihl.engines.scoring.model import Model
from kuaihl.engines.serving.register import Register
from kuaihl.engines.serving.server import serve
from kuaihl.engines.serving.settings import ServeSettings
from kuaihl.models.errors import UsageError


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_rooms_come_back_and_go_on_where_they_were(model: Model, tmp_path: Path) -> None:
    with rtmp_server(tmp_path) as server:
        media = make_broadcast(tmp_path / "room.flv", seconds=30.0)
        for name in ("ann", "bob"):
            server.publish(media, name)
        folder = tmp_path / "rooms"
        with serving(model, folder) as client:
            for name in ("ann", "bob"):
                client.add(name, server.url(name))
            wait_until(lambda: min(len(client.scores("ann")), len(client.scores("bob"))) >= 2)
            before = {name: client.get(f"/rooms/{name}").json["broadcast"] for name in ("ann", "bob")}
        kept = {name: (folder / name / before[name] / "scores.jsonl").read_bytes() for name in before}
        time.sleep(1.5)
        with serving(model, folder) as client:
            wait_until(lambda: all(client.scores(name, after=text.count(b"\n") + 1) for name, text in kept.items()))
            assert {name: client.get(f"/rooms/{name}").json["broadcast"] for name in before} == before
        for name, text in kept.items():
            after = (folder / name / before[name] / "scores.jsonl").read_bytes()
            assert after.startswith(text)
            scores = [json.loads(line) for line in after.splitlines()]
            numbers = [one["segment"] for one in scores]
            assert numbers == sorted(set(numbers))
            went_on = scores[text.count(b"\n")]
            assert any("nobody was scoring it" in event["detail"] for event in went_on["events"])
            assert went_on["start"] == pytest.approx(2.0 * went_on["segment"])  # the clock went on, too


def test_a_room_whose_server_never_answers_holds_nobody_up(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path
) -> None:
    with silent_server() as port:
        with serving(model, tmp_path, rooms_per_reader=2) as client:
            client.add("silent", f"rtmp://127.0.0.1:{port}/live/x")
            client.add("ann", media.live("/ann.flv", flv, stall=True))
            wait_until(lambda: client.scores("ann"))
            began = time.monotonic()
        assert time.monotonic() - began < 6.0
        wait_until(lambda: "room silent: ended" in client.lines)
        assert not any(line.startswith("room silent: waiting") for line in client.lines)
    broadcast = next(path for path in (tmp_path / "ann").iterdir())
    assert (broadcast / "highlights.json").exists()
    assert not (tmp_path / "silent").exists()


def test_a_room_that_was_ended_stays_away(model: Model, media: MediaServer, flv: bytes, tmp_path: Path) -> None:
    with serving(model, tmp_path) as client:
        for name in ("ann", "bob"):
            client.add(name, media.live(f"/{name}.flv", flv, stall=True))
        wait_until(lambda: client.scores("ann") and client.scores("bob"))
        client.call("DELETE", "/rooms/ann")
    with serving(model, tmp_path) as client:
        assert [room["id"] for room in client.get("/rooms").json["rooms"]] == ["bob"]


def test_a_run_of_another_model_is_left_alone_and_another_one_begins(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path
) -> None:
    with serving(model, tmp_path) as client:
        client.add("ann", media.live("/ann.flv", flv, stall=True))
        wait_until(lambda: len(client.scores("ann")) >= 2)
        first = client.get("/rooms/ann").json["broadcast"]
    old = (tmp_path / "ann" / first / "scores.jsonl").read_bytes()
    other = replace(model, settings=replace(model.settings, segment_seconds=3.0))
    with serving(other, tmp_path) as client:
        wait_until(lambda: client.get("/rooms/ann").json["broadcast"] != first and client.scores("ann"))
        with client.follow("/rooms/ann/events", f"{first}/0/0") as events:
            told = [next(events).data for _ in range(2)]
        assert (told[0]["broadcast"], told[0]["data"]["segment"]) == (first, 1)  # the earlier one's end comes first
    assert (tmp_path / "ann" / first / "scores.jsonl").read_bytes() == old


def test_the_register_is_its_owners_alone_and_one_server_has_it(model: Model, tmp_path: Path) -> None:
    with serving(model, tmp_path) as client:
        client.add("ann", "rtmp://127.0.0.1:1/live/secret-key")
        folder = tmp_path / ".serve"
        assert folder.stat().st_mode & 0o777 == 0o700
        assert "secret-key" in (folder / "rooms.json").read_text(encoding="utf-8")
        assert "secret-key" not in client.get("/rooms").text
        with pytest.raises(UsageError, match="is writing into it"):
            serve(model, ServeSettings(output=tmp_path, port=0), threading.Event(), print)
        assert sum(thread.name == "kuaihl-see" for thread in threading.enumerate()) == 1  # the other's have ended


def test_a_register_of_another_version_is_refused_in_one_line(tmp_path: Path) -> None:
    register = Register(tmp_path)
    for text in ('{"version": 99, "rooms": []}', "{", '{"version": 1, "rooms": [{"room": {}}]}'):
        (tmp_path / ".serve" / "rooms.json").write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match="delete it"):
            register.read()
    register.close()


def test_a_port_that_is_taken_is_one_line(model: Model, tmp_path: Path) -> None:
    with (
        serving(model, tmp_path / "one") as client,
        pytest.raises(UsageError, match=f"127.0.0.1:{client.port}"),
    ):
        serve(model, ServeSettings(output=tmp_path / "two", port=client.port), threading.Event(), print)


def test_rooms_go_on_after_the_death_of_the_processes_that_read_them(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path
) -> None:
    with serving(model, tmp_path, rooms_per_reader=1) as client:
        for name in ("ann", "bob"):
            client.add(name, media.live(f"/{name}.flv", flv, stall=True))
        wait_until(lambda: all(len(client.scores(name)) >= 4 for name in ("ann", "bob")))
        kept = {name: (client.get(f"/rooms/{name}").json["broadcast"], client.scores(name)) for name in ("ann", "bob")}
        readers = multiprocessing.active_children()
        assert len(readers) == 2
        for reader in readers:
            reader.kill()
        for name, (broadcast, scores) in kept.items():
            wait_until(lambda name=name, last=scores[-1]["segment"]: client.scores(name, after=last))  # type: ignore[misc]
            assert client.get(f"/rooms/{name}").json["broadcast"] == broadcast
            assert client.scores(name)[: len(scores)] == scores
    assert not multiprocessing.active_children()
