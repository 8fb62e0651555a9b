"""One clock over many connections: packets on each connection's clock go in, packets on the stream's clock come out.

If a server repeats packets, the repeats fix the clock exactly. Otherwise the source's own time stamps fix it, if they
went on. Otherwise the wall clock does: a live stream trails it by the same lag before and after. Missing time always
stays missing, so that comments, which follow the wall clock, keep their places.
"""

import time
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from kuaihl.engines.ingest.burst import Burst
from kuaihl.engines.ingest.held import STEP_BACK, Held
from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.ingest.replayed_tail import REMEMBERED_SECONDS, Tail, trace
from kuaihl.engines.types import Event

if TYPE_CHECKING:
    from av.packet import Packet

_TOLERANCE = 0.3  # seconds by which time stamps that go on may differ from the wall clock and are believed
_PIECES_TOLERANCE = 10.0  # the same if media come in pieces of seconds, or if the lag could not be measured
_RESTART_TOLERANCE = 0.1  # the same for time stamps that do not go on: they say nothing of the time between
_RESTART_PIECES_TOLERANCE = 2.0  # the same for pieces: some part of a piece
_START_SECONDS = 30.0  # the lag behind the wall clock is the smallest one in this first period
_HEAD_PACKETS = 16  # this many surely identify a stream's beginning
_REPEATED_LAG = 10.0  # seconds that another server of the same stream may trail the first: repeats tell exactly
_GAP_SECONDS = 0.5  # a shorter hole after a reconnect is not a fault


class ClockMark(NamedTuple):
    """What another process needs to go on with a stream's clock."""

    lag: float  # seconds by which the stream trails the wall clock, time.time()
    shift: float  # from the source's own clock to the stream's
    is_paced: bool  # the lag was measured once packets came as they were made


class LiveClock:
    """The stream's clock: its shift from the current connection's clock, and the state of the stream so far."""

    def __init__(self, *, in_pieces: bool) -> None:
        """`in_pieces`: media come some seconds at a time, so that the lag is known only to a piece."""
        self.in_pieces = in_pieces
        self.shift = 0.0
        self.end = 0.0  # where the latest packet ends
        self.media_end = 0.0  # the same on the source's own clock
        self.decoded: dict[str, float] = {}  # decode time of the latest packet of each kind
        self.tolerance = _PIECES_TOLERANCE if in_pieces else _TOLERANCE
        self.restart_tolerance = _RESTART_PIECES_TOLERANCE if in_pieces else _RESTART_TOLERANCE
        self.lag = inf  # the least by which a packet's arrival trailed its time when the stream began
        self.is_starting = True  # that is being measured
        self.is_paced = False  # packets come as they are made: the wall clock says something about them
        self.start = Burst(silence_ends=True)
        self.began_at = inf
        self.latest_at = -inf  # when the latest packet came
        self.tail = Tail()
        self.head: set[int] = set()  # digests of the stream's first packets
        self.dropping: set[str] = set()  # kinds that may still be repeated

    def packet(self, packet: TimedPacket, at: float) -> TimedPacket | None:
        """The packet on the stream's clock; None if it repeats one from before the reconnect."""
        moved = packet._replace(time=packet.time + self.shift, decode_time=packet.decode_time + self.shift)
        if packet.kind in self.dropping:
            if moved.decode_time <= self.decoded[packet.kind] + moved.duration / 2:
                return None
            self.dropping.discard(packet.kind)
        self.remember(packet.packet, moved.decode_time)
        self.decoded[packet.kind], self.latest_at = moved.decode_time, at
        if self.is_starting:
            self.measure_lag(at, moved.decode_time)
        if moved.time + moved.duration >= self.end:
            self.end = moved.time + moved.duration
            self.media_end = packet.media_time + packet.duration
        return moved

    def steps_back(self, packet: TimedPacket) -> bool:
        """Whether a packet's time falls back, and not because a server repeats itself; pieces may overlap."""
        if self.in_pieces or packet.kind in self.dropping:
            return False
        return packet.decode_time + self.shift < self.decoded.get(packet.kind, -inf) - STEP_BACK

    def measure_lag(self, at: float, decode_time: float) -> None:
        self.began_at = min(self.began_at, at)
        self.start.add(at, decode_time)
        self.lag = min(self.lag, self.start.low)
        self.is_paced = self.is_paced or self.start.is_over(at)
        self.is_starting = at < self.began_at + _START_SECONDS

    def end_start(self, held: Held) -> None:
        """The lag at the start has been measured: after a fault it is only kept. A silence ends the first burst too."""
        if self.is_starting and held.items:
            self.is_paced = self.is_paced or self.start.is_over(held.items[0].at)
        self.is_starting = False

    def event(self, event: Event) -> Event:
        return Event(event.kind, max(event.time + self.shift, 0.0), event.detail)

    def remember(self, packet: "Packet[Any]", time: float) -> None:
        found = trace(packet, time)
        if found is not None:
            self.tail.remember(found)
            if len(self.head) < _HEAD_PACKETS:
                self.head.add(found.digest)

    def begins_again(self, held: Held) -> bool:
        """Whether a new connection starts with the stream's very first packets, as a file does.

        So does a young stream, if its server sends a viewer all that it holds.
        """
        traces = [trace(packet.packet, 0.0) for packet in held.packets]
        first = {found.digest for found in traces if found is not None}
        if len(self.head) < _HEAD_PACKETS or not self.head <= first:
            return False
        self.end_start(held)
        known = self.find_repeats(held)
        if self.end >= REMEMBERED_SECONDS or known is None or not self.is_on_air(held, known):
            return True
        return held.is_all and abs(held.latest + known - self.end) <= STEP_BACK

    def find_repeats(self, held: Held) -> float | None:
        """Seconds from a new connection's clock to the stream's, by packets that are repeated; None without any."""
        traces = [trace(packet.packet, packet.decode_time) for packet in held.packets]
        return self.tail.shift([found for found in traces if found is not None])

    def resume(self, held: Held) -> list[Event]:
        """Join a new connection, which begins with `held`, to the stream so far; the events describe the join.

        Before the very first packet there is nothing to join: the clock then starts with the connection.
        """
        if not held.packets or not self.decoded:
            return []
        self.end_start(held)
        first = min(packet.decode_time for packet in held.opening)
        known = self.find_repeats(held)
        if known is not None and self.is_on_air(held, known):
            self.shift, self.dropping = known, set(self.decoded)
            repeated = max(self.end - (first + known), 0.0)
            return [Event("replay_dropped", self.end, f"the server repeated {repeated:.1f} s that were seen; dropped")]
        missing = self.measure_missing(held, first)
        self.shift, self.dropping = self.end + missing - first, set()
        if not self.is_paced:  # the first connection was lost before its burst was over
            self.is_starting, self.start, self.began_at = True, Burst(silence_ends=True), inf
        return self.describe_gap(missing)

    def is_on_air(self, held: Held, shift: float) -> bool:
        """Whether media that repeats what was seen can be its latest part, by the wall clock.

        If it cannot, the publisher plays the same file again from somewhere, as streams that never end do.
        """
        if not self.is_paced or abs(held.lag - shift - self.lag) <= _REPEATED_LAG:
            return True
        latest = held.latest + shift
        if self.in_pieces and abs(latest - self.end) < _GAP_SECONDS:
            return True  # a playlist that was left behind when the stream ended
        return not held.is_settled and held.is_fast  # the lag may still fall

    def mark(self) -> ClockMark | None:
        """The clock's place, from any thread; None before the first packet."""
        if self.lag == inf:
            return None
        return ClockMark(self.lag + time.time() - time.monotonic(), self.end - self.media_end, self.is_paced)

    def go_on(self, mark: ClockMark, end: float, held: Held) -> list[Event]:
        """Join the first connection, which begins with `held`, to a stream whose scores another run left at `end`.

        The source's own clock fixes the place if it went on, otherwise the wall clock does.
        """
        first = min(held.opening, key=lambda packet: packet.time)
        lag = mark.lag - time.time() + time.monotonic()
        place = first.time + held.lag - lag
        by_source = first.media_time + mark.shift
        tolerance = self.tolerance if mark.is_paced and held.is_settled else _PIECES_TOLERANCE
        if abs(by_source - place) <= tolerance:
            place = by_source
        elif place < end - _START_SECONDS:  # the machine's clock was set back
            place = end
        self.shift = place - first.time
        self.end, self.media_end = place, first.media_time
        if mark.is_paced:
            self.lag, self.is_starting, self.is_paced = lag, False, True
        if place - end < _GAP_SECONDS:
            return []
        return [Event("gap", end, f"{place - end:.1f} s of the stream are missing: nobody was scoring it")]

    def judge(self, held: Held, jump: Event | None = None, *, steps_back: bool = False) -> list[Event]:
        """Hold the connection's clock to the wall clock after a fault, which `held` follows.

        The fault is a `jump` of that clock, or its time `steps_back`; otherwise a silence.
        """
        events = [] if jump is None else [self.event(jump)]
        late = held.lag - self.shift - self.lag
        restarts = steps_back or (jump is not None and jump.kind == "rebase")
        tolerance = self.restart_tolerance if restarts else self.tolerance
        is_off = (late if steps_back else abs(late)) > tolerance
        if is_off or not steps_back:  # otherwise it may be the stream's own manner
            self.end_start(held)
        if not held.opening:
            return events
        first = min(packet.decode_time for packet in held.opening)
        ahead = first + self.shift - self.end
        is_known = self.is_paced and (held.is_settled or restarts)
        is_early = jump is not None and self._is_early(late, ahead, held)
        if not (is_early or (is_known and is_off)):
            return events
        moved = max(late, -max(ahead, 0.0))  # back at most to the end of the stream so far
        self.shift += moved
        if steps_back:
            events = [Event("rebase", self.end, f"the time stamps jumped back by {-ahead:.1f} s")]
        elif jump is not None and jump.kind == "gap":
            events = [
                Event("rebase", self.end, f"the time stamps jumped ahead by {ahead:.1f} s, against the wall clock")
            ]
        return events + self.describe_gap(ahead + moved)

    def _is_early(self, late: float, ahead: float, held: Held) -> bool:
        """Whether media `ahead` of the stream's end cannot have been made by the time it came.

        A first burst hides the lag: then all that is known is how long nothing came.
        """
        if self.is_paced:
            return late < -_PIECES_TOLERANCE
        return ahead - (held.items[0].at - self.latest_at) > _PIECES_TOLERANCE

    def describe_gap(self, missing: float) -> list[Event]:
        return [Event("gap", self.end, f"{missing:.1f} s of the stream are missing")] if missing >= _GAP_SECONDS else []

    def measure_missing(self, held: Held, first: float) -> float:
        """Seconds of the stream between the last packet before the reconnect and the first after it."""
        by_wall = first + held.lag - self.lag - self.end
        by_source = min(held.opening, key=lambda packet: packet.time).media_time - self.media_end
        tolerance = self.tolerance if self.is_paced and held.is_settled else _PIECES_TOLERANCE
        if by_source > -_GAP_SECONDS and abs(by_source - by_wall) <= tolerance:
            return max(by_source, 0.0)
        return max(by_wall, 0.0)
