"""Events in a stream of a real Redis server."""

import json
from pathlib import Path

import pytest
from redis import Redis
from support.cloud_events import make_event
from support.ports import free_port
from support.redis_server import redis_server
from support.waiting import wait_until

from kuaihl.engines.sinks.delivery import Retry
from kuaihl.engines.sinks.redis_stream import RedisStream
from kuaihl.engines.sinks.settings import Sinks, SinkSettings
from kuaihl.engines.sinks.spool import Spool
from kuaihl.models.errors import UsageError


def settings(url: str) -> SinkSettings:
    return SinkSettings(redis=url, redis_stream="rooms", timeout=2.0, retry=Retry(first=0.01, longest=0.05))


def test_an_event_is_an_entry_with_its_id_type_source_and_whole(tmp_path: Path) -> None:
    with redis_server(tmp_path, free_port()) as url:
        with Sinks(settings(url), tmp_path / "run") as sinks:
            sinks(make_event(0, words="你好"))
            sinks(make_event(1))
        with Redis.from_url(url, decode_responses=True) as client:
            first, second = (fields for _, fields in client.xrange("rooms"))
    assert first["id"] == "room-r1-segment-scored-0"
    assert first["type"] == "kuaihl.segment.scored"
    assert first["source"] == "/kuaihl/rooms/room"
    assert json.loads(first["event"]) == make_event(0, words="你好").to_dict()
    assert json.loads(second["event"])["data"]["segment"] == 1


def test_events_wait_for_a_server_that_is_away(tmp_path: Path) -> None:
    port = free_port()
    with Sinks(settings(f"redis://127.0.0.1:{port}/0"), tmp_path / "run") as sinks:
        sinks(make_event(0))
        told: list[str] = []
        wait_until(lambda: told.extend(sinks.take_notices()) or told, "the notice")  # type: ignore[func-returns-value]
        assert "does not take events" in told[0] and "tried again" in told[0]
        with redis_server(tmp_path, port) as url, Redis.from_url(url) as client:
            wait_until(lambda: client.xlen("rooms") == 1, "the event")


def test_a_wrong_password_is_told_without_being_shown(tmp_path: Path) -> None:
    port = free_port()
    with redis_server(tmp_path, port, "--requirepass", "right"):
        wrong = SinkSettings(redis=f"redis://:hunter2@127.0.0.1:{port}/0", patience=0.1, retry=Retry(first=0.01))
        with Sinks(wrong, tmp_path / "run") as sinks:
            sinks(make_event(0))
            sinks.close()
            told = " ".join(sinks.take_notices())
    assert "password" in told and "hunter2" not in told


def test_the_stream_is_cut_at_its_oldest_end(tmp_path: Path) -> None:
    with redis_server(tmp_path, free_port()) as url:
        sender, spool = RedisStream(url, "rooms", kept=100), Spool(None, "x")
        for index in range(1000):
            spool.append(make_event(index))
            waiting = spool.next()
            assert waiting is not None
            sender.send(waiting)
            spool.finish(waiting)
        with Redis.from_url(url, decode_responses=True) as client:
            assert 100 <= client.xlen("rooms") <= 300
            ((_, newest),) = client.xrevrange("rooms", count=1)
        assert newest["id"] == "room-r1-segment-scored-999"
        sender.close()
        spool.close()


def test_an_address_that_is_none_is_refused_before_anything_is_scored() -> None:
    with pytest.raises(UsageError, match="redis"):
        SinkSettings(redis="http://host").check()
