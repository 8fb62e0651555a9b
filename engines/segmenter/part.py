"""A part of a recording: the packets that its segments need come out, those before and after are dropped.

Nothing seeks. Only a pass from the beginning can place time stamps that jump or restart. So a part has the same times
as in the whole recording, and reading without decoding takes little time.
"""

from collections.abc import Iterable, Iterator

from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.segmenter.keyframes import MAX_HELD_BYTES
from kuaihl.engines.segmenter.segmenter import LAG
from kuaihl.engines.types import Event
from kuaihl.models.errors import SourceError

_SOUND_BEFORE = 0.5  # seconds that a decoder of sound may need to find its way


def part_of(
    name: str, stream: Iterable[TimedPacket | Event], start: float, end: float | None
) -> Iterator[TimedPacket | Event]:
    """The items of [start, end) in seconds of the stream's clock; the last one is always the event `eof`.

    The video since the last keyframe before `start` comes along, for the first frames may need it. `name` is the
    recording's name. Raises SourceError if the recording ends before `start`.
    """
    opening = _Opening(start)
    for item in stream:
        if isinstance(item, Event):
            if item.kind == "eof" and not opening.begun:
                raise SourceError(f"{name}: ends at {item.time:.1f} s, before the part that begins at {start:.1f} s")
            yield from opening.event(item)
            continue
        if end is not None:
            if item.decode_time >= end + LAG:
                yield Event("eof", end, "end of the part")
                return
            if item.time >= end:
                continue
        yield from opening.packet(item)


class _Opening:
    """The items held back before a part begins."""

    def __init__(self, start: float) -> None:
        self.start = start
        self.begun = False  # something of the part has come
        self.group: list[TimedPacket] | None = []  # the video since the last keyframe; None once the video has begun
        self.held = 0  # its bytes
        self.gap: Event | None = None  # a gap that may reach into the part

    def event(self, event: Event) -> Iterator[Event]:
        if event.kind == "eof" or event.time >= self.start:
            yield event
        elif event.kind == "gap":
            self.gap = event

    def packet(self, timed: TimedPacket) -> Iterator[TimedPacket | Event]:
        gap, self.gap = self.gap, None
        if timed.kind == "audio":
            if timed.time + timed.duration <= self.start - _SOUND_BEFORE:
                return
        elif self.group is not None:
            self.hold(timed)
            if timed.time < self.start or not self.group:
                return
        if gap is not None and timed.time > self.start:
            yield gap
        self.begun = self.begun or timed.time >= self.start
        if timed.kind == "video" and self.group is not None:
            yield from self.group
            self.group = None
        else:
            yield timed

    def hold(self, timed: TimedPacket) -> None:
        """Keep the video from the latest keyframe on; drop it all beyond MAX_HELD_BYTES."""
        assert self.group is not None
        if timed.keyframe:
            self.group, self.held = [timed], timed.packet.size
        elif self.group:
            self.group.append(timed)
            self.held += timed.packet.size
            if self.held > MAX_HELD_BYTES:
                self.group = []
