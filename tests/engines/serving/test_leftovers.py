"""Events that are left: later tries go on, and only as long as the receiver wants them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.cloud_events import make_event
from support.event_receiver import event_receiver
from support.waiting import wait_until

from kuaihl.engines.serving import leftovers
from kuaihl.engines.sinks.delivery import Retry
from kuaihl.engines.sinks.settings import Sinks, SinkSettings


def settings(url: str) -> SinkSettings:
    return SinkSettings(webhooks=(url,), patience=0.1, retry=Retry(first=0.01, longest=0.05))


@contextmanager
def delivering(settings: SinkSettings, folder: Path) -> Iterator[list[str]]:
    """What is said while the events of a run folder are delivered."""
    lines: list[str] = []
    left = leftovers.Leftovers(settings, lines.append)
    left.add(folder)
    left.start(folder, set())
    try:
        yield lines
    finally:
        left.stop()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "_EVERY", 0.01)


def test_a_moment_without_a_thread_to_be_had_ends_no_later_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Path] = []

    def fail(settings: SinkSettings, folder: Path, report: object) -> str:
        tried.append(folder)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(leftovers, "deliver_left", fail)
    with delivering(settings("http://127.0.0.1:9/hook"), tmp_path):
        wait_until(lambda: len(tried) >= 3, "later tries")


def test_a_receiver_that_is_gone_for_good_is_asked_once_and_nothing_is_called_delivered(tmp_path: Path) -> None:
    with event_receiver() as receiver:
        receiver.answers = [503] * 1000
        with Sinks(settings(receiver.url), tmp_path) as sinks:
            for index in range(3):
                sinks(make_event(index))
        tries = len(receiver.requests)
        receiver.answers = [410] * 1000
        with delivering(settings(receiver.url), tmp_path) as lines:
            wait_until(lambda: any("told nothing more" in line for line in lines), "the line")
            time.sleep(0.3)  # in which there would be some more tries
        assert len(receiver.requests) == tries + 1
    assert not any("delivered" in line for line in lines)


def test_a_receiver_is_not_called_before_the_time_that_it_asked_for(tmp_path: Path) -> None:
    with event_receiver() as receiver:
        receiver.answers = [(503, {"Retry-After": "1"})]
        began = time.monotonic()
        with Sinks(settings(receiver.url), tmp_path) as sinks:
            sinks(make_event(0))
            wait_until(lambda: receiver.requests, "a request")
        with delivering(settings(receiver.url), tmp_path) as lines:
            receiver.wait_for(1)
            assert time.monotonic() - began >= 1.0
            wait_until(lambda: lines and lines[-1].endswith("the events that were left are delivered"), "the good news")
        assert len(receiver.requests) == 2
