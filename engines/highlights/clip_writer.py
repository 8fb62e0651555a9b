"""One clip in the making: packets on the run's clock go in, a file with times from 0 comes out."""

from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Literal, Protocol

from kuaihl.engines.highlights.clip_file import ClipFile
from kuaihl.engines.highlights.cutting_points import INTERLEAVING, Kind, Piece
from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.types import SAME_TIME

# How a clip was made: all of it copied; re-encoded up to the first keyframe, then copied; or its picture re-encoded.
CutName = Literal["copy", "smart", "encode"]


class Writer(Protocol):
    """What makes one clip of a piece; times in seconds on the run's clock."""

    piece: Piece
    first: float | None  # of the clip's media; None before there is any
    last: float

    @property
    def path(self) -> Path: ...

    @property
    def cut(self) -> CutName: ...

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of its picture; None if unknown, or without one."""
        ...

    @property
    def begin(self) -> float:
        """The time of the first packet that may belong to the clip."""
        ...

    def offer(self, timed: TimedPacket) -> None:
        """Use the packet if it belongs to the clip. Raises FFmpeg's error if it cannot be written."""
        ...

    def is_done(self, time: float) -> bool:
        """Whether nothing more can belong to the clip after a packet of this time."""
        ...

    def finish(self) -> bool:
        """Put the clip in its place; false if the recording ends before its start. Raises FFmpeg's errors."""
        ...

    def clean_up(self) -> None:
        """Remove everything but a finished clip."""
        ...


def is_beyond(timed: TimedPacket, end: float, shown: float) -> bool:
    """Whether a packet to copy is beyond the end; `shown` is the latest time of those before it.

    It ends by decoding time: the last frames keep the frames that they refer to, and none between is lost.
    """
    return timed.decode_time >= end - SAME_TIME and timed.time > shown


@dataclass
class ClipWriter:
    """Copies the packets of a piece, from the keyframe at or before its start."""

    file: ClipFile
    piece: Piece
    origin: float | None = None  # the clip's time 0: its keyframe, or its first packet without video
    shown: dict[Kind, float] = field(default_factory=dict)  # latest time of a packet
    passed: set[Kind] = field(default_factory=set)  # streams that have gone beyond the end
    first: float | None = None
    last: float = 0.0

    cut: CutName = "copy"

    @property
    def path(self) -> Path:
        return self.file.path

    @property
    def size(self) -> tuple[int, int] | None:
        coding = self.piece.codings.get("video")
        return None if coding is None else coding.size

    @property
    def begin(self) -> float:
        return self.piece.start if self.piece.origin is None else self.piece.origin

    def offer(self, timed: TimedPacket) -> None:
        kind, packet, time, decoded, piece = timed.kind, timed.packet, timed.time, timed.decode_time, self.piece
        coding = piece.codings.get(kind)
        if coding is None:
            return
        if time >= piece.barrier - SAME_TIME:
            self.passed.add(kind)
            return
        shown = self.shown.get(kind, -inf)
        if is_beyond(timed, piece.end, shown):
            if decoded > shown:
                self.passed.add(kind)
            return
        # Frames shown before the keyframe are left out even if they follow it: they refer to frames before it.
        if time < max(self.begin, coding.time) - SAME_TIME:
            return
        if kind == "video" and kind not in self.shown and not timed.keyframe:
            return
        if kind == "video" and packet.pts is None and packet.dts is None:
            return  # its place among reordered pictures is known to its decoder alone
        if self.file.output is None:
            self.open()
        if self.origin is None:
            self.origin = time if piece.origin is None else piece.origin
        self.first = time if self.first is None else min(self.first, time)
        self.last = max(self.last, time + timed.duration)
        self.shown[kind] = max(shown, time)
        self.file.write(kind, packet, pts=time - self.origin, dts=decoded - self.origin)

    def open(self) -> None:
        self.file.open()
        for kind, coding in self.piece.codings.items():
            self.file.add_copy(kind, coding)
        self.file.begin()

    def is_done(self, time: float) -> bool:
        return len(self.passed) == len(self.piece.codings) or time > self.piece.end + INTERLEAVING

    def finish(self) -> bool:
        if self.file.output is None:
            return False
        self.file.close()
        if self.last <= self.piece.start + SAME_TIME:  # nothing but the lead-in from the keyframe
            return False
        self.file.keep()
        return True

    def clean_up(self) -> None:
        self.file.clean_up()
