"""Finds the tail that a server repeats after a reconnect: keeps the last packets, and compares repeats by their bytes.

Media servers first send a viewer the media they hold, back to a keyframe or for three HLS segments. A returning
viewer has seen it already. One packet that is surely the same gives the difference between the connections' clocks.
"""

from array import array
from collections.abc import Iterable
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from av.packet import Packet

REMEMBERED_SECONDS = 60.0  # three HLS segments of 20 s; servers hold no more
_REMEMBERED_PACKETS = 8192  # a bound in case packets carry wild times
_SPARE_PACKETS = 1024  # forgotten ones that may still take place
_TELLING_BYTES = 64  # smaller packets (silence, skipped pictures) are alike too often
_AGREE_SECONDS = 0.1  # how far the packets' shifts may differ


class Trace(NamedTuple):
    """The record of a packet: Python's hash of its bytes, and its time in seconds on the caller's clock."""

    digest: int  # 64 bits, with a key that only this process knows
    time: float


def trace(packet: "Packet[Any]", time: float) -> Trace | None:
    """A packet's trace, or None if it is too small to tell from others."""
    if packet.size < _TELLING_BYTES:
        return None
    return Trace(hash(memoryview(packet).toreadonly()), time)


class Tail:
    """The last packets of a stream, for as long as a server may repeat them; 16 bytes each, for there are thousands."""

    def __init__(self) -> None:
        self.digests = array("q")
        self.times = array("d")
        self.first = 0  # the place of the oldest that is remembered

    def __len__(self) -> int:
        return len(self.times) - self.first

    def remember(self, found: Trace) -> None:
        self.digests.append(found.digest)
        self.times.append(found.time)
        self.first = max(self.first, len(self.times) - _REMEMBERED_PACKETS)
        while self.times[self.first] < found.time - REMEMBERED_SECONDS:
            self.first += 1
        if self.first >= _SPARE_PACKETS:
            del self.digests[: self.first], self.times[: self.first]
            self.first = 0

    def shift(self, fresh: Iterable[Trace]) -> float | None:
        """Seconds to add to the new connection's clock to get the old one's; None if nothing is repeated.

        Packets that occur twice on either side are ignored. Most of the others must agree.
        """
        ours = _find_unique(zip(self.digests[self.first :], self.times[self.first :], strict=True))
        theirs = _find_unique(fresh)
        shifts = [ours[digest] - theirs[digest] for digest in theirs.keys() & ours.keys()]
        if not shifts:
            return None
        middle = median(shifts)
        agreeing = sum(abs(shift - middle) <= _AGREE_SECONDS for shift in shifts)
        return middle if 2 * agreeing > len(shifts) else None


def _find_unique(traces: Iterable[tuple[int, float]]) -> dict[int, float]:
    """Digest to time, for digests that occur once."""
    times: dict[int, float] = {}
    twice: set[int] = set()
    for digest, time in traces:
        if digest in times:
            twice.add(digest)
        times[digest] = time
    return {digest: time for digest, time in times.items() if digest not in twice}
