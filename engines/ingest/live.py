"""A live stream that outlives its connections: packets on one clock come out until the stream is over for good.

The one reconnect policy is here. Whatever ends a connection (the server, the network, silence), it is tried again
with growing, jittered delays until the tries or the patience run out. Every read has a limit, and `stop` ends
everything within a second (DESIGN, section 3).
"""

import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from kuaihl.engines.ingest.live_clock import Arrived, ClockMark, LiveClock
from kuaihl.engines.ingest.packets import SILENT, TimedPacket, packets
from kuaihl.engines.ingest.source import ALWAYS_LIVE, OPEN_SECONDS, PACKETS_AHEAD, Source, open_source, scheme_of
from kuaihl.engines.read_ahead import Stage, Stopped, run_stage
from kuaihl.engines.types import Event
from kuaihl.models.errors import SourceError, SourceUnavailable

_BUFFERED_PACKETS = 96  # searched for a repeated tail after a reconnect, …
_BUFFERED_SECONDS = 1.0  # … and collected for at most this long
_NEWS_SECONDS = 1.0  # a connection that brings less does not count
_CLOSE_SECONDS = 0.5  # the longest wait for a connection to close; then its thread is left to its own time-out


@dataclass(frozen=True)
class ReconnectPolicy:
    """How long to retry: at most `tries` in a row that bring nothing new, within at most `patience` seconds."""

    tries: int = 10
    patience: float = 60.0
    first_delay: float = 0.5
    growth: float = 1.5
    longest_delay: float = 10.0
    jitter: float = 0.2  # a share of the delay, either way: many clients must not come back at once

    def delays(self) -> Iterator[float]:
        """Seconds to wait before each try."""
        delay = self.first_delay
        for _ in range(self.tries):
            yield delay * random.uniform(1 - self.jitter, 1 + self.jitter)
            delay = min(delay * self.growth, self.longest_delay)


class RetryBudget:
    """A policy's remaining tries and patience since the stream was last seen."""

    def __init__(self, policy: ReconnectPolicy) -> None:
        self.delays = enumerate(policy.delays(), start=1)
        self.since = time.monotonic()
        self.deadline = self.since + policy.patience

    def waited(self) -> float:
        return time.monotonic() - self.since

    def remaining(self) -> float:
        return max(self.deadline - time.monotonic(), 0.0)


@dataclass(frozen=True)
class Resume:
    """Where an earlier run left a stream."""

    mark: ClockMark
    end: float  # of the last scored segment, in seconds of the stream's clock


class _ConnectionLost(Exception):
    """A connection is over; the message says why."""


@dataclass(frozen=True)
class Reconnected:
    """A re-established connection: its reader, its first items, and the number of tries it took."""

    connection: Stage[Arrived]
    buffered: list[Arrived]
    tries: int


def live_packets(
    source: Source | str,
    *,
    timeout: float = OPEN_SECONDS,
    policy: ReconnectPolicy | None = None,
    stop: threading.Event | None = None,
    clock: LiveClock | None = None,
    resume: Resume | None = None,
) -> Iterator[TimedPacket | Event]:
    """Every packet of a live source, across disconnects; the last item is always the event `eof`, with the reason.

    `source` is a URL, or a source just opened, which is closed in the end. `timeout`: seconds without data after which
    a connection counts as lost. `stop` may be set by any thread. A source that is not live ends at its first end.
    `clock` is the caller's, to take its mark; `resume` goes on with the clock of an earlier run.
    Raises SourceUnavailable if the first connection fails or brings nothing, or SourceError if it is not live.
    """
    policy, stop = policy or ReconnectPolicy(), stop or threading.Event()
    source = source if isinstance(source, Source) else open_source(source, timeout=timeout)
    name, is_live, timeout = source.name, source.is_live, source.timeout
    silence = SourceUnavailable if is_live else SourceError  # a pipe and a recording will bring no more
    may_be_file = scheme_of(name) not in ALWAYS_LIVE  # perhaps: a file may be served without its length
    clock, connection = clock or LiveClock(), _connect(source, timeout)
    pending: deque[Arrived] = deque()
    budget: RetryBudget | None = None
    try:
        if resume is not None:
            try:
                pending = deque(_first_items(connection, stop, source.longest_silence))
            except _ConnectionLost as lost:
                raise silence(f"{name}: neither picture nor sound came ({lost})") from None
            yield from clock.go_on(resume.mark, resume.end, pending)
        while True:
            began = clock.end
            try:
                yield from _relay(connection, pending, clock, stop, source.longest_silence)
            except _ConnectionLost as lost:
                reason = str(lost)
            connection.close(_CLOSE_SECONDS)
            if not clock.decoded:
                raise silence(f"{name}: neither picture nor sound came ({reason}); check that it plays elsewhere")
            if not is_live:
                yield Event("eof", clock.end, reason)
                return
            if budget is None or clock.end > began + _NEWS_SECONDS:
                budget = RetryBudget(policy)
            back = reconnect(name, timeout, budget, stop)
            if back is None:
                source.shortfall = f"{reason}; not back within {budget.waited():.1f} s"
                yield Event("eof", clock.end, source.shortfall)
                return
            if may_be_file and clock.begins_again(back.buffered):
                connection = back.connection
                source.shortfall = source.failure and reason
                yield Event("eof", clock.end, f"{reason}; the address starts over: it is a recording")
                return
            connection, pending = back.connection, deque(back.buffered)
            events = clock.resume(back.buffered)
            yield Event("reconnect", clock.end, f"{reason}; back after {budget.waited():.1f} s, at try {back.tries}")
            yield from events
    except Stopped:
        yield Event("eof", clock.end, "stopped")
    finally:
        connection.close(_CLOSE_SECONDS)


def _relay(
    connection: Stage[Arrived], pending: deque[Arrived], clock: LiveClock, stop: threading.Event, limit: float
) -> Iterator[TimedPacket | Event]:
    """Pass on one connection's items, on the stream's clock. Always ends with _ConnectionLost or Stopped."""
    while True:
        item, at = pending.popleft() if pending else _take(connection, stop, limit)
        if isinstance(item, TimedPacket):
            moved = clock.packet(item, at)
            if moved is not None:
                yield moved
        elif item.kind == "eof":
            raise _ConnectionLost(item.detail)
        else:
            yield clock.event(item)


def _connect(source: Source | str, timeout: float) -> Stage[Arrived]:
    """Read a source on a thread of its own, for a read may block; no other thread touches the source."""
    left = threading.Event()  # set if the connection is closed early
    return run_stage(_read_connection(source, timeout, left), PACKETS_AHEAD, stop=left)


def _read_connection(source: Source | str, timeout: float, left: threading.Event) -> Iterator[Arrived]:
    """One connection from its opening to its end, every item stamped with its arrival time."""
    with source if isinstance(source, Source) else open_source(source, timeout=timeout) as opened:
        for item in packets(opened, stop=left, on_own_thread=True):
            yield Arrived(item, time.monotonic())


def reconnect(name: str, timeout: float, budget: RetryBudget, stop: threading.Event) -> Reconnected | None:
    """Try until packets come; None once the tries or the patience run out. Raises Stopped."""
    for number, delay in budget.delays:
        if stop.wait(min(delay, budget.remaining())):
            raise Stopped
        if not budget.remaining():
            return None
        connection = _connect(name, min(timeout, budget.remaining()))
        try:
            return Reconnected(connection, _first_items(connection, stop, budget.remaining()), number)
        except (_ConnectionLost, SourceError):
            connection.close(_CLOSE_SECONDS)
        except BaseException:
            connection.close(_CLOSE_SECONDS)
            raise
    return None


def _first_items(connection: Stage[Arrived], stop: threading.Event, limit: float) -> list[Arrived]:
    """The first items of a new connection, within a second. Raises _ConnectionLost if they hold no packet."""
    buffered = [_take(connection, stop, limit)]
    deadline = time.monotonic() + _BUFFERED_SECONDS
    while len(buffered) < _BUFFERED_PACKETS and not stop.is_set():
        try:
            buffered.append(connection.take(max(deadline - time.monotonic(), 0)))
        except (TimeoutError, StopIteration):
            break
    if not any(isinstance(arrived.item, TimedPacket) for arrived in buffered):
        raise _ConnectionLost("no packets")
    return buffered


def _take(connection: Stage[Arrived], stop: threading.Event, limit: float) -> Arrived:
    """The next item. Raises Stopped, or _ConnectionLost if nothing comes within `limit` seconds."""
    try:
        return connection.take(limit, stop)
    except TimeoutError:
        raise _ConnectionLost(f"reading failed: {SILENT}") from None
    except StopIteration:
        raise _ConnectionLost("the connection was closed") from None
