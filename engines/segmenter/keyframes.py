"""Compressed video in, the few frames that a segment needs out, with as little decoding as the truth allows.

For an instant it is the keyframe nearest before it; where none lies within TOLERANCE, the frame shown at the instant,
decoded forward from the keyframe. Held are keyframes, and the packets after a keyframe while they may be needed.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.types import SAME_TIME

MAX_HELD_BYTES = 48 << 20  # of packets: beyond it they are decoded early or dropped
_FALLBACKS = 3  # keyframes to try where one is damaged
SETTLED = 2.0  # seconds: no later packet is shown so long before the latest one


@dataclass(eq=False, slots=True)
class Gop:
    """A keyframe and what can be decoded after it alone, in decoding order."""

    key: TimedPacket
    followers: list[TimedPacket] = field(default_factory=list)  # those that the decoder has not been given
    rolling: bool = False  # the decoder has gone into it and goes on from there
    closed: bool = False  # the next keyframe has come

    @property
    def size(self) -> int:
        return sum(timed.packet.size for timed in self.followers)


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """How to come by the frame of one instant."""

    instant: float
    gop: Gop | None
    forward: bool
    packets: tuple[TimedPacket, ...] = ()  # the Gop's further packets, where it is decoded forward
    complete: bool = False  # no more packets will follow in this Gop
    others: tuple[TimedPacket, ...] = ()  # keyframes to fall back on where this one is damaged, best first


class KeyframeSelector:
    """The stream's video between demuxer and decoder; instants are `spacing` seconds apart, from `origin` on."""

    def __init__(self, spacing: float, origin: float = 0.0) -> None:
        self.spacing = spacing
        self.origin = origin
        self.tolerance = spacing / 2
        self.gops: deque[Gop] = deque()
        self.held = 0  # bytes of followers

    def push(self, timed: TimedPacket) -> None:
        if timed.keyframe:
            self.open(timed)
        elif self.gops:
            self.gops[-1].followers.append(timed)
            self.held += timed.packet.size

    def open(self, key: TimedPacket) -> None:
        """A keyframe has come: what is no longer needed of the Gop before it goes."""
        if self.gops:
            last = self.gops[-1]
            last.closed = True
            if key.time - last.key.time <= self.tolerance and not last.rolling:
                self.empty(last)
            crowded = len(self.gops) > 1 and key.time - self.gops[-2].key.time < self.spacing / 20
            if crowded and not last.followers and not last.rolling and not self.instant_in(last.key.time, key.time):
                self.gops.pop()  # every frame is a keyframe: a few a second are enough
        self.gops.append(Gop(key))

    def instant_in(self, start: float, end: float) -> bool:
        """Whether one of the evenly spaced instants lies in [start, end)."""
        first = self.origin + self.tolerance
        return math.ceil(round((start - first) / self.spacing, 6)) < math.ceil(round((end - first) / self.spacing, 6))

    def empty(self, gop: Gop) -> None:
        self.held -= gop.size
        gop.followers = []

    def request(self, instant: float, tolerance: float) -> FrameRequest:
        """The way to the frame of an instant, which must have passed; instants ascend.

        A lesser tolerance than our own holds where the packets for it are still there.
        """
        shown = [gop for gop in self.gops if gop.key.time <= instant + SAME_TIME]
        gop = shown[-1] if shown else self.gops[0] if self.gops else None  # before the video begins: its first frame
        others = [one.key for one in self.gops if one is not gop]
        others.sort(key=lambda key: (key.time > instant, abs(key.time - instant)))
        nearest = tuple(others[:_FALLBACKS])
        if gop is not None and (gop.rolling or (gop.followers and instant > gop.key.time + tolerance + SAME_TIME)):
            return FrameRequest(instant, gop, True, self.hand_over(gop), gop.closed, nearest)
        return FrameRequest(instant, gop, False, others=nearest)

    def hand_over(self, gop: Gop) -> tuple[TimedPacket, ...]:
        """The followers for the decoder, which keeps what it need not decode yet."""
        packets = tuple(gop.followers)
        self.empty(gop)
        gop.rolling = True
        return packets

    def forget(self, before: float) -> None:
        """Drop all Gops but those that instants from `before` on need."""
        while len(self.gops) > 1 and self.gops[1].key.time <= before + SAME_TIME:
            self.empty(self.gops.popleft())

    def relieve(self, front: float) -> FrameRequest | None:
        """Where too much is held: drop what only an early end would need, else decode ahead of the instants."""
        if self.held <= MAX_HELD_BYTES:
            return None
        for gop in self.gops:
            if gop.closed and not gop.rolling:
                self.empty(gop)
        last = self.gops[-1]
        if self.held <= MAX_HELD_BYTES // 2 or front - SETTLED <= last.key.time:
            return None
        return FrameRequest(front - SETTLED, last, True, self.hand_over(last))

    def finish(self) -> None:
        """The stream has ended: nothing follows in any Gop."""
        for gop in self.gops:
            gop.closed = True
