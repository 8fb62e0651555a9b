"""What comes out of a live stream, watched."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kuaihl.engines.ingest.live import ReconnectPolicy
from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.types import Event

BRIEF = ReconnectPolicy(tries=4, patience=3.0, first_delay=0.2)


@contextmanager
def no_thread_left() -> Iterator[None]:
    """All threads that were begun within have ended a few seconds later."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 8
    while left := set(threading.enumerate()) - before:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


class Watched:
    """What came out of a live stream."""

    def __init__(
        self, stream: Iterator[TimedPacket | Event], each: Callable[[TimedPacket], None] | None = None
    ) -> None:
        began = time.monotonic()
        self.packets: list[TimedPacket] = []
        self.events: list[Event] = []
        for item in stream:
            if isinstance(item, Event):
                self.events.append(item)
                continue
            self.packets.append(item)
            if each is not None:
                each(item)
        self.seconds = time.monotonic() - began

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def event(self, kind: str) -> Event:
        return next(event for event in self.events if event.kind == kind)

    def decode_times(self, kind: str) -> list[float]:
        return [packet.decode_time for packet in self.packets if packet.kind == kind]

    def assert_time_never_runs_back(self) -> None:
        for kind in ("video", "audio"):
            times = self.decode_times(kind)
            assert times and all(a < b for a, b in itertools.pairwise(times)), kind

    def largest_hole(self) -> float:
        times = self.decode_times("video")
        return max(b - a for a, b in itertools.pairwise(times))
