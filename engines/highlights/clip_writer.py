"""One clip in the making: packets on the run's clock go in, a file with times from 0 comes out."""

from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuaihl.engines.highlights.cutting_points import INTERLEAVING, Kind, Piece
from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.types import SAME_TIME

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.stream import Stream

_MUXERS = {".mp4": "mp4", ".m4a": "mp4", ".webm": "webm", ".mkv": "matroska", ".mka": "matroska"}


@dataclass
class ClipWriter:
    """Copies the packets of a piece; times in seconds on the run's clock."""

    path: Path
    piece: Piece
    output: "OutputContainer | None" = None
    origin: float | None = None  # the clip's time 0: its keyframe, or its first packet without video
    copies: dict[Kind, "Stream"] = field(default_factory=dict)
    last_dts: dict[Kind, int] = field(default_factory=dict)
    shown: dict[Kind, float] = field(default_factory=dict)  # latest time of a packet
    passed: set[Kind] = field(default_factory=set)  # streams that have gone beyond the end
    first: float | None = None
    last: float = 0.0

    @property
    def temporary(self) -> Path:
        return self.path.with_name(f".{self.path.name}.part")

    @property
    def begin(self) -> float:
        """The time of the first packet that may belong to the clip."""
        return self.piece.start if self.piece.origin is None else self.piece.origin

    def offer(self, timed: TimedPacket) -> None:
        """Copy the packet if it belongs to the clip. Raises FFmpeg's error if it cannot be written."""
        kind, packet, time, decoded, piece = timed.kind, timed.packet, timed.time, timed.decode_time, self.piece
        coding = piece.codings.get(kind)
        if coding is None:
            return
        if time >= piece.barrier - SAME_TIME:
            self.passed.add(kind)
            return
        # Ends by decoding time: the last frames keep the frames that they refer to, and none between is lost.
        shown = self.shown.get(kind, -inf)
        if decoded >= piece.end - SAME_TIME and time > shown:
            if decoded > shown:
                self.passed.add(kind)
            return
        # Frames shown before the keyframe are left out even if they follow it: they refer to frames before it.
        if time < max(self.begin, coding.time) - SAME_TIME:
            return
        if kind == "video" and kind not in self.last_dts and not timed.keyframe:
            return
        if kind == "video" and packet.pts is None and packet.dts is None:
            return  # its place among reordered pictures is known to its decoder alone
        if self.output is None:
            self.open()
        if self.origin is None:
            self.origin = time if piece.origin is None else piece.origin
        self.first = time if self.first is None else min(self.first, time)
        self.last = max(self.last, time + timed.duration)
        self.shown[kind] = max(shown, time)
        self.copy(kind, packet, pts=time - self.origin, dts=decoded - self.origin)

    def open(self) -> None:
        import av

        muxer = _MUXERS[self.path.suffix]
        options = {"movflags": "+faststart"} if muxer == "mp4" else {}
        # Absolute: FFmpeg takes what stands before a colon in a relative path for a protocol.
        self.output = av.open(str(self.temporary.absolute()), "w", format=muxer, options=options)
        for kind, coding in self.piece.codings.items():
            copy: Any = self.output.add_stream_from_template(coding.stream, opaque=True)
            if coding.header is not None:
                copy.codec_context.extradata = coding.header
            if coding.size:  # players scale to the size in the container
                copy.codec_context.width, copy.codec_context.height = coding.size
            if muxer == "mp4" and copy.codec_context.codec.canonical_name == "hevc":
                copy.codec_context.codec_tag = "hvc1"  # the other tag, hev1, does not play on Apple's systems
            self.copies[kind] = copy
        self.output.start_encoding()  # the container now fixes its streams' time bases

    def copy(self, kind: Kind, packet: "Packet[Any]", *, pts: float, dts: float) -> None:
        """Write a packet with times in seconds from the clip's start; the packet itself is unchanged."""
        assert self.output is not None
        target = self.copies[kind]
        tick = target.time_base
        assert tick is not None
        kept = packet.stream, packet.time_base, packet.pts, packet.dts, packet.duration
        # Decoding times must rise tick by tick in the output, whatever they do in a damaged source.
        ticks = round(dts / tick)
        ticks = max(ticks, self.last_dts.get(kind, ticks - 1) + 1)
        self.last_dts[kind] = ticks
        packet.stream, packet.time_base = target, tick
        packet.dts, packet.pts = ticks, max(round(pts / tick), ticks)
        packet.duration = round((kept[4] or 0) * kept[1] / tick)
        try:
            self.output.mux(packet)
        finally:
            packet.stream, packet.time_base, packet.pts, packet.dts, packet.duration = kept

    def is_done(self, time: float) -> bool:
        """Whether nothing more can belong to the clip after a packet of this time."""
        return len(self.passed) == len(self.piece.codings) or time > self.piece.end + INTERLEAVING

    def finish(self) -> bool:
        """Put the clip in its place; false if the recording ends before its start. Raises FFmpeg's errors."""
        if self.output is None:
            return False
        output, self.output = self.output, None
        output.close()
        if self.last <= self.piece.start + SAME_TIME:  # nothing but the lead-in from the keyframe
            return False
        self.temporary.replace(self.path)
        return True

    def clean_up(self) -> None:
        """Remove everything but a finished clip."""
        if self.output is not None:
            with suppress(OSError, ValueError):
                self.output.close()
            self.output = None
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)
