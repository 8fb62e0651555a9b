"""What is held back after a fault until its burst is over, and the lag that it shows.

The new time stamps may jump once more meanwhile, as those of a publisher who comes, goes and comes again do. The lag of
what came first is then hidden in its burst. But its media was made before that after the jump, which bounds its lag.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from kuaihl.engines.ingest.burst import Burst
from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.types import Event

JUMPS = ("gap", "rebase")  # what a connection tells of its own clock
STEP_BACK = 0.05  # seconds: decode times of a kind rise; a longer step back is a jump that the connection let pass


class Arrived(NamedTuple):
    """A packet or an event, and the moment (time.monotonic) at which it came out of the connection."""

    item: TimedPacket | Event
    at: float
    waited: float = 0.0  # seconds that nothing came before it

    @property
    def is_end(self) -> bool:
        """Whether the connection ends with it."""
        return isinstance(self.item, Event) and self.item.kind == "eof"


@dataclass(frozen=True)
class Held:
    """What was held back after a fault until its burst was over."""

    items: list[Arrived]
    lag: float  # the least by which a packet's arrival trails its time on the connection's clock, without later jumps
    is_settled: bool  # the burst is over, without a jump, so that this is the connection's own lag
    jump_at: int | None = None  # which of the items is the first after a jump

    @property
    def packets(self) -> list[TimedPacket]:
        return [arrived.item for arrived in self.items if isinstance(arrived.item, TimedPacket)]

    @property
    def opening(self) -> list[TimedPacket]:
        """The packets before a jump."""
        return [arrived.item for arrived in self.items[: self.jump_at] if isinstance(arrived.item, TimedPacket)]

    @property
    def latest(self) -> float:
        """Where the packets end."""
        return max(packet.time + packet.duration for packet in self.packets)

    @property
    def is_all(self) -> bool:
        """Whether the connection has ended."""
        return self.items[-1].is_end

    @property
    def is_fast(self) -> bool:
        """Whether the opening came at least twice as fast as it is shown."""
        came = [(at, item.decode_time) for item, at, _ in self.items[: self.jump_at] if isinstance(item, TimedPacket)]
        (began, first), (ended, last) = came[0], came[-1]
        return last - first >= 2 * (ended - began)


class Holding:
    """Items that are being held back."""

    def __init__(self, items: Iterable[Arrived], *, in_pieces: bool) -> None:
        """`in_pieces`: media come some seconds at a time."""
        self.in_pieces = in_pieces
        self.items: list[Arrived] = []
        self.lag = inf
        self.burst = Burst(silence_ends=in_pieces)  # since the last jump
        self.highest: dict[str, float] = {}  # decode time by kind since the last jump
        self.is_jumping = False  # the next packet comes after a jump
        self.fallen: list[tuple[int, Arrived]] = []  # packets that stepped back, with their numbers
        self.jump_at: int | None = None
        self.skipped = 0.0  # seconds that the connection's clock went ahead in jumps
        for arrived in items:
            self.add(arrived)

    def add(self, arrived: Arrived) -> None:
        item, number = arrived.item, len(self.items)
        self.items.append(arrived)
        if isinstance(item, Event):
            self.is_jumping = self.is_jumping or item.kind in JUMPS
        elif self.is_jumping:
            self.jump([(number, arrived)])
        elif item.decode_time >= self.highest.get(item.kind, -inf) - STEP_BACK:
            self.fallen = [fell for fell in self.fallen if fell[1].item.kind != item.kind]
            self.measure(arrived.at, item)
        else:
            is_stray = all(fell.item.kind != item.kind for _, fell in self.fallen)  # one by itself is no jump
            self.fallen.append((number, arrived))
            if not is_stray:
                self.jump(self.fallen)

    def jump(self, later: list[tuple[int, Arrived]]) -> None:
        """Measure anew with the packets `later`, which come after a jump."""
        number, first = later[0]
        if self.highest and isinstance(first.item, TimedPacket):
            self.skipped += first.item.decode_time - max(self.highest.values())
            self.jump_at = number if self.jump_at is None else self.jump_at
        self.burst, self.highest = Burst(silence_ends=self.in_pieces), {}
        self.fallen, self.is_jumping = [], False
        for _, arrived in later:
            if isinstance(arrived.item, TimedPacket):
                self.measure(arrived.at, arrived.item)

    def measure(self, at: float, packet: TimedPacket) -> None:
        self.highest[packet.kind] = max(packet.decode_time, self.highest.get(packet.kind, -inf))
        self.burst.add(at, packet.decode_time)
        self.lag = min(self.lag, at - packet.decode_time + self.skipped)

    def held(self, now: float) -> Held:
        is_settled = self.jump_at is None and self.burst.is_over(now)
        return Held(self.items, self.lag, is_settled, self.jump_at)
