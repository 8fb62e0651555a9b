"""One clip in the making: packets of the source go in with their times, a file with times from 0 comes out."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuaihl.engines.types import SAME_TIME

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.stream import Stream

INTERLEAVING = 10.0  # seconds by which one stream may lag behind the other in the file

_MUXERS = {".mp4": "mp4", ".m4a": "mp4", ".webm": "webm", ".mkv": "matroska", ".mka": "matroska"}


@dataclass(frozen=True)
class Header:
    """A decoder's header that arrived mid-stream, with its time; it does not fit the packets before it."""

    time: float
    data: bytes
    size: tuple[int, int] | None = None  # width and height of the picture from then on


@dataclass
class ClipWriter:
    """Copies the packets of [start, end]; times in seconds on the source's clock."""

    path: Path
    streams: Sequence["Stream"]  # of the source
    start: float
    end: float
    origin: float | None  # the clip's time 0: its keyframe; None without video: then its first packet
    barrier: float = math.inf  # from here on packets need another header
    headers: Mapping[int, Header] = field(default_factory=dict)  # by the source's stream index, if not its first header
    output: "OutputContainer | None" = None
    copies: dict[int, "Stream"] = field(default_factory=dict)  # these four by the source's stream index
    last_dts: dict[int, int] = field(default_factory=dict)
    shown: dict[int, float] = field(default_factory=dict)  # latest time of a packet
    passed: set[int] = field(default_factory=set)  # streams that have gone beyond the end
    first: float | None = None
    last: float = 0.0

    @property
    def temporary(self) -> Path:
        return self.path.with_name(f".{self.path.name}.part")

    def offer(self, packet: "Packet[Any]", time: float) -> None:
        """Copy the packet if it belongs to the clip. Raises FFmpeg's error if it cannot be written."""
        index = packet.stream.index
        lag = 0 if packet.dts is None or packet.pts is None else packet.pts - packet.dts
        decoded = time - float(lag * packet.time_base)
        if time >= self.barrier - SAME_TIME:
            self.passed.add(index)
            return
        # Ends by decoding time: the last frames keep the frames that they refer to, and none between is lost.
        shown = self.shown.get(index, -math.inf)
        if decoded >= self.end - SAME_TIME and time > shown:
            if decoded > shown:
                self.passed.add(index)
            return
        # Frames shown before the keyframe are left out even if they follow it: they refer to frames before it.
        begin = self.start if self.origin is None else self.origin
        header = self.headers.get(index)
        if time < (max(begin, header.time) if header else begin) - SAME_TIME:
            return
        if packet.stream.type == "video" and index not in self.last_dts and not packet.is_keyframe:
            return
        if self.output is None:
            self.open()
        if self.origin is None:
            self.origin = time
        self.first = time if self.first is None else min(self.first, time)
        self.last = max(self.last, time + float((packet.duration or 0) * packet.time_base))
        self.shown[index] = max(shown, time)
        self.copy(packet, pts=time - self.origin, dts=decoded - self.origin)

    def open(self) -> None:
        import av

        muxer = _MUXERS[self.path.suffix]
        options = {"movflags": "+faststart"} if muxer == "mp4" else {}
        self.output = av.open(str(self.temporary), "w", format=muxer, options=options)
        for stream in self.streams:
            copy: Any = self.output.add_stream_from_template(stream, opaque=True)
            if header := self.headers.get(stream.index):
                copy.codec_context.extradata = header.data
                if header.size:  # players scale to the size in the container
                    copy.codec_context.width, copy.codec_context.height = header.size
            if muxer == "mp4" and copy.codec_context.codec.canonical_name == "hevc":
                copy.codec_context.codec_tag = "hvc1"  # the other tag, hev1, does not play on Apple's systems
            self.copies[stream.index] = copy
        self.output.start_encoding()  # the container now fixes its streams' time bases

    def copy(self, packet: "Packet[Any]", *, pts: float, dts: float) -> None:
        """Write a packet with times in seconds from the clip's start; the packet itself is unchanged."""
        assert self.output is not None
        index = packet.stream.index
        target = self.copies[index]
        tick = target.time_base
        assert tick is not None
        kept = packet.stream, packet.time_base, packet.pts, packet.dts, packet.duration
        # Decoding times must rise tick by tick in the output, whatever they do in a damaged source.
        ticks = round(dts / tick)
        ticks = max(ticks, self.last_dts.get(index, ticks - 1) + 1)
        self.last_dts[index] = ticks
        packet.stream, packet.time_base = target, tick
        packet.dts, packet.pts = ticks, max(round(pts / tick), ticks)
        packet.duration = round((kept[4] or 0) * kept[1] / tick)
        self.output.mux(packet)
        packet.stream, packet.time_base, packet.pts, packet.dts, packet.duration = kept

    def is_done(self, time: float) -> bool:
        """Whether nothing more can belong to the clip after a packet of this time."""
        return len(self.passed) == len(self.streams) or time > self.end + INTERLEAVING

    def finish(self) -> bool:
        """Put the clip in its place; false if the source ends before its start."""
        if self.output is None:
            return False
        self.output.close()
        self.output = None
        if self.last <= self.start + SAME_TIME:  # nothing but the lead-in from the keyframe
            return False
        self.temporary.replace(self.path)
        return True

    def clean_up(self) -> None:
        """Remove everything but a finished clip."""
        if self.output is not None:
            with suppress(OSError, ValueError):
                self.output.close()
        self.temporary.unlink(missing_ok=True)
