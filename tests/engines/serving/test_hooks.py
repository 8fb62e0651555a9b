"""Hooks of media servers: a stream that begins has a room at once, and one that ends is left after a while."""

import json
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.http_media import MediaServer, silent_server
from support.rtmp_server import HookedServer, end_publisher, make_broadcast
from support.serving import serving
from support.waiting import wait_until

from kuaihl.engines.scoring.model import Model
from kuaihl.engines.serving.hooks import (
    Stream,
    check_template,
    read_mediamtx,
    read_nginx_rtmp,
    read_node_media_server,
    read_srs,
    spec_of,
)
from kuaihl.models.errors import UsageError

TOKEN = "0123456789abcdef0123456789abcdef"
FORM = {"Content_Type": "application/x-www-form-urlencoded"}


def test_each_server_is_understood() -> None:
    srs = {
        "action": "on_publish", "client_id": "9308h583", "ip": "192.168.1.10", "vhost": "__defaultVhost__",
        "app": "live", "tcUrl": "rtmp://x/live", "stream": "ann", "param": "?key=secret", "server_id": "vid-1",
    }  # fmt: skip
    assert read_srs(json.dumps(srs).encode()) == Stream("live", "ann", True, "__defaultVhost__")
    assert read_srs(json.dumps(srs | {"action": "on_unpublish"}).encode()) == Stream(
        "live", "ann", False, "__defaultVhost__"
    )
    assert read_srs(json.dumps(srs | {"action": "on_play"}).encode()) is None
    nginx = b"app=live&flashver=FMLE%2F3.0&swfurl=&tcurl=rtmp%3A%2F%2Fx%2Flive&pageurl=&addr=127.0.0.1&clientid=1"
    assert read_nginx_rtmp(nginx + b"&call=publish&name=ann&type=live") == Stream("live", "ann", True)
    assert read_nginx_rtmp(nginx + b"&call=publish_done&name=ann") == Stream("live", "ann", False)
    assert read_nginx_rtmp(nginx + b"&call=play&name=ann") is None
    assert read_mediamtx(b"event=available&path=live%2Fann") == Stream("", "live/ann", True)
    node = {"id": "mwxzhax14nvjuhai", "ip": "127.0.0.1", "app": "live", "name": "ann", "query": {}, "protocol": "rtmp"}
    for action, stream in (("postPublish", Stream("live", "ann", True)), ("prePlay", None)):
        assert read_node_media_server(json.dumps(node | {"action": action}).encode()) == stream
    assert read_node_media_server(json.dumps(node | {"action": "donePublish"}).encode()) == Stream("live", "ann", False)


def test_a_template_says_where_a_stream_is_read() -> None:
    ann = spec_of(Stream("live", "ann", True), "rtmp://127.0.0.1:1935/{app}/{stream}")
    assert (ann.id, ann.url, ann.streamer) == ("live__ann", "rtmp://127.0.0.1:1935/live/ann", "ann")
    assert not ann.stays
    named = spec_of(Stream("", "live/ann", True), "http://media/{path}.flv")
    assert (named.id, named.url) == ("live__ann", "http://media/live/ann.flv")
    chinese = spec_of(Stream("live", "安?x=1", True), "http://media/{app}/{stream}.flv")
    assert chinese.url == "http://media/live/%E5%AE%89%3Fx%3D1.flv"


@pytest.mark.parametrize("name", ["", "..", "a/../../admin", "a b", "a?x", "安", "a\r\nb"])
def test_a_name_that_would_lead_elsewhere_has_no_room(name: str) -> None:
    with pytest.raises(UsageError):
        spec_of(Stream("live", name, True), "rtmp://media/{app}/{stream}") if name else spec_of(
            Stream("", "", True), "rtmp://media/{app}/{stream}"
        )


@pytest.mark.parametrize(
    "template",
    [
        "rtmp://media/live",
        "rtmp://media/{name}",
        "/x/{stream}",
        "rtmp://media/{stream",
        "rtmp://m/{stream.x}",
        "rtmp://m/{app[x]}",
    ],
)
def test_a_template_that_cannot_work_is_one_line(template: str) -> None:
    with pytest.raises(UsageError, match="pull"):
        check_template(template)


def test_srs_is_answered_with_0_whatever_becomes_of_the_room(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path
) -> None:
    media.live("/live/ann.flv", flv, stall=True)
    said = {"action": "on_publish", "app": "live", "stream": "ann", "vhost": "v"}
    pull, half = media.url("/{app}/{stream}.flv"), "\ud800"  # half a character
    with serving(model, tmp_path, pull=pull, allow_host=(), grace=0.2, most_rooms=1) as client:
        for body in (
            said,
            said,
            said | {"stream": "second"},
            said | {"stream": ".."},
            said | {"stream": half},
            said | {"vhost": half},
            {"action": 1},
            {"action": "on_publish"},
            [],
            "{",
        ):
            began = time.monotonic()
            answer = client.call("POST", "/hooks/srs", body if isinstance(body, str) else json.dumps(body))
            assert (answer.status, answer.text) == (200, "0")
            assert time.monotonic() - began < 1.0
        wait_until(lambda: client.scores("live__ann"))
        assert [room["id"] for room in client.get("/rooms").json["rooms"]] == ["live__ann"]
        unread = [line for line in client.lines if "could not be read" in line]
        assert unread[0] == "a hook of srs could not be read: it has no 'app'"
        assert unread[1:] == ["a hook of srs could not be read: its body is not what srs sends"] * 2
        client.call("POST", "/hooks/srs", json.dumps(said | {"action": "on_unpublish"}))
        wait_until(lambda: client.get("/rooms/live__ann").json["state"] == "ended")


def test_a_publisher_who_comes_back_in_time_keeps_the_room(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path
) -> None:
    media.live("/ann.flv", flv, stall=True)
    with serving(model, tmp_path, pull=media.url("/{path}.flv"), grace=1.0) as client:
        for event in ("available", "unavailable", "available"):
            client.call("POST", "/hooks/mediamtx", f"event={event}&path=ann", **FORM)
        time.sleep(1.3)
        assert client.get("/rooms/ann").json["state"] != "ended"
        broadcast = client.get("/rooms/ann").json["broadcast"]
        client.call("POST", "/hooks/mediamtx", "event=unavailable&path=ann", **FORM)
        wait_until(lambda: client.get("/rooms/ann").json["state"] == "ended")
        client.call("POST", "/hooks/mediamtx", "event=available&path=ann", **FORM)
        wait_until(lambda: client.get("/rooms/ann").json["broadcast"] not in (broadcast, None))


def test_a_publisher_who_comes_back_while_his_room_still_ends_has_another_one(model: Model, tmp_path: Path) -> None:
    brief = replace(model, settings=replace(model.settings, timeout=1.0))
    with silent_server() as port:
        pull = f"rtmp://127.0.0.1:{port}/{{path}}"
        with serving(brief, tmp_path, pull=pull, grace=0.1, most_rooms=1) as client:
            client.call("POST", "/hooks/mediamtx", "event=available&path=ann", **FORM)
            client.call("POST", "/hooks/mediamtx", "event=unavailable&path=ann", **FORM)
            time.sleep(0.3)
            assert client.get("/rooms/ann").json["state"] != "ended", "it waits for its server, and cannot end at once"
            client.call("POST", "/hooks/mediamtx", "event=available&path=ann", **FORM)
            threads = [one for one in threading.enumerate() if one.name == "kuaihl-room-ann"]
            threads[0].join(5.0)
            assert client.get("/rooms/ann").json["state"] != "ended"


def test_a_publisher_who_is_announced_while_a_broadcast_ends_has_another_one(
    model: Model, media: MediaServer, flv: bytes, tmp_path: Path
) -> None:
    media.live("/ann.flv", flv)  # the connection closes, and the address starts over
    with serving(model, tmp_path, pull=media.url("/{path}.flv")) as client:
        for _ in range(2):
            client.call("POST", "/hooks/mediamtx", "event=available&path=ann", **FORM)
        wait_until(lambda: client.get("/rooms/ann").json["state"] == "ended", "the end of the second one")
        assert len(list((tmp_path / "ann").glob("*/highlights.json"))) == 2


def test_rooms_of_nginx_rtmp_begin_and_end_with_their_publishers(model: Model, tmp_path: Path) -> None:
    from support.rtmp_server import free_port

    port = free_port()
    pull = f"rtmp://127.0.0.1:{port}/{{app}}/{{stream}}"
    with serving(model, tmp_path / "rooms", pull=pull, allow_host=(), grace=0.5, token=TOKEN) as client:
        server = HookedServer(tmp_path, f"http://127.0.0.1:{client.port}/hooks/nginx-rtmp?token={TOKEN}")
        server.port = port
        try:
            server.start()
            media = make_broadcast(tmp_path / "room.flv", seconds=30.0)
            publishers: dict[str, subprocess.Popen[bytes]] = {
                name: server.publish(media, name, "hooked") for name in ("ann", "bob")
            }
            wait_until(lambda: min(len(client.scores("hooked__ann")), len(client.scores("hooked__bob"))) >= 2)
            end_publisher(publishers["ann"])
            wait_until(lambda: client.get("/rooms/hooked__ann").json["state"] == "ended")
            assert publishers["bob"].poll() is None
            seen = len(client.scores("hooked__bob"))
            wait_until(lambda: len(client.scores("hooked__bob")) > seen)
            room: dict[str, Any] = client.get("/rooms/hooked__ann").json
            assert (tmp_path / "rooms" / "hooked__ann" / room["broadcast"] / "highlights.json").exists()
        finally:
            server.stop()
