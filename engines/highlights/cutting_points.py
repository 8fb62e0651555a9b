"""Where a recording can be cut: its keyframes, its missing media and the changes of its coding, on the run's clock."""

import math
from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.types import SAME_TIME, Event

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

INTERLEAVING = 10.0  # seconds by which one stream may lag behind the other in the file

_HEADERS_TOGETHER = 1.0  # seconds; a restarted encoder renews the headers of sound and picture almost together
PAUSE = 30.0  # seconds without a packet after which a stream counts as paused; a still screen sends few
_REORDER = 0.5  # seconds by which the first packet after missing media may be shown later than its keyframe

Kind = Literal["video", "audio"]
Spans = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Coding:
    """How a stream is coded from a time on. A container has one coding per stream, so no clip crosses a change."""

    time: float
    stream: "Stream"  # of the recording; the model of a clip's stream
    header: bytes | None = None  # the decoder's
    size: tuple[int, int] | None = None  # width and height of a picture; None if unknown

    @property
    def codec(self) -> str:
        """`h264`, `aac`, …: the codec's own name, not that of its decoder."""
        context: Any = self.stream.codec_context
        return str(context.codec.canonical_name)


@dataclass(frozen=True)
class Piece:
    """A piece of a recording that fits into one file; times in seconds on the run's clock."""

    start: float
    end: float
    origin: float | None  # the keyframe to begin at; None without video
    barrier: float  # media from here on does not belong, even if earlier media refers to it; infinite if there is none
    codings: Mapping[Kind, Coding]  # of the streams that it has


@dataclass
class CuttingPoints:
    """What a `Survey` found, in order of time."""

    keyframes: "array[float]" = field(default_factory=lambda: array("d"))  # 8 bytes each: even a day of them fits
    codings: dict[Kind, list[Coding]] = field(default_factory=dict)
    gaps: list[tuple[float, float]] = field(default_factory=list)  # media is missing
    pauses: dict[Kind, list[tuple[float, float]]] = field(default_factory=dict)  # one stream goes on without the other

    def piece(self, start: float, end: float) -> Piece | None:
        """The longest piece of [start, end) without missing media and without a change of coding; None without media.

        It begins at the keyframe at or before its start, unless media is missing between them: then at the next one.
        """
        pieces = [
            part
            for present in _present_spans(start, end, self.gaps)
            for part in pairwise([present[0], *self._changes_within(*present), present[1]])
        ]
        if not pieces:
            return None
        first, last = max(pieces, key=lambda part: part[1] - part[0])
        barrier = last if last < end else math.inf
        origin = self._keyframe_for(first, last)
        begin = first if origin is None else origin
        codings = {
            kind: coding
            for kind in sorted(self.codings, reverse=True)  # the picture first, as players expect
            if (kind == "audio" or origin is not None) and (coding := self._coding_for(kind, begin, last)) is not None
        }
        return Piece(first, last, origin, barrier, codings) if codings else None

    def _changes_within(self, start: float, end: float) -> list[float]:
        """The times at which the coding changes. A change of sound with the picture counts as one."""
        pictures = [coding.time for coding in self.codings.get("video", [])[1:]]
        sounds = [coding.time for coding in self.codings.get("audio", [])[1:]]
        alone = [time for time in sounds if all(abs(time - other) > _HEADERS_TOGETHER for other in pictures)]
        return [time for time in sorted(pictures + alone) if start < time < end]

    def _keyframe_for(self, start: float, end: float) -> float | None:
        """The keyframe to begin at; None if the picture is missing all along."""
        holes = [*self.gaps, *self.pauses.get("video", ())]
        floor = max((after for before, after in holes if before <= start + SAME_TIME), default=-math.inf) - _REORDER
        index = bisect_right(self.keyframes, start + SAME_TIME) - 1
        if index < 0 or self.keyframes[index] < floor:
            index = bisect_right(self.keyframes, max(start, floor))
        return self.keyframes[index] if index < len(self.keyframes) and self.keyframes[index] < end else None

    def _coding_for(self, kind: Kind, begin: float, end: float) -> Coding | None:
        """The coding of a stream from `begin` on; None if it has nothing before `end`."""
        if any(before <= begin + SAME_TIME and after >= end for before, after in self.pauses.get(kind, ())):
            return None
        late = SAME_TIME if kind == "video" else _HEADERS_TOGETHER
        found = [coding for coding in self.codings[kind] if coding.time <= begin + late]
        return found[-1] if found else next((one for one in self.codings[kind] if one.time < end), None)


def _present_spans(start: float, end: float, missing: Spans) -> list[tuple[float, float]]:
    """What is left of [start, end) without the missing spans, which are in order."""
    present = []
    for before, after in missing:
        if before >= end or after <= start:
            continue
        if before > start + SAME_TIME:
            present.append((start, before))
        start = max(start, after)
    return [*present, (start, end)] if start < end - SAME_TIME else present


@dataclass
class Survey:
    """Notes where a recording can be cut while its packets pass; it decodes nothing."""

    points: CuttingPoints = field(default_factory=CuttingPoints)
    ends: dict[Kind, float] = field(default_factory=dict)  # of the latest packet
    streams: "dict[Kind, Stream]" = field(default_factory=dict)
    gap: float | None = None  # media is missing from this time on

    def note(self, item: TimedPacket | Event) -> None:
        if isinstance(item, Event):
            if item.kind == "gap":
                self.gap = item.time
            return
        kind, packet, time = item.kind, item.packet, item.time
        if self.gap is not None:
            self.points.gaps.append((self.gap, time))
            self.gap = None
        if time > self.ends.get(kind, 0.0) + PAUSE:
            self.points.pauses.setdefault(kind, []).append((self.ends.get(kind, 0.0), time))
        self.ends[kind] = time + item.duration
        if item.keyframe:
            self.points.keyframes.append(time)
        if packet.stream is not self.streams.get(kind) or packet.has_sidedata("new_extradata"):
            self.streams[kind] = packet.stream
            _note_coding(self.points.codings.setdefault(kind, []), packet, time)

    def forget(self, before: float) -> None:
        """Drop what lies before a time, except keyframes: whoever holds packets knows which of those are left."""
        points = self.points
        points.gaps = [gap for gap in points.gaps if gap[1] > before]
        for kind, pauses in points.pauses.items():
            points.pauses[kind] = [pause for pause in pauses if pause[1] > before]
        for codings in points.codings.values():
            del codings[: max(sum(coding.time <= before for coding in codings) - 1, 0)]

    def points_at(self, reached: float) -> CuttingPoints:
        """What is known after a packet of this time, or, if it is infinite, at the end of the recording."""
        pauses = {kind: list(found) for kind, found in self.points.pauses.items()}
        for kind, end in self.ends.items():
            if reached > end + PAUSE:
                pauses.setdefault(kind, []).append((end, math.inf))
        return replace(self.points, pauses=pauses)


def _note_coding(codings: list[Coding], packet: "Packet[Any]", time: float) -> None:
    """Add the coding from a packet on, if it is another; servers repeat the same header after a reconnect."""
    stream = packet.stream
    fresh = bytes(packet.get_sidedata("new_extradata")) if packet.has_sidedata("new_extradata") else None
    # Taken down now, for the demuxer changes its streams when another header comes.
    found = Coding(time, stream, fresh if fresh is not None else _header_of(stream), _size_of(stream))
    if codings and (codings[-1].header, codings[-1].codec) == (found.header, found.codec):
        return
    if codings and fresh is not None:
        found = Coding(time, stream, fresh, _picture_size(packet, fresh))
    codings.append(found)


def _size_of(stream: "Stream") -> tuple[int, int] | None:
    context: Any = stream.codec_context
    return (context.width, context.height) if stream.type == "video" and context.width else None


def _header_of(stream: "Stream") -> bytes | None:
    context: Any = stream.codec_context
    return None if context.extradata is None else bytes(context.extradata)


def _picture_size(packet: "Packet[Any]", header: bytes) -> tuple[int, int] | None:
    """Width and height of the frame in a packet with a new header; None for sound or a damaged frame."""
    import av

    if packet.stream.type != "video":
        return None
    context: Any = av.CodecContext.create(packet.stream.codec_context.codec.name, "r")
    context.extradata = header
    with suppress(av.FFmpegError):
        for frame in [*context.decode(packet), *context.decode(None)]:
            return frame.width, frame.height
    return None
