"""A live stream that outlives its connections: packets on one clock come out until the stream is over for good.

The one reconnect policy is here. Whatever ends a connection (the server, the network, silence), it is tried again
with growing, jittered delays until the tries or the patience run out. Every read has a limit, and `stop` ends
everything within a second (DESIGN, section 3).
"""

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kuaihl.engines.ingest.held import JUMPS, Arrived, Held, Holding
from kuaihl.engines.ingest.live_clock import ClockMark, LiveClock
from kuaihl.engines.ingest.opening import ALWAYS_LIVE, OPEN_SECONDS, open_source, scheme_of
from kuaihl.engines.ingest.packets import SILENT, TimedPacket, packets
from kuaihl.engines.ingest.playlist_parts import PlaylistParts
from kuaihl.engines.ingest.source import PACKETS_AHEAD, Guard, Source
from kuaihl.engines.read_ahead import Stage, Stopped, run_stage
from kuaihl.engines.types import Event
from kuaihl.engines.warnings import READING_FAILED
from kuaihl.models.errors import SourceError, SourceUnavailable

_HELD_PACKETS = 4096  # after a fault, while a burst shows neither repeats nor the lag: this many at most, …
_HELD_SECONDS = 4.0  # … for at most this long
_DOUBTED_SECONDS = 0.5  # a silence after which the time stamps are compared with the wall clock
_HARMLESS_SECONDS = 30.0  # if a step back was no fault, the stream's others are ignored for this long
_NEWS_SECONDS = 1.0  # a connection that brings less does not count
_CLOSE_SECONDS = 0.5  # the longest wait for a connection to close; then its thread is left to its own time-out
_PLAYLIST_ENDED = "the server has ended the playlist"

Pass = Callable[[Iterator[TimedPacket | Event]], Iterator[TimedPacket | Event]]


@dataclass(frozen=True)
class ReconnectPolicy:
    """How long to retry: at most `tries` in a row that bring nothing new, within at most `patience` seconds."""

    tries: int = 40
    patience: float = 60.0
    first_delay: float = 0.25
    growth: float = 1.1  # a delay is a tenth of the time away: what comes meanwhile is lost
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


class _StreamEnded(Exception):
    """The server says that the stream is over, in these words."""


class _End(Event):
    """A connection's last event, if its server says that nothing follows."""


@dataclass(frozen=True)
class Reconnected:
    """A re-established connection: its reader, what came first, and the number of tries it took."""

    connection: Stage[Arrived]
    held: Held
    tries: int


def clock_of(source: Source) -> LiveClock:
    """The clock for a stream that begins now."""
    return LiveClock(in_pieces=source.container.format.name == "hls")


def live_packets(
    source: Source | str,
    *,
    timeout: float = OPEN_SECONDS,
    policy: ReconnectPolicy | None = None,
    stop: threading.Event | None = None,
    clock: LiveClock | None = None,
    resume: Resume | None = None,
    through: Pass | None = None,
) -> Iterator[TimedPacket | Event]:
    """Every packet of a live source, across disconnects; the last item is always the event `eof`, with the reason.

    `source` is a URL, or a source just opened, which is closed in the end. `timeout`: seconds without data after which
    a connection counts as lost. `stop` may be set by any thread. A source that is not live ends at its first end.
    `clock` is the caller's, to take its mark; `resume` goes on with the clock of an earlier run. Each connection's own
    packets pass `through` a function on the thread that reads them, while its container is open.
    Raises SourceUnavailable if the first connection fails or brings nothing, or SourceError if it is not live.
    """
    policy, stop = policy or ReconnectPolicy(), stop or threading.Event()
    source = source if isinstance(source, Source) else open_source(source, timeout=timeout)
    name, is_live, timeout = source.name, source.is_live, source.timeout
    silence = SourceUnavailable if is_live else SourceError  # a pipe and a recording will bring no more
    clock = clock or clock_of(source)
    in_pieces = clock.in_pieces
    may_be_file = not in_pieces and scheme_of(name) not in ALWAYS_LIVE  # perhaps: it may be served without its length
    doubted = None if not is_live else math.inf if in_pieces else _DOUBTED_SECONDS
    connection = _connect(source, timeout, through=through)
    pending: deque[Arrived] = deque()
    budget: RetryBudget | None = None
    try:
        if resume is not None:
            try:
                held = _first_items(connection, stop, source.longest_silence, in_pieces=in_pieces)
            except _ConnectionLost as lost:
                raise silence(f"{name}: neither picture nor sound came ({lost})") from None
            pending = deque(held.items)
            yield from clock.go_on(resume.mark, resume.end, held)
            del held  # as below, or what was held back stays for as long as the connection
        while True:
            began, is_over = clock.end, not is_live
            try:
                yield from _relay(connection, pending, clock, stop, source.longest_silence, doubted)
            except _ConnectionLost as lost:
                reason = str(lost)
            except _StreamEnded as ended:
                reason, is_over, source.shortfall = str(ended), True, None
            connection.close(_CLOSE_SECONDS)
            if not clock.decoded:
                raise silence(f"{name}: neither picture nor sound came ({reason}); check that it plays elsewhere")
            if is_over:
                yield Event("eof", clock.end, reason)
                return
            if budget is None or clock.end > began + _NEWS_SECONDS:
                budget = RetryBudget(policy)
            try:
                back = reconnect(
                    name, timeout, budget, stop, in_pieces=in_pieces, guard=source.url_guard, through=through
                )
            except _StreamEnded as ended:
                why = f"{reason}; {ended}"
                source.shortfall = why if reason.startswith(READING_FAILED) else None
                yield Event("eof", clock.end, why)
                return
            if back is None:
                source.shortfall = f"{reason}; not back within {budget.waited():.1f} s"
                yield Event("eof", clock.end, source.shortfall)
                return
            if may_be_file and clock.begins_again(back.held):
                connection = back.connection
                source.shortfall = source.failure and reason
                source.is_live = False
                yield Event("eof", clock.end, f"{reason}; the address starts over: it is a recording")
                return
            connection, pending = back.connection, deque(back.held.items)
            events = clock.resume(back.held)
            away = f"{back.held.items[0].at - budget.since:.1f} s"
            yield Event("reconnect", clock.end, f"{reason}; back after {away}, at try {back.tries}")
            del back
            yield from events
    except Stopped:
        yield Event("eof", clock.end, "stopped")
    finally:
        connection.close(_CLOSE_SECONDS)


def _relay(
    connection: Stage[Arrived],
    pending: deque[Arrived],
    clock: LiveClock,
    stop: threading.Event,
    limit: float,
    doubted: float | None,
) -> Iterator[TimedPacket | Event]:
    """Pass on one connection's items, on the stream's clock. Ends with _ConnectionLost, _StreamEnded or Stopped.

    A wait of `doubted` seconds, or a jump, makes the clock judge what follows; `pending` was held back before. None:
    the wall clock says nothing about the media.
    """
    harmless_until = -math.inf
    while True:
        if stop.is_set():
            raise Stopped
        if not pending:
            pending.extend(_take_burst(connection, stop, limit))
        arrived = pending.popleft()
        item = arrived.item
        if isinstance(item, TimedPacket):
            steps_back = clock.steps_back(item) and arrived.at >= harmless_until
            if doubted is not None and clock.decoded and (steps_back or arrived.waited >= doubted):
                held = _hold(connection, stop, [arrived, *pending], in_pieces=clock.in_pieces)
                events = clock.judge(held, steps_back=steps_back)
                yield from events
                pending.clear()
                pending.extend(held.items[1:])
                del held
                if steps_back and not events:
                    harmless_until = arrived.at + _HARMLESS_SECONDS
            moved = clock.packet(item, arrived.at)
            if moved is not None:
                yield moved
        elif item.kind == "eof":
            raise _StreamEnded(item.detail) if isinstance(item, _End) else _ConnectionLost(item.detail)
        elif item.kind in JUMPS and doubted is not None:
            held = _hold(connection, stop, pending, in_pieces=clock.in_pieces)
            yield from clock.judge(held, item)
            pending.clear()
            pending.extend(held.items)
            del held
        else:
            yield clock.event(item)


def _hold(connection: Stage[Arrived], stop: threading.Event, items: Iterable[Arrived], *, in_pieces: bool) -> Held:
    """`items` and what follows, until a burst is over or the end comes."""
    holding, deadline = Holding(items, in_pieces=in_pieces), time.monotonic() + _HELD_SECONDS
    has_ended = bool(holding.items) and holding.items[-1].is_end
    while not has_ended and len(holding.items) < _HELD_PACKETS:
        now = time.monotonic()
        if now >= deadline or holding.burst.is_over(now):
            break
        try:
            arrived = connection.take(holding.burst.wake_at(now, deadline) - now, stop)
        except TimeoutError:
            continue
        except (StopIteration, Stopped):  # the next one to ask is told again
            break
        holding.add(arrived)
        has_ended = arrived.is_end
    return holding.held(time.monotonic())


def _connect(
    source: Source | str, timeout: float, guard: Guard | None = None, through: Pass | None = None
) -> Stage[Arrived]:
    """Read a source on a thread of its own, for a read may block; no other thread touches the source."""
    left = threading.Event()  # set if the connection is closed early
    return run_stage(_read_connection(source, timeout, left, guard, through), PACKETS_AHEAD, stop=left)


def _read_connection(
    source: Source | str, timeout: float, left: threading.Event, guard: Guard | None, through: Pass | None
) -> Iterator[Arrived]:
    """One connection from its opening to its end, every item stamped with its arrival time."""
    with source if isinstance(source, Source) else open_source(source, timeout=timeout, guard=guard) as opened:
        if opened is not source:
            _check_live(opened)
        asked = time.monotonic()
        read = packets(opened, stop=left, on_own_thread=True)
        for item in read if through is None else through(read):
            at = time.monotonic()
            silent = at - asked - (opened.url_bytes.take_rest() if opened.url_bytes is not None else 0.0)
            is_end = isinstance(item, Event) and item.kind == "eof" and _has_ended(opened)
            yield Arrived(_End("eof", item.time, _PLAYLIST_ENDED) if is_end else item, at, silent)
            asked = time.monotonic()  # later than `at` if the stream's reader is slow


def _check_live(again: Source) -> None:
    """Raise _StreamEnded if a stream's playlist is a recording by now, SourceError if its address has another one."""
    if again.is_live:
        return
    if again.container.format.name == "hls":
        raise _StreamEnded(f"{_PLAYLIST_ENDED} meanwhile")
    raise SourceError(f"{again.name}: not a live stream")


def _has_ended(source: Source) -> bool:
    """Whether a live playlist was read to the end that its server has written."""
    parts = source.parts
    return source.is_live and source.failure is None and isinstance(parts, PlaylistParts) and parts.is_over


def reconnect(
    name: str,
    timeout: float,
    budget: RetryBudget,
    stop: threading.Event,
    *,
    in_pieces: bool,
    guard: Guard | None = None,
    through: Pass | None = None,
) -> Reconnected | None:
    """Try until packets come; None once the tries or the patience run out. Raises Stopped or _StreamEnded."""
    for number, delay in budget.delays:
        if stop.wait(min(delay, budget.remaining())):
            raise Stopped
        if not budget.remaining():
            return None
        connection = _connect(name, timeout, guard, through)
        try:
            held = _first_items(connection, stop, budget.remaining(), in_pieces=in_pieces)
            return Reconnected(connection, held, number)
        except (_ConnectionLost, SourceError):
            connection.close(_CLOSE_SECONDS)
        except BaseException:
            connection.close(_CLOSE_SECONDS)
            raise
    return None


def _first_items(connection: Stage[Arrived], stop: threading.Event, limit: float, *, in_pieces: bool) -> Held:
    """The first items of a new connection, until its burst is over. Raises _ConnectionLost if they hold no packet."""
    held = _hold(connection, stop, _take_burst(connection, stop, limit), in_pieces=in_pieces)
    if not held.packets:
        raise _ConnectionLost("no packets")
    return held


def _take_burst(connection: Stage[Arrived], stop: threading.Event, limit: float) -> list[Arrived]:
    """The next items. Raises Stopped, or _ConnectionLost if nothing comes within `limit` seconds."""
    try:
        return connection.take_burst(limit, stop)
    except TimeoutError:
        raise _ConnectionLost(f"reading failed: {SILENT}") from None
    except StopIteration:
        raise _ConnectionLost("the connection was closed") from None
