"""One clock over many connections: packets on each connection's clock go in, packets on the stream's clock come out.

If a server repeats packets, the repeats fix the clock exactly. Otherwise the source's own time stamps fix it, if they
went on. Otherwise the wall clock does: a live stream trails it by the same lag before and after. Missing time always
stays missing, so that comments, which follow the wall clock, keep their places.
"""

import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.ingest.replayed_tail import Tail, trace
from kuaihl.engines.types import Event

if TYPE_CHECKING:
    from av.packet import Packet

_LAG_SECONDS = 30.0  # the lag behind the wall clock is the smallest one in this last period
_CONTINUES_SECONDS = 10.0  # the source's clock is believed if it differs from the wall clock by less
_HEAD_PACKETS = 16  # this many surely identify a stream's beginning
_GAP_SECONDS = 0.5  # a shorter hole after a reconnect is not a fault


class Arrived(NamedTuple):
    """A packet or an event, and the moment (time.monotonic) at which it came out of the connection."""

    item: TimedPacket | Event
    at: float


class ClockMark(NamedTuple):
    """What another process needs to go on with a stream's clock."""

    lag: float  # seconds by which the stream trails the wall clock, time.time()
    shift: float  # from the source's own clock to the stream's


class LiveClock:
    """The stream's clock: its shift from the current connection's clock, and the state of the stream so far."""

    def __init__(self) -> None:
        self.shift = 0.0
        self.end = 0.0  # where the latest packet ends
        self.media_end = 0.0  # the same on the source's own clock
        self.decoded: dict[str, float] = {}  # decode time of the latest packet of each kind
        self.lags: deque[tuple[float, float]] = deque()  # arrival, and how far the packet's time lies behind it
        self.tail = Tail()
        self.head: set[bytes] = set()  # digests of the stream's first packets
        self.dropping: set[str] = set()  # kinds that may still be repeated

    def packet(self, packet: TimedPacket, at: float) -> TimedPacket | None:
        """The packet on the stream's clock; None if it repeats one from before the reconnect."""
        moved = packet._replace(time=packet.time + self.shift, decode_time=packet.decode_time + self.shift)
        if packet.kind in self.dropping:
            if moved.decode_time <= self.decoded[packet.kind] + moved.duration / 2:
                return None
            self.dropping.discard(packet.kind)
        self.remember(packet.packet, moved.decode_time)
        self.decoded[packet.kind] = moved.decode_time
        self.lags.append((at, at - moved.decode_time))
        while self.lags[0][0] < at - _LAG_SECONDS:
            self.lags.popleft()
        if moved.time + moved.duration >= self.end:
            self.end = moved.time + moved.duration
            self.media_end = packet.media_time + packet.duration
        return moved

    def event(self, event: Event) -> Event:
        return Event(event.kind, max(event.time + self.shift, 0.0), event.detail)

    def remember(self, packet: "Packet[Any]", time: float) -> None:
        found = trace(packet, time)
        if found is not None:
            self.tail.remember(found)
            if len(self.head) < _HEAD_PACKETS:
                self.head.add(found.digest)

    def begins_again(self, held: Sequence[Arrived]) -> bool:
        """Whether a new connection starts with the stream's very first packets, as only a file does."""
        traces = [trace(item.packet, 0.0) for item, _ in held if isinstance(item, TimedPacket)]
        first = {found.digest for found in traces if found is not None}
        return len(self.head) >= _HEAD_PACKETS and self.head <= first

    def resume(self, held: Sequence[Arrived]) -> list[Event]:
        """Join a new connection, which begins with `held`, to the stream so far; the events describe the join.

        Before the very first packet there is nothing to join: the clock then starts with the connection.
        """
        fresh = [(arrived.item, arrived.at) for arrived in held if isinstance(arrived.item, TimedPacket)]
        if not fresh or not self.decoded:
            return []
        first = min(packet.decode_time for packet, _ in fresh)
        traces = [trace(packet.packet, packet.decode_time) for packet, _ in fresh]
        known = self.tail.shift([item for item in traces if item is not None])
        if known is not None:
            self.shift, self.dropping = known, set(self.decoded)
            repeated = max(self.end - (first + known), 0.0)
            return [Event("replay_dropped", self.end, f"the server repeated {repeated:.1f} s that were seen; dropped")]
        missing = self.measure_missing(fresh, first)
        self.shift, self.dropping = self.end + missing - first, set()
        if missing < _GAP_SECONDS:
            return []
        return [Event("gap", self.end, f"{missing:.1f} s of the stream are missing")]

    def mark(self) -> ClockMark | None:
        """The clock's place, from any thread; None before the first packet."""
        lags = list(self.lags)
        if not lags:
            return None
        lag = min(lag for _, lag in lags) + time.time() - time.monotonic()
        return ClockMark(lag, self.end - self.media_end)

    def go_on(self, mark: ClockMark, end: float, held: Sequence[Arrived]) -> list[Event]:
        """Join the first connection, which begins with `held`, to a stream whose scores another run left at `end`.

        The source's own clock fixes the place if it went on, otherwise the wall clock does.
        """
        fresh = [arrived for arrived in held if isinstance(arrived.item, TimedPacket)]
        first = min(fresh, key=lambda arrived: arrived.item.time).item
        assert isinstance(first, TimedPacket)
        lag = min(at - item.decode_time for item, at in fresh if isinstance(item, TimedPacket))
        place = first.decode_time + lag + time.time() - time.monotonic() - mark.lag
        by_source = first.media_time + mark.shift
        if abs(by_source - place) < _CONTINUES_SECONDS:
            place = by_source
        if place < end - _CONTINUES_SECONDS:  # the machine's clock was set back
            place = end
        self.shift = place - first.decode_time
        self.end, self.media_end = place, first.media_time
        if place - end < _GAP_SECONDS:
            return []
        return [Event("gap", end, f"{place - end:.1f} s of the stream are missing: nobody was scoring it")]

    def measure_missing(self, fresh: Sequence[tuple[TimedPacket, float]], first: float) -> float:
        """Seconds of the stream between the last packet before the reconnect and the first after it."""
        lag_before = min(lag for _, lag in self.lags)
        lag_after = min(at - packet.decode_time for packet, at in fresh)
        by_wall = max(first + lag_after - lag_before - self.end, 0.0)
        by_source = min(fresh, key=lambda pair: pair[0].time)[0].media_time - self.media_end
        if by_source > -_GAP_SECONDS and abs(by_source - by_wall) < _CONTINUES_SECONDS:
            return max(by_source, 0.0)
        return by_wall
