"""Finds the tail that a server repeats after a reconnect: keeps the last packets, and compares repeats by their bytes.

Media servers first send a viewer the media they hold, back to a keyframe or for three HLS segments. A returning
viewer has seen it already. One packet that is surely the same gives the difference between the connections' clocks.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.packet import Packet

REMEMBERED_SECONDS = 60.0  # three HLS segments of 20 s; servers hold no more
_REMEMBERED_PACKETS = 8192  # a bound in case packets carry wild times
_TELLING_BYTES = 64  # smaller packets (silence, skipped pictures) are alike too often
_AGREE_SECONDS = 0.1  # how far the packets' shifts may differ


@dataclass(frozen=True)
class Trace:
    """The record of a packet: the digest of its bytes, and its time in seconds on the caller's clock."""

    digest: bytes
    time: float


def trace(packet: "Packet[Any]", time: float) -> Trace | None:
    """A packet's trace, or None if it is too small to tell from others."""
    if packet.size < _TELLING_BYTES:
        return None
    return Trace(blake2b(packet, digest_size=16).digest(), time)


class Tail:
    """The last packets of a stream, for as long as a server may repeat them."""

    def __init__(self) -> None:
        self.traces: deque[Trace] = deque(maxlen=_REMEMBERED_PACKETS)

    def remember(self, found: Trace) -> None:
        self.traces.append(found)
        while self.traces[0].time < found.time - REMEMBERED_SECONDS:
            self.traces.popleft()

    def shift(self, fresh: Iterable[Trace]) -> float | None:
        """Seconds to add to the new connection's clock to get the old one's; None if nothing is repeated.

        Packets that occur twice on either side are ignored. Most of the others must agree.
        """
        ours, theirs = _find_unique(self.traces), _find_unique(fresh)
        shifts = [ours[digest] - theirs[digest] for digest in theirs.keys() & ours.keys()]
        if not shifts:
            return None
        middle = median(shifts)
        agreeing = sum(abs(shift - middle) <= _AGREE_SECONDS for shift in shifts)
        return middle if 2 * agreeing > len(shifts) else None


def _find_unique(traces: Iterable[Trace]) -> dict[bytes, float]:
    """Digest to time, for digests that occur once."""
    times: dict[bytes, float] = {}
    twice: set[bytes] = set()
    for item in traces:
        if item.digest in times:
            twice.add(item.digest)
        times[item.digest] = item.time
    return {digest: time for digest, time in times.items() if digest not in twice}
