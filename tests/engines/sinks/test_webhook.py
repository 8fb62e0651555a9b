"""Webhooks against a real HTTP server that fails, hangs and recovers."""

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cloud_events import make_event
from support.event_receiver import Receiver, event_receiver
from support.ports import free_port
from support.waiting import wait_until

from kuaihl.engines.sinks.delivery import Retry
from kuaihl.engines.sinks.settings import Sinks, SinkSettings, deliver_left
from kuaihl.engines.sinks.webhook import parse_secret
from kuaihl.models.errors import UsageError

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdefghijklmn").decode()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with event_receiver() as server:
        yield server


def settings(*urls: str, secret: str | None = None, timeout: float = 2.0, patience: float = 5.0) -> SinkSettings:
    return SinkSettings(
        webhooks=urls,
        webhook_secret=parse_secret(secret) if secret else None,
        timeout=timeout,
        patience=patience,
        retry=Retry(first=0.01, longest=0.05),
    )


def test_an_event_arrives_as_a_cloud_event(receiver: Receiver, tmp_path: Path) -> None:
    with Sinks(settings(receiver.url), tmp_path) as sinks:
        sinks(make_event(3, words="你好"))
        (event,) = receiver.wait_for(1)
    assert event == {
        "specversion": "1.0",
        "type": "kuaihl.segment.scored",
        "source": "/kuaihl/rooms/room",
        "id": "room-r1-segment-scored-3",
        "time": "1970-01-01T00:00:01.500Z",
        "subject": "segment/3",
        "datacontenttype": "application/json",
        "data": {"room": "room", "source": "rtmp://host/live/room", "segment": 3, "text": "你好"},
    }
    (request,) = receiver.requests
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert request.headers["webhook-id"] == event["id"]
    assert "webhook-signature" not in request.headers


def test_a_receiver_verifies_the_signature_with_its_standard_library(receiver: Receiver, tmp_path: Path) -> None:
    with Sinks(settings(receiver.url, secret=SECRET), tmp_path) as sinks:
        sinks(make_event(0))
        receiver.wait_for(1)
    headers, body = receiver.requests[0].headers, receiver.requests[0].body
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60


@pytest.mark.parametrize("secret", ["short", "whsec_%%%", "whsec_YWJj"])
def test_a_weak_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(UsageError, match="secret") as found:
        parse_secret(secret)
    assert secret not in str(found.value)


def test_credentials_in_the_address_become_basic_authentication_and_are_never_shown(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answers = [403]
    with Sinks(settings(receiver.url.replace("://", "://me:p%40ss@") + "?token=hidden"), tmp_path) as sinks:
        sinks(make_event(0))
        wait_until(lambda: receiver.requests, "a request")
        sinks.close()
        told = sinks.take_notices()
    (request,) = receiver.requests
    assert base64.b64decode(request.headers["authorization"].removeprefix("Basic ")) == b"me:p@ss"
    assert request.path == "/hook?token=hidden"
    assert len(told) == 1 and "403" in told[0]
    files = "".join(file.name + file.read_text() for file in (tmp_path / ".sinks").iterdir())
    for secret in ("p%40ss", "p@ss", "hidden"):
        assert secret not in told[0] + files


def test_failures_that_may_pass_are_tried_again_in_order_until_they_do(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers = [500, 429, 408, 503, 204]
    with Sinks(settings(receiver.url), tmp_path) as sinks:
        for index in range(3):
            sinks(make_event(index))
        receiver.wait_for(3)
        sinks.close()
        told = sinks.take_notices()
    assert [one["data"]["segment"] for one in receiver.taken] == [0, 1, 2]
    assert [one.event["data"]["segment"] for one in receiver.requests[:5]] == [0] * 5
    assert len(told) == 2, told
    assert "answers 500" in told[0] and "tried again" in told[0]
    assert "answers again, after 4 failures" in told[1]


@pytest.mark.parametrize("status", [400, 401, 404, 422, 301])
def test_a_refusal_is_not_tried_again_but_told(receiver: Receiver, tmp_path: Path, status: int) -> None:
    receiver.answers = [(status, {"Location": receiver.url + "/elsewhere"})]
    with Sinks(settings(receiver.url), tmp_path) as sinks:
        sinks(make_event(0))
        sinks(make_event(1))
        receiver.wait_for(1)
        sinks.close()
        told = sinks.take_notices()
    assert [one.event["data"]["segment"] for one in receiver.requests] == [0, 1]
    assert len(told) == 1 and str(status) in told[0] and "room-r1-segment-scored-0 is left out" in told[0]


def test_a_receiver_that_is_gone_for_good_is_told_nothing_more(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers = [410]
    with Sinks(settings(receiver.url), tmp_path) as sinks:
        sinks(make_event(0))
        wait_until(lambda: receiver.requests, "a request")
        wait_until(lambda: any("nothing more" in one for one in sinks.take_notices()), "the notice")
        sinks(make_event(1))
        sinks.close()
    assert len(receiver.requests) == 1


def test_what_waits_for_a_receiver_that_is_gone_for_good_is_left_out(receiver: Receiver, tmp_path: Path) -> None:
    hasty = settings(receiver.url, patience=0.1)
    receiver.answers = [503] * 1000
    with Sinks(hasty, tmp_path) as sinks:
        for index in range(3):
            sinks(make_event(index))
    tries = len(receiver.requests)
    receiver.answers = [410] * 10
    outcomes = [deliver_left(hasty, tmp_path, lambda _: None) for _ in range(3)]
    assert outcomes == ["gone", "delivered", "delivered"]
    assert len(receiver.requests) == tries + 1


def test_the_time_that_a_receiver_asks_for_holds_for_later_runs_and_nobody_waits_in_vain(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answers = [(503, {"Retry-After": "3600"})]
    began = time.monotonic()
    for last in range(2):
        with Sinks(settings(receiver.url), tmp_path) as sinks:
            sinks(make_event(last))
            wait_until(lambda: receiver.requests, "a request")
        assert deliver_left(settings(receiver.url), tmp_path, lambda _: None) == "left"
    assert time.monotonic() - began < 3.0, "the patience is 5 s each time"
    assert len(receiver.requests) == 1


def test_a_later_run_delivers_as_soon_as_the_receiver_takes_events(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers = [(429, {"Retry-After": "1"})]
    began = time.monotonic()
    with Sinks(settings(receiver.url, patience=0.1), tmp_path) as sinks:
        sinks(make_event(0))
        wait_until(lambda: receiver.requests, "a request")
    assert deliver_left(settings(receiver.url), tmp_path, lambda _: None) == "delivered"
    assert time.monotonic() - began >= 1.0 and len(receiver.taken) == 1


@pytest.mark.parametrize("ends", [False, True], ids=["in a run", "at its end"])
def test_the_receiver_says_how_long_to_wait(ends: bool, receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers = [(429, {"Retry-After": "1"})]
    began = time.monotonic()
    with Sinks(settings(receiver.url), tmp_path) as sinks:
        sinks(make_event(0))
        wait_until(lambda: receiver.requests, "a request")
        if ends:
            sinks.close()
        receiver.wait_for(1)
    assert time.monotonic() - began >= 1.0


def test_a_receiver_that_hangs_holds_up_nobody_and_gets_its_events_later(receiver: Receiver, tmp_path: Path) -> None:
    receiver.hang.clear()
    with event_receiver() as other, Sinks(settings(receiver.url, other.url, timeout=0.2), tmp_path) as sinks:
        began = time.monotonic()
        for index in range(50):
            sinks(make_event(index))
        assert time.monotonic() - began < 0.2
        other.wait_for(50)
        assert not receiver.taken
        receiver.hang.set()
        wait_until(lambda: len({one["id"] for one in receiver.taken}) == 50, "all events")


def test_an_outage_at_the_end_of_a_run_loses_nothing(tmp_path: Path) -> None:
    port = free_port()
    there = settings(f"http://127.0.0.1:{port}/hook", patience=0.1)
    with Sinks(there, tmp_path) as sinks:
        for index in range(3):
            sinks(make_event(index))
        sinks.close()
        told = sinks.take_notices()
    assert "does not answer" in told[0]
    assert "3 events not delivered" in told[-1] and str(tmp_path) in told[-1]
    lines: list[str] = []
    with event_receiver(port) as receiver:
        deliver_left(settings(f"http://127.0.0.1:{port}/hook"), tmp_path, lines.append)
        assert [one["data"]["segment"] for one in receiver.taken] == [0, 1, 2]
        deliver_left(settings(f"http://127.0.0.1:{port}/hook"), tmp_path, lines.append)
        assert len(receiver.requests) == 3
    assert not lines


def test_a_call_that_outlasts_the_end_of_a_run_frees_its_files_and_sockets(receiver: Receiver, tmp_path: Path) -> None:
    def count_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    receiver.hang.clear()
    hasty = settings(receiver.url, timeout=5.0, patience=0.02)
    before = count_files()
    with Sinks(hasty, tmp_path) as sinks:
        sinks(make_event(0))
    for _ in range(3):
        assert deliver_left(hasty, tmp_path, lambda _: None) == "left"
    assert count_files() > before, "the first call is still under way"
    receiver.hang.set()
    wait_until(lambda: count_files() <= before, "an end of all files")


def test_a_call_that_outlasts_the_end_of_a_run_is_waited_for_and_not_repeated(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.hang.clear()
    hasty = settings(receiver.url, timeout=10.0, patience=0.02)
    with Sinks(hasty, tmp_path) as sinks:
        for index in range(3):
            sinks(make_event(index))
    assert deliver_left(hasty, tmp_path, lambda _: None) == "left"
    with Sinks(settings(receiver.url), tmp_path) as sinks:
        began = time.monotonic()
        for index in range(5):
            sinks(make_event(index))
        assert time.monotonic() - began < 0.2, "events are kept meanwhile"
        receiver.hang.set()
        receiver.wait_for(5)
    assert [one.event["data"]["segment"] for one in receiver.requests] == [0, 1, 2, 3, 4]


def test_sinks_that_cannot_be_opened_leave_no_thread_and_no_file(receiver: Receiver, tmp_path: Path) -> None:
    other = receiver.url + "/other"
    with Sinks(settings(other), tmp_path) as sinks:
        sinks(make_event(0))
    (spool,) = (tmp_path / ".sinks").glob("*.jsonl")
    spool.unlink()
    spool.mkdir()
    with Sinks(settings(receiver.url), tmp_path) as sinks:
        sinks(make_event(0))
    threads = threading.active_count()
    with pytest.raises(UsageError, match="events cannot be kept there"):
        Sinks(settings(receiver.url, other), tmp_path)
    wait_until(lambda: threading.active_count() <= threads, "the end of the thread")
    opened = [file.readlink() for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    assert not [file for file in opened if tmp_path in file.parents]


@pytest.mark.parametrize("url", ["ftp://host/x", "http://", "host:80", "http://host:port/"])
def test_an_address_that_is_none_is_refused_before_anything_is_scored(url: str) -> None:
    with pytest.raises(UsageError, match="webhook"):
        settings(url).check()


def test_a_spool_that_is_damaged_meanwhile_ends_its_deliveries_with_a_line_and_nothing_else(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.hang.clear()
    with Sinks(settings(receiver.url), tmp_path) as sinks:
        sinks(make_event(0))
        sinks(make_event(1))
        (spool,) = (tmp_path / ".sinks").glob("*.jsonl")
        spool.write_bytes(b"x" * spool.stat().st_size)
        receiver.hang.set()
        told: list[str] = []
        wait_until(lambda: told.extend(sinks.take_notices()) or told, "the notice")  # type: ignore[func-returns-value]
        sinks(make_event(2))
    assert "deliveries end, because their file fails" in told[0]
