"""Compressed video in, the few frames that a segment needs out, with as little decoding as possible.

The frame for an instant is the nearest keyframe before it. If none lies within the tolerance, it is the frame shown
at the instant, decoded forward from the keyframe. Keyframes are held, and the packets after one while they may be
needed.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.segmenter.entry_points import decodes_alone
from kuaihl.engines.types import SAME_TIME

if TYPE_CHECKING:
    from av.packet import Packet, PacketSideData

MAX_HELD_BYTES = 48 << 20  # of packets: beyond it they are decoded early or dropped
_FALLBACKS = 3  # keyframes to try if one is damaged
SETTLED = 2.0  # seconds: no later packet is shown earlier than this before the latest one


@dataclass(eq=False, slots=True)
class Gop:
    """A keyframe and the packets that can only be decoded after it, in decoding order."""

    key: TimedPacket
    followers: list[TimedPacket] = field(default_factory=list)  # packets that the decoder has not received
    alone: bool = True  # the keyframe is a whole picture; otherwise one comes about some frames later
    holed: bool = False  # followers were dropped
    rolling: bool = False  # the decoder is inside it and goes on from there
    closed: bool = False  # the next keyframe has come

    @property
    def size(self) -> int:
        return sum(timed.packet.size for timed in self.followers)


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """How to get the frame of one instant."""

    instant: float
    gop: Gop | None
    forward: bool
    lead: Gop | None = None  # the Gop before, to be decoded first because this one's keyframe is not whole
    packets: tuple[TimedPacket, ...] = ()  # the further packets, if it is decoded forward
    complete: bool = False  # no more packets will follow in this Gop
    others: tuple[TimedPacket, ...] = ()  # keyframes to fall back on if this one is damaged, best first


class KeyframeSelector:
    """The stream's video between demuxer and decoder; instants are `spacing` seconds apart, from `origin` on."""

    def __init__(self, spacing: float, origin: float = 0.0, *, sparing: bool = False) -> None:
        """`sparing`: of keyframes that no instant needs, none is held between two that are less than TOLERANCE apart.

        The frames of a last, shorter segment may then be earlier than without it, by less than that, and so may one
        that stands in for a damaged keyframe.
        """
        self.spacing = spacing
        self.origin = origin
        self.tolerance = spacing / 2
        self.crowded = self.tolerance if sparing else spacing / 20  # seconds; every frame may be a keyframe
        self.gops: deque[Gop] = deque()
        self.held = 0  # bytes of followers
        self.stream: object = None  # whose packets come
        self.header: PacketSideData | None = None  # its decoder's, if it has changed

    def push(self, timed: TimedPacket) -> None:
        if timed.keyframe:
            self.add_header(timed.packet)
            context = timed.packet.stream.codec_context
            self.open(timed, alone=decodes_alone(context.name, bytes(timed.packet), context.extradata))
        elif self.gops:
            self.gops[-1].followers.append(timed)
            self.held += timed.packet.size

    def add_header(self, packet: "Packet[Any]") -> None:
        """Give a keyframe the header that came with an earlier one: that one may never be decoded."""
        if packet.stream is not self.stream:
            self.stream, self.header = packet.stream, None
        if packet.has_sidedata("new_extradata"):
            self.header = packet.get_sidedata("new_extradata")
        elif self.header is not None:
            packet.set_sidedata(self.header)

    def open(self, key: TimedPacket, *, alone: bool = True) -> None:
        """Open a Gop at a keyframe, and drop whatever is no longer needed of the one before it."""
        if self.gops:
            last = self.gops[-1]
            last.closed = True
            if not alone:
                self.spare(key)
            elif key.time - last.key.time <= self.tolerance and not last.rolling and last.alone:
                self.drop(last)
            before = self.gops[-2] if len(self.gops) > 1 else None
            is_crowded = before is not None and before.alone and key.time - before.key.time < self.crowded
            if (
                alone
                and last.alone
                and is_crowded
                and not last.followers
                and not last.rolling
                and not self.instant_in(last.key.time, key.time)
            ):
                self.gops.pop()
        self.gops.append(Gop(key, alone=alone))

    def spare(self, key: TimedPacket) -> None:
        """Drop what no instant needs of the Gop before the last, as one more begins that is not whole."""
        if len(self.gops) > 1:
            before = self.gops[-2]
            if not before.rolling and not self.instant_in(before.key.time, key.time):
                self.drop(before)

    def instant_in(self, start: float, end: float) -> bool:
        """Whether one of the evenly spaced instants lies in [start, end), or SAME_TIME before it, as for `request`."""
        first = self.origin + self.tolerance + SAME_TIME
        return math.ceil(round((start - first) / self.spacing, 6)) < math.ceil(round((end - first) / self.spacing, 6))

    def drop(self, gop: Gop) -> None:
        gop.holed = gop.holed or bool(gop.followers)
        self.empty(gop)

    def empty(self, gop: Gop) -> None:
        self.held -= gop.size
        gop.followers = []

    def request(self, instant: float, tolerance: float) -> FrameRequest:
        """How to get the frame of an instant, which must have passed; instants ascend.

        A tolerance smaller than our own holds if the packets for it are still there.
        """
        shown = [gop for gop in self.gops if gop.key.time <= instant + SAME_TIME]
        gop = shown[-1] if shown else self.gops[0] if self.gops else None  # before the video begins: its first frame
        if gop is not None and not gop.alone and gop.holed and not gop.rolling:  # the next picture that can be had
            later = list(self.gops)[self.gops.index(gop) + 1 :]
            gop = next((one for one in later if one.alone or not one.holed), gop)
        others = [one.key for one in self.gops if one is not gop and one.alone]
        others.sort(key=lambda key: (key.time > instant, abs(key.time - instant)))
        nearest = tuple(others[:_FALLBACKS])
        if gop is not None and not gop.alone and not gop.rolling:
            before = self.before(gop)
            led = (*self.hand_over(before), gop.key) if before is not None else ()
            return FrameRequest(instant, gop, True, before, (*led, *self.hand_over(gop)), self.ends(gop), nearest)
        if gop is not None and (gop.rolling or (gop.followers and instant > gop.key.time + tolerance + SAME_TIME)):
            return FrameRequest(instant, gop, True, None, self.hand_over(gop), self.ends(gop), nearest)
        return FrameRequest(instant, gop, False, others=nearest)

    def ends(self, gop: Gop) -> bool:
        """Whether the decoder may be drained after a Gop: the next one does not need it."""
        at = self.gops.index(gop) + 1
        return gop.closed and (at == len(self.gops) or self.gops[at].alone)

    def before(self, gop: Gop) -> Gop | None:
        """The Gop before, if all of it is there or with the decoder."""
        at = self.gops.index(gop)
        found = self.gops[at - 1] if at else None
        return found if found is not None and (found.rolling or not found.holed) else None

    def hand_over(self, gop: Gop) -> tuple[TimedPacket, ...]:
        """Hand the followers to the decoder, which keeps those that it need not decode yet."""
        packets = tuple(gop.followers)
        self.empty(gop)
        gop.rolling = True
        return packets

    def forget(self, before: float) -> None:
        """Drop all Gops except those that instants from `before` on need."""
        while len(self.gops) > 1 and self.gops[1].key.time <= before + SAME_TIME:
            needed = not self.gops[1].alone and not self.gops[1].rolling
            if needed and (len(self.gops) == 2 or self.gops[2].key.time > before + SAME_TIME):
                return
            self.empty(self.gops.popleft())

    def relieve(self, front: float) -> FrameRequest | None:
        """If too much is held, drop packets that only an early end would need, or decode ahead of the instants."""
        if self.held <= MAX_HELD_BYTES:
            return None
        for gop in self.gops:
            if gop.closed and not gop.rolling:
                self.drop(gop)
        last = self.gops[-1]
        if self.held <= MAX_HELD_BYTES // 2 or front - SETTLED <= last.key.time:
            return None
        return FrameRequest(front - SETTLED, last, True, None, self.hand_over(last))

    def finish(self) -> None:
        """The stream has ended: nothing follows in any Gop."""
        for gop in self.gops:
            gop.closed = True
