"""The API as a program calls it: rooms come and go, and their scores are read or followed."""

import http.client
import json
import resource
import shutil
import socket
import threading
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from support.http_media import MediaServer
from support.serving import Client, serving
from support.small_model import SmallTranscriber, small_encoders
from support.waiting import wait_until

from kuaihl.engines.scoring.model import Model
from kuaihl.engines.serving.openapi import document
from kuaihl.engines.serving.room import Room
from kuaihl.engines.serving.room_events import recorded_events


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in folder.read_text(encoding="utf-8").splitlines()]


def test_rooms_come_are_scored_and_go(model: Model, media: MediaServer, flv: bytes, tmp_path: Path) -> None:
    with serving(model, tmp_path) as client:
        added = client.add("ann", media.live("/ann.flv?key=secret", flv, stall=True), streamer="ann")
        assert added.status == 201 and added.headers["location"] == "/rooms/ann"
        assert added.json["url"].endswith("/ann.flv")  # without its key
        client.add("bob", media.live("/bob.flv", flv, stall=True))
        wait_until(lambda: min(len(client.scores("ann")), len(client.scores("bob"))) >= 4)
        (room,) = (one for one in client.get("/rooms").json["rooms"] if one["id"] == "ann")
        assert (room["state"], room["origin"], room["streamer"]) == ("live", "api", "ann")
        folder = tmp_path / "ann" / room["broadcast"]
        scores, later = client.scores("ann"), client.scores("ann", after=1)  # the last segment may still come
        assert scores == lines_of(folder / "scores.jsonl")[: len(scores)]
        assert [one["segment"] for one in later] in ([2, 3], [2, 3, 4])
        assert len(client.get("/rooms/ann/scores?limit=2").json["scores"]) == 2

        assert client.call("DELETE", "/rooms/ann").status == 204
        assert [one["id"] for one in client.get("/rooms").json["rooms"]] == ["bob"]
        assert client.call("DELETE", "/rooms/ann").status == 404
        wait_until(lambda: (folder / "highlights.json").exists())
        assert client.get("/rooms/bob").json["state"] == "live"  # it is no business of the others
    assert lines_of(tmp_path / "bob" / next((tmp_path / "bob").iterdir()).name / "scores.jsonl")


def test_a_recommender_reads_the_last_score_of_every_live_room(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path
) -> None:
    with serving(model, tmp_path) as client:
        client.add("ann", media.live("/ann.flv", flv, stall=True), streamer="Ann")
        client.add("gone", media.url("/nothing.flv"))
        wait_until(lambda: len(client.scores("ann")) >= 4)
        (one,) = client.get("/scores").json["scores"]
        last = client.scores("ann", after=one["segment"] - 1)[0]  # another one may have come since
        assert {name: one[name] for name in ("segment", "score", "interest", "predicts_start", "predicts_end")} == {
            name: last[name] for name in ("segment", "score", "interest", "predicts_start", "predicts_end")
        }
        assert (one["room"], one["streamer"]) == ("ann", "Ann")
        assert one["age"] == pytest.approx(time.time() - last["wall_time"], abs=1.0)
        assert wait_until(lambda: client.get("/rooms/gone").json["detail"]).startswith("http://127.0.0.1")


def test_a_room_is_added_once_and_an_id_is_taken_once(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path
) -> None:
    url = media.live("/ann.flv", flv, stall=True)
    with serving(model, tmp_path, most_rooms=2) as client:
        assert [client.add("ann", url).status for _ in range(2)] == [201, 200]
        assert client.add("ann", media.url("/other.flv")).status == 409
        assert client.add("../../etc/ann", url).json["id"].startswith("etc_ann-")
        full = client.add("third", url)
        assert (full.status, full.headers["retry-after"]) == (503, "30")
    assert {path.name for path in tmp_path.iterdir()} <= {"ann", ".serve"} | {
        path.name for path in tmp_path.glob("etc_ann-*")
    }


def test_a_room_runs_though_the_register_cannot_be_written(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path
) -> None:
    register, url = tmp_path / ".serve" / "rooms.json", media.live("/ann.flv", flv, stall=True)
    fault = "after a restart other rooms would come back: "
    with serving(model, tmp_path, pull=media.url("/{path}.flv")) as client:
        (register / "in the way").mkdir(parents=True)  # as good as a full disk
        assert client.add("bob", url).status == 201
        assert client.call("POST", "/hooks/mediamtx", "event=available&path=ann").text == "0"
        wait_until(lambda: client.scores("ann") and client.scores("bob"))
        assert sum(line.startswith(fault) for line in client.lines) == 1
        shutil.rmtree(register)
        client.call("DELETE", "/rooms/bob")
        assert "the register is written again" in client.lines
        assert [one["room"]["id"] for one in json.loads(register.read_bytes())["rooms"]] == ["ann"]


def test_a_room_without_a_thread_is_none(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(room: Room) -> None:
        raise RuntimeError("can't start new thread")

    url = "rtmp://127.0.0.1:1/live/x"
    with serving(model, tmp_path, pull="rtmp://127.0.0.1:1/{path}") as client:
        with monkeypatch.context() as patch:
            patch.setattr(Room, "start", no_thread)
            assert (client.add("ann", url).status, client.get("/rooms/ann").status) == (503, 404)
            assert client.call("POST", "/hooks/mediamtx", "event=available&path=bob").text == "0"
        assert client.add("ann", url).status == 201
        assert [room["id"] for room in client.get("/rooms").json["rooms"]] == ["ann"]


def test_an_error_is_a_problem_that_says_what_to_do(model: Model, tmp_path: Path) -> None:
    with serving(model, tmp_path) as client:
        for answer, status, words in (
            (client.call("POST", "/rooms", b"{", Content_Type="application/json"), 400, "not JSON"),
            (client.call("POST", "/rooms", b"[" * 60_000, Content_Type="application/json"), 400, "not JSON"),
            (client.call("POST", "/rooms", b"url=x", Content_Type="text/plain"), 415, "application/json"),
            (client.call("POST", "/rooms", {"url": "x" * 70_000}), 413, "bytes"),
            (client.call("POST", "/rooms", {"id": "ann"}), 422, "url"),
            (client.call("POST", "/rooms", {"url": 7}), 422, "text"),
            (client.call("POST", "/rooms", {"url": "http://a/", "comments": "/etc/passwd"}), 422, "comments"),
            (client.call("POST", "/rooms", {"url": "http://no.invalid/x"}), 422, "no address"),
            (client.call("POST", "/rooms", {"url": "/etc/passwd"}), 403, "rtmp://"),
            (client.get("/rooms/nobody"), 404, "no such room"),
            (client.get("/nowhere"), 404, "Not Found"),
            (client.call("PUT", "/rooms", {}), 405, "Not Allowed"),
        ):
            assert answer.status == status, answer
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json["status"] == status and words in answer.json["detail"]


def test_an_id_may_have_letters_of_any_script(model: Model, tmp_path: Path) -> None:
    with serving(model, tmp_path) as client:
        for status in (201, 200):
            answer = client.add("主播", "rtmp://127.0.0.1:1/live/x", streamer="主播")
            assert (answer.status, answer.headers["location"]) == (status, "/rooms/%E4%B8%BB%E6%92%AD")
        assert client.get(answer.headers["location"]).json["id"] == "主播"


def test_half_a_character_is_refused_and_nobody_elses_answer_fails(model: Model, tmp_path: Path) -> None:
    with serving(model, tmp_path) as client:
        for field in ("id", "url", "streamer", "language"):
            answer = client.call("POST", "/rooms", {"url": "rtmp://127.0.0.1:1/live/x", field: "rtmp://a/\ud800"})
            assert answer.status == 422 and answer.json["detail"].startswith(f"{field}: ")
        assert client.call("POST", "/rooms", {"\ud800": "x"}).status == 422
        assert client.get("/rooms").json == {"rooms": []}


def test_a_language_that_nobody_can_transcribe_is_refused_at_once(model: Model, tmp_path: Path) -> None:
    hears = replace(model, encoders=small_encoders(transcriber=SmallTranscriber()))
    file = tmp_path / "rooms.yaml"
    file.write_text("rooms: [{id: bob, url: 'rtmp://127.0.0.1:1/live/bob', language: xx}]", encoding="utf-8")
    with serving(hears, tmp_path / "rooms", rooms_file=file) as client:
        answer = client.add("ann", "rtmp://127.0.0.1:1/live/ann", language="xx")
        assert answer.status == 422 and "does not know it" in answer.json["detail"]
        assert client.add("ann", "rtmp://127.0.0.1:1/live/ann", language="zh").status == 201
        assert any(line.startswith(f"{file}, bob: language 'xx'") for line in client.lines)
        assert client.get("/rooms/bob").status == 404
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("xx", "fr"), encoding="utf-8")
        wait_until(lambda: client.get("/rooms/bob").status == 200)
        file.write_text(text + "\n", encoding="utf-8")
        wait_until(lambda: sum(line.startswith(f"{file}, bob: language 'xx'") for line in client.lines) == 2)
        assert client.get("/rooms/bob").status == 200, "the room stays as it was"


def test_a_follower_that_comes_back_misses_nothing(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path
) -> None:
    patient = replace(model, settings=replace(model.settings, timeout=60.0))  # a stall does not end a room
    with serving(patient, tmp_path) as client, client.follow("/events") as live:
        client.add("ann", media.live("/ann.flv", flv, stall=True))
        told = [event.data for event in islice(live, 4)]
        with client.follow("/rooms/ann/events", told[0]["id"]) as events:
            replayed = list(islice(events, 3))
        assert [event.data for event in replayed] == told[1:]
        assert [event.id for event in replayed] == [event["id"] for event in told[1:]]

        with client.follow("/events") as events:
            client.add("bob", media.live("/bob.flv", flv, stall=True))
            first, second = islice((event for event in events if event.data["room"] == "bob"), 2)
            assert first.kind == "segment.scored"
        with client.follow("/events", first.id) as events:
            assert next(event for event in events if event.data["room"] == "bob") == second
        with client.follow("/events", "of-another-process") as events:
            assert next(events).kind == "missed"
        folder = tmp_path / "ann" / client.get("/rooms/ann").json["broadcast"]
        assert client.call("DELETE", "/rooms/ann").status == 204
        for event in live:
            if event.data["room"] == "ann":
                told.append(event.data)
            if event.kind == "run.finished":
                break
    assert told[-1]["data"]["why"] == "stopped before the source ended"
    ids = [event["id"] for event in told[:-1]]
    assert ids == [event.id for event in recorded_events(folder, "ann")]
    assert len(set(ids)) == len(ids)


def test_a_recording_ends_its_room(model: Model, media: MediaServer, flv: bytes, tmp_path: Path) -> None:
    with serving(model, tmp_path) as client:
        client.add("ann", media.live("/ann.flv", flv))  # the connection closes, and the address starts over
        room = wait_until(lambda: (one := client.get("/rooms/ann").json)["state"] == "ended" and one)
        assert (tmp_path / "ann" / room["broadcast"] / "highlights.json").exists()
        assert len(client.scores("ann")) == 6  # still there to read
        assert len(client.get("/rooms/ann/scores?after=1&limit=2").json["scores"]) == 2
        assert [client.get(f"/rooms/ann/scores?{query}").status for query in ("limit=0", "after=-2")] == [400, 400]
        assert client.get("/scores").json["scores"] == []
        assert client.add("ann", media.url("/later.flv")).status == 201  # the id is free, for a stream that is not yet
        assert client.get("/rooms/ann").json["broadcast"] is None
        with client.follow("/rooms/ann/events", f"{room['broadcast']}/4/0") as events:
            assert next(events).data["data"]["segment"] == 5  # what the follower missed of the earlier one


def test_metrics_and_probes_tell_how_it_goes(model: Model, media: MediaServer, flv: bytes, tmp_path: Path) -> None:
    with serving(model, tmp_path) as client:
        client.add("ann", media.live("/ann.flv", flv, stall=True))
        scored = wait_until(lambda: len(client.scores("ann")) >= 4 and len(client.scores("ann")))
        lines = client.get("/metrics").text.splitlines()
        assert 'kuaihl_rooms{state="live"} 1.0' in lines
        count = next(line for line in lines if line.startswith("kuaihl_segments_total "))
        assert float(count.split()[1]) >= scored
        for name in ('kuaihl_score{room="ann"}', "kuaihl_lag_seconds_bucket", 'kuaihl_queue_depth{stage="speech"}'):
            assert any(line.startswith(name) for line in lines), name
        for stage in ("vision", "text", "head"):
            assert any(line.startswith(f'kuaihl_stage_seconds_count{{stage="{stage}"}}') for line in lines)
        assert client.get("/readyz").text == "ok"


def test_a_client_that_takes_nothing_frees_its_place(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kuaihl.engines.serving.server._STALL_SECONDS", 1.0)
    monkeypatch.setattr("kuaihl.engines.serving.hub.MOST_LISTENERS", 1)
    with serving(model, tmp_path) as client, socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        stalled.connect(("127.0.0.1", client.port))
        stalled.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert stalled.recv(12) == b"HTTP/1.1 200"
        wait_until(lambda: is_refused(client))
        for number in range(6):
            client.add(f"r{number}", media.live(f"/{number}.flv", flv, stall=True))
        wait_until(lambda: not is_refused(client), "the place of the other one")


def is_refused(client: Client) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=20)
    connection.request("GET", "/events")
    try:
        return connection.getresponse().status == 503
    finally:
        connection.close()


def test_probes_are_answered_while_names_are_looked_up(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve, answered = socket.getaddrinfo, threading.Event()

    def resolve_slowly(host: str, *more: Any, **named: Any) -> Any:
        if host.endswith(".example"):
            answered.wait(20)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_slowly)
    urls = {f"r{number}": f"http://{number}.example/x" for number in range(60)}
    with serving(model, tmp_path) as client:
        adding = [threading.Thread(target=client.add, args=one) for one in urls.items()]
        for thread in adding:
            thread.start()
        try:
            wait_until(lambda: sum(one.name.startswith("AnyIO") for one in threading.enumerate()) >= 20)
            began = time.monotonic()
            for path in ("/healthz", "/readyz", "/rooms"):
                assert client.get(path).status == 200
            assert time.monotonic() - began < 5.0
        finally:
            answered.set()
        for thread in adding:
            thread.join()


def test_as_many_files_may_be_open_as_the_system_allows(model: Model, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        with serving(model, tmp_path):
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 65_536)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_document_names_every_route_and_the_page_needs_nothing_from_elsewhere(model: Model, tmp_path: Path) -> None:
    with serving(model, tmp_path) as client:
        assert client.get("/openapi.json").json == json.loads(json.dumps(document()))
        for path, calls in document()["paths"].items():
            for method in calls:
                body = {} if method == "post" else None
                if "events" not in path:
                    assert client.call(method.upper(), path.replace("{id}", "x"), body).status in (200, 404, 422)
        page = client.get("/").text
        assert "http://" not in page and "https://" not in page and "src=" not in page


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads as Linux shows them")
def test_a_room_takes_four_threads_and_no_library_adds_its_own(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path
) -> None:
    def threads_of_libraries() -> int:
        return len(list(Path("/proc/self/task").iterdir())) - threading.active_count()

    with serving(model, tmp_path) as client:
        before = threads_of_libraries()
        for number in range(8):
            client.add(f"r{number}", media.live(f"/{number}.flv", flv, stall=True))
        wait_until(lambda: all(len(client.scores(f"r{number}")) >= 4 for number in range(8)))
        assert threads_of_libraries() - before <= 2
        names = [thread.name for thread in threading.enumerate()]
        assert sum(name.startswith(("kuaihl-room", "kuaihl-stage", "frames")) for name in names) <= 8 * 4
