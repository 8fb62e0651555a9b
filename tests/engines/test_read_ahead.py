"""Stages: order and errors come through, queues stay bounded, threads end."""

import gc
import itertools
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest

from kuaihl.engines.overload import skip_speech_when_behind
from kuaihl.engines.read_ahead import run_stage
from kuaihl.engines.types import Segment
from kuaihl.models.errors import SourceError


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 3
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - before


def wait_until(true: object, seconds: float = 3.0) -> None:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.005)
    assert true()  # type: ignore[operator]


def test_a_stage_yields_what_upstream_makes_in_order() -> None:
    assert list(run_stage(range(1000), 3)) == list(range(1000))


def test_a_stage_runs_upstream_on_another_thread() -> None:
    def who() -> Iterator[int]:
        yield threading.get_ident()

    assert list(run_stage(who(), 1)) != [threading.get_ident()]


def test_a_stage_makes_no_more_than_its_queue_holds_and_one_in_hand() -> None:
    made: list[int] = []

    def upstream() -> Iterator[int]:
        for number in itertools.count():
            made.append(number)
            yield number

    with run_stage(upstream(), 3) as stage:
        wait_until(lambda: len(made) == 4)
        time.sleep(0.05)
        assert len(made) == 4 and stage.waiting == 3
        next(stage)
        wait_until(lambda: len(made) == 5)


def test_an_error_upstream_reaches_the_consumer_after_the_items_before_it() -> None:
    def upstream() -> Iterator[int]:
        yield 1
        yield 2
        raise SourceError("stream.flv: damaged")

    stage = run_stage(upstream(), 8)
    assert [next(stage), next(stage)] == [1, 2]
    with pytest.raises(SourceError, match=r"stream\.flv: damaged"):
        next(stage)
    with pytest.raises(StopIteration):
        next(stage)


def test_errors_pass_through_a_chain_of_stages() -> None:
    def upstream() -> Iterator[int]:
        yield 1
        raise SourceError("gone")

    stage = run_stage((item + 1 for item in run_stage(upstream(), 1)), 1)
    assert next(stage) == 2
    with pytest.raises(SourceError, match="gone"):
        next(stage)


def test_closing_closes_upstream_on_its_own_thread() -> None:
    closed_on: list[int] = []

    def upstream() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed_on.append(threading.get_ident())

    stage = run_stage(upstream(), 2)
    next(stage)
    ident = stage.thread.ident
    assert stage.close()
    assert closed_on == [ident]
    assert list(stage) == []


def test_a_stage_that_is_dropped_unclosed_ends_its_thread() -> None:
    stage = run_stage(itertools.count(), 2)
    next(stage)
    thread = stage.thread
    del stage
    gc.collect()
    thread.join(2)
    assert not thread.is_alive()


def test_a_consumer_that_fails_ends_the_whole_chain() -> None:
    with pytest.raises(ZeroDivisionError), run_stage(iter(run_stage(itertools.count(), 2)), 2) as stage:
        for item in stage:
            1 // (item - 5)


def test_leaving_early_sets_stop_so_that_a_blocked_upstream_wakes() -> None:
    stop = threading.Event()

    def blocked() -> Iterator[int]:
        yield 1
        stop.wait(30)

    stage = run_stage(run_stage(blocked(), 1), 1, stop=stop)
    assert next(stage) == 1
    began = time.monotonic()
    assert stage.close()
    assert time.monotonic() - began < 1


def test_a_finished_stage_does_not_set_stop() -> None:
    stop = threading.Event()
    with run_stage(range(3), 5, stop=stop) as stage:
        assert list(stage) == [0, 1, 2]
    assert not stop.is_set()


def test_closing_does_not_wait_for_ever_for_a_blocked_upstream() -> None:
    release = threading.Event()

    def blocked() -> Iterator[int]:
        release.wait(30)
        yield 1

    stage = run_stage(blocked(), 1)
    began = time.monotonic()
    assert not stage.close(timeout=0.1)
    assert time.monotonic() - began < 1
    release.set()


def test_taking_with_a_time_limit_says_when_nothing_came() -> None:
    release = threading.Event()

    def slow() -> Iterator[int]:
        release.wait(30)
        yield 7

    with run_stage(slow(), 1) as stage:
        with pytest.raises(TimeoutError):
            stage.take(0.05)
        release.set()
        assert stage.take(2.0) == 7


def test_a_burst_is_handed_over_at_once_after_a_pause() -> None:
    release = threading.Event()

    def bursts() -> Iterator[int]:
        release.wait(30)
        for number in range(5):
            time.sleep(0.001)
            yield number
        raise SourceError("gone")

    with run_stage(bursts(), 10) as stage:
        with pytest.raises(TimeoutError):
            stage.take_burst(0.05)
        threading.Timer(0.1, release.set).start()
        assert stage.take_burst(2.0) == [0, 1, 2, 3, 4]
        with pytest.raises(SourceError, match="gone"):
            stage.take_burst(2.0)


def test_a_burst_waits_for_nothing_that_is_already_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kuaihl.engines.read_ahead._GATHER_SECONDS", 60.0)
    with run_stage(iter(range(8)), 4) as stage:
        wait_until(lambda: stage.waiting == 4)
        began = time.monotonic()
        assert stage.take_burst(2.0)[:4] == [0, 1, 2, 3]
        assert time.monotonic() - began < 30


def test_a_burst_is_bounded_for_the_queue_no_longer_counts_it() -> None:
    with run_stage(iter(range(200)), 100) as stage:
        wait_until(lambda: stage.waiting == 100)
        assert stage.take_burst(2.0) == list(range(64))
        assert stage.take_burst(2.0)[0] == 64


def test_a_stage_that_waits_does_not_keep_what_it_has_handed_over() -> None:
    release, kept = threading.Event(), []

    def upstream() -> Iterator[Segment]:
        for index in range(2):
            made = segment(index)
            kept.append(weakref.ref(made))
            yield made
            del made
            release.wait(5)

    with run_stage(upstream(), 2) as stage:
        consumer = threading.Thread(target=deque, args=(skip_speech_when_behind(stage), 0))  # keeps nothing either
        consumer.start()
        wait_until(lambda: kept and kept[0]() is None)
        release.set()
        consumer.join(5)
    assert len(kept) == 2


def segment(index: int) -> Segment:
    return Segment(index, index * 30.0, index * 30.0 + 30, (), np.ones(16, np.float32))


def test_speech_is_dropped_only_while_segments_wait_and_is_said() -> None:
    with run_stage(map(segment, range(5)), 8) as stage:
        wait_until(lambda: stage.waiting == 5)
        passed = list(skip_speech_when_behind(stage, behind=2))
    assert [item.index for item in passed] == [0, 1, 2, 3, 4]
    assert [item.transcribe for item in passed] == [False, False, False, True, True]
    assert all(item.audio.size for item in passed)  # how loud it is costs nothing to know
    assert [event.kind for event in passed[0].events] == ["overload"]
    assert "4 segments waited" in passed[0].events[0].detail
    assert not passed[4].events
