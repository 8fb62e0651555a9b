"""A server that ends and starts again: every room comes back, and no line of scores is lost or there twice."""

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from support.http_media import MediaServer, silent_server
from support.rtmp_server import make_broadcast, rtmp_server
from support.serving import ServerSent, make_house, serving
from support.waiting import wait_until

from kuaihl.engines.scoring.model import Model
from kuaihl.engines.scoring.reading import read_here
from kuaihl.engines.serving.register import Register
from kuaihl.engines.serving.room_spec import RoomSpec
from kuaihl.engines.serving.rooms import Rooms, TooManyRooms
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


def test_a_broadcast_that_ended_while_no_server_ran_is_concluded(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kuaihl.engines.serving.room._AWAY", 1.0)
    rooms = {"ann": media.live("/ann.flv", flv, stall=True), "bob": media.live("/bob.flv", flv, stall=True)}
    pull, out = media.url("/{path}.flv"), tmp_path / "out"
    with serving(model, out, pull=pull) as client:
        client.call("POST", "/hooks/mediamtx", "event=available&path=ann")
        client.add("bob", rooms["bob"])
        wait_until(lambda: min(len(client.scores(name)) for name in rooms) >= 4)
        first = {name: client.get(f"/rooms/{name}").json["broadcast"] for name in rooms}
    on_air = {path: media.answers.pop(path) for path in ("/ann.flv", "/bob.flv")}
    with serving(model, out, pull=pull) as client:
        with client.follow("/events") as events:
            ended = {event.data["room"]: event.data for event in islice(only_ends(events), 2)}
        for name, broadcast in first.items():
            assert ended[name]["broadcast"] == broadcast and "not back within 1 s" in ended[name]["data"]["why"]
            said = json.loads((out / name / broadcast / "highlights.json").read_bytes())
            assert said["complete"] is False and "not back within" in said["why"]
        wait_until(lambda: client.get("/rooms/ann").json["state"] == "ended")  # its publisher is announced each time
        wait_until(lambda: client.get("/rooms/bob").json["state"] == "waiting")
        assert not any(line.endswith(": live") for line in client.lines)
        media.answers |= on_air
        client.call("POST", "/hooks/mediamtx", "event=available&path=ann")
        for name, broadcast in first.items():
            wait_until(lambda name=name: client.get(f"/rooms/{name}").json["state"] == "live")  # type: ignore[misc]
            assert client.get(f"/rooms/{name}").json["broadcast"] != broadcast


def only_ends(events: Iterator[ServerSent]) -> Iterator[ServerSent]:
    return (event for event in events if event.kind == "run.finished")


def test_a_room_of_a_hook_that_was_never_on_air_ends_after_a_restart(
    model: Model, media: MediaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kuaihl.engines.serving.room._AWAY", 0.5)
    with serving(model, tmp_path, pull=media.url("/{path}.flv")) as client:
        client.call("POST", "/hooks/mediamtx", "event=available&path=ann")
        wait_until(lambda: client.get("/rooms/ann").json["detail"])
        client.add("bob", media.url("/bob.flv"))
    with serving(model, tmp_path, pull=media.url("/{path}.flv")) as client:
        wait_until(lambda: client.get("/rooms/ann").json["state"] == "ended")
        assert client.get("/rooms/bob").json["state"] == "waiting"


def test_what_comes_and_goes_while_a_server_ends_is_known_to_the_next(model: Model, tmp_path: Path) -> None:
    rooms = Rooms(lambda note: make_house(model, tmp_path, lambda spec: read_here, note), tmp_path)
    for name in ("ann", "bob"):
        rooms.add(RoomSpec(name, f"rtmp://127.0.0.1:1/live/{name}"))
    rooms.stop()
    for late, origin in (("eve", "hook"), ("joe", "api")):  # a caller is answered 503, and knows
        with pytest.raises(TooManyRooms, match="the server is ending"):
            rooms.add(RoomSpec(late, f"rtmp://127.0.0.1:1/live/{late}", origin=origin))  # type: ignore[arg-type]
    rooms.remove("bob")
    assert rooms.join(10.0)
    rooms.close()
    rooms.remove("ann")  # too late: the folder may be another server's
    register = Register(tmp_path)
    assert [entry.spec.id for entry in register.read()] == ["ann", "eve"]
    register.close()


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
        ours = os.getpriority(os.PRIO_PROCESS, 0)
        priorities = {os.getpriority(os.PRIO_PROCESS, one.pid or 0) for one in readers}
        assert priorities == {min(ours + 4, 19)}  # the encoders go first
        for reader in readers:
            assert b"glibc.malloc.tcache_count=0" in Path(f"/proc/{reader.pid}/environ").read_bytes()
        assert "tcache_count" not in os.environ.get("GLIBC_TUNABLES", "")
        for reader in readers:
            reader.kill()
        for name, (broadcast, scores) in kept.items():
            wait_until(lambda name=name, last=scores[-1]["segment"]: client.scores(name, after=last))  # type: ignore[misc]
            assert client.get(f"/rooms/{name}").json["broadcast"] == broadcast
            assert client.scores(name)[: len(scores)] == scores
    assert not multiprocessing.active_children()
