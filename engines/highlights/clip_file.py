"""A clip's file in the making: packets with times from 0 go in; it stands under its name only when it is whole."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuaihl.engines.highlights.cutting_points import Coding, Kind

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.stream import Stream

_MUXERS = {".mp4": "mp4", ".m4a": "mp4", ".webm": "webm", ".mkv": "matroska", ".mka": "matroska"}


@dataclass
class ClipFile:
    """The container of a clip; its methods raise FFmpeg's error, OSError or ValueError if it cannot be written."""

    path: Path
    output: "OutputContainer | None" = None
    streams: dict[Kind, "Stream"] = field(default_factory=dict)
    last_dts: dict[Kind, int] = field(default_factory=dict)

    @property
    def temporary(self) -> Path:
        return self.path.with_name(f".{self.path.name}.part")

    def open(self) -> None:
        """Create the file; streams are added next, in the order that players expect: the picture first."""
        import av

        muxer = _MUXERS[self.path.suffix]
        options = {"movflags": "+faststart"} if muxer == "mp4" else {}
        # Absolute: FFmpeg takes what stands before a colon in a relative path for a protocol.
        self.output = av.open(str(self.temporary.absolute()), "w", format=muxer, options=options)

    def add_copy(self, kind: Kind, coding: Coding, header: bytes | None = None) -> None:
        """Add a stream that is coded as the recording's, with another decoder's header if one is given."""
        assert self.output is not None
        copy: Any = self.output.add_stream_from_template(coding.stream, opaque=True)
        if (header := header or coding.header) is not None:
            copy.codec_context.extradata = header
        if coding.size:  # players scale to the size in the container
            copy.codec_context.width, copy.codec_context.height = coding.size
        if self.path.suffix in (".mp4", ".m4a") and copy.codec_context.codec.canonical_name == "hevc":
            copy.codec_context.codec_tag = "hvc1"  # the other tag, hev1, does not play on Apple's systems
        self.streams[kind] = copy

    def add_encoded(self, encoder: str, options: Mapping[str, str]) -> Any:
        """Add the picture's stream with an encoder of its own, and return the encoder, to be set up before `begin`."""
        assert self.output is not None
        stream: Any = self.output.add_stream(encoder, options=dict(options))
        self.streams["video"] = stream
        return stream.codec_context

    def begin(self) -> None:
        """Write the header; the container now fixes its streams' time bases."""
        assert self.output is not None
        self.output.start_encoding()

    def write(self, kind: Kind, packet: "Packet[Any]", *, pts: float, dts: float) -> None:
        """Write a packet with times in seconds from the clip's start; the packet itself is unchanged."""
        assert self.output is not None
        target = self.streams[kind]
        tick = target.time_base
        assert tick is not None
        kept: Any = packet.stream, packet.time_base, packet.pts, packet.dts, packet.duration
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
            stream, packet.time_base, packet.pts, packet.dts, packet.duration = kept
            if stream is not None:  # an encoder's packet has none
                packet.stream = stream

    def close(self) -> None:
        """End the file, still under its temporary name."""
        if self.output is not None:
            output, self.output = self.output, None
            output.close()

    def keep(self) -> None:
        """Put the closed file in its place."""
        self.temporary.replace(self.path)

    def clean_up(self) -> None:
        """Remove everything but a finished clip."""
        with suppress(OSError, ValueError):
            self.close()
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)
