"""One clip in the making whose picture is decoded and encoded: all of it, or up to the first keyframe inside.

Its first frame is the one on screen at the start, so picture and sound begin at that instant. Sound is copied.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuaihl.engines.highlights.burner import Burner
from kuaihl.engines.highlights.clip_file import ClipFile
from kuaihl.engines.highlights.clip_writer import CutName, is_beyond
from kuaihl.engines.highlights.cutting_points import INTERLEAVING, Kind, Piece
from kuaihl.engines.highlights.framing import Framing, Painter, Shape
from kuaihl.engines.highlights.h264 import Header, begins_anew, join_headers, parse_header, to_form_of
from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.types import SAME_TIME
from kuaihl.models.errors import UsageError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.packet import Packet

ENCODER = "libx264"
_QUALITY = {"preset": "fast", "crf": "18"}  # no difference is seen; three times real time at 1080p on two cores
_MICROSECOND = Fraction(1, 1_000_000)  # of decoded frames: the run's clock
_TICK = Fraction(1, 90_000)  # of encoded ones
_USUAL_RATE = Fraction(30)  # frames per second, if the recording does not say; it only guides the encoder


def check_encoder(setting: str) -> None:
    """Raise UsageError if FFmpeg was built without the encoder."""
    import av

    if ENCODER not in av.codecs_available:
        raise UsageError(
            f"needs FFmpeg's encoder {ENCODER}, and the FFmpeg of this PyAV was built without it", setting=setting
        )


@dataclass
class RecodingWriter:
    """Decodes from the keyframe before the start; times in seconds on the run's clock."""

    file: ClipFile
    piece: Piece  # with a picture
    framing: Framing = Framing()  # noqa: RUF009 - it is frozen
    burner: Burner | None = None
    header: Header | None = None  # of an H.264 recording that may be copied from a keyframe on
    cut: CutName = "encode"
    size: tuple[int, int] | None = None
    first: float | None = None
    last: float = 0.0

    decoder: Any = None
    turns: int = 0  # of the pictures, as in `Shape`
    painter: Painter | None = None
    encoder: Any = None
    held: "tuple[float, VideoFrame] | None" = None  # the latest frame before the start
    copying: bool = False  # a keyframe has come from which on packets are copied
    shown: float = -inf  # latest time of a copied picture
    waiting: "list[tuple[Kind, Packet[Any], float, float]]" = field(default_factory=list)  # pts and dts of the clip
    durations: dict[int, float] = field(default_factory=dict)  # of frames in the encoder, by their time
    seen: float = 0.0  # where the media that came ends
    passed: set[Kind] = field(default_factory=set)

    @property
    def path(self) -> Path:
        return self.file.path

    @property
    def begin(self) -> float:
        return self.piece.start if self.piece.origin is None else min(self.piece.origin, self.piece.start)

    @property
    def zero(self) -> float:
        """The clip's time 0: its start, or the first picture if that is later."""
        return max(self.piece.start, self.piece.origin or 0.0)

    def offer(self, timed: TimedPacket) -> None:
        coding = self.piece.codings.get(timed.kind)
        if coding is None:
            return
        self.seen = max(self.seen, timed.time + timed.duration)
        if timed.time >= self.piece.barrier - SAME_TIME:
            self.passed.add(timed.kind)
        elif timed.kind == "video":
            if timed.packet.pts is not None or timed.packet.dts is not None:
                self._offer_picture(timed)
        elif timed.time >= self.piece.end - SAME_TIME:
            self.passed.add("audio")
        elif timed.time >= max(self.zero, coding.time) - SAME_TIME:
            self._write("audio", timed.packet, timed.time - self.zero, timed.decode_time - self.zero)
            self._extend(timed.time + timed.duration)

    def is_done(self, time: float) -> bool:
        return len(self.passed) == len(self.piece.codings) or time > self.piece.end + INTERLEAVING

    def finish(self) -> bool:
        if not self.copying:
            self._drain_decoder()
            self._drain_encoder()
        if self.file.output is None:
            return False
        self._write_waiting(0.0)
        self.file.close()
        if self.last <= self.piece.start + SAME_TIME:
            return False
        self.file.keep()
        return True

    def clean_up(self) -> None:
        self.decoder = self.painter = self.encoder = None
        self.file.clean_up()

    def _offer_picture(self, timed: TimedPacket) -> None:
        begins = timed.keyframe and timed.time >= (self.piece.origin or 0.0) - SAME_TIME
        if self.decoder is None and not self.copying and not begins:
            return
        if not self.copying and self._may_copy_from(timed):
            self._drain_decoder()
            if self.header is not None and self.encoder is not None:
                self._drain_encoder()
                self.copying, self.cut = True, "smart"
                self._write_waiting(timed.time - timed.decode_time)
        if is_beyond(timed, self.piece.end, self.shown):
            if timed.decode_time > self.shown:
                self.passed.add("video")
        elif self.copying:
            self.shown = max(self.shown, timed.time)
            self._write("video", timed.packet, timed.time - self.zero, timed.decode_time - self.zero)
            self._extend(timed.time + timed.duration)
        else:
            self._encode_all(self._decode(timed))

    def _may_copy_from(self, timed: TimedPacket) -> bool:
        """Whether the picture can be copied from this packet on."""
        if self.header is None or not timed.keyframe or timed.time <= self.zero + SAME_TIME:
            return False
        return timed.decode_time < self.piece.end - SAME_TIME and begins_anew(bytes(timed.packet), self.header)

    def _decode(self, timed: TimedPacket) -> "list[VideoFrame]":
        import av

        if self.decoder is None:
            coding = self.piece.codings["video"]
            stream: Any = coding.stream
            self.decoder = av.CodecContext.create(stream.codec_context.codec.name, "r")
            self.decoder.extradata = coding.header
            self.decoder.thread_type = "AUTO"
            self.turns = _turns_of(timed.packet)
        packet = timed.packet
        kept = packet.time_base, packet.pts, packet.dts
        packet.time_base = _MICROSECOND
        packet.pts = None if packet.pts is None else round(timed.time / _MICROSECOND)
        packet.dts = round(timed.decode_time / _MICROSECOND)
        try:
            return self.decoder.decode(packet)  # type: ignore[no-any-return]
        except av.FFmpegError:
            return []  # a damaged picture; the next ones have their own times
        finally:
            packet.time_base, packet.pts, packet.dts = kept

    def _encode_all(self, frames: "Iterable[VideoFrame]") -> None:
        for frame in frames:
            stamp = frame.dts if frame.pts is None else frame.pts
            if stamp is None:
                continue
            time = float(stamp * _MICROSECOND)
            if time >= min(self.piece.end, self.piece.barrier) - SAME_TIME:
                continue
            if time <= self.zero + SAME_TIME:
                self.held = time, frame  # on screen at the start, if no other follows
                continue
            self._show_held()
            self._paint(frame, time)

    def _show_held(self) -> None:
        if self.held is not None:
            (_, frame), self.held = self.held, None
            self._paint(frame, self.zero)

    def _paint(self, frame: "VideoFrame", time: float) -> None:
        duration = float((frame.duration or 0) * _MICROSECOND)
        frame.pts, frame.time_base = round(time / _MICROSECOND), _MICROSECOND
        if self.encoder is None and self.painter is None:
            self._check_copying(frame)
            if self.header is None:
                self.painter = Painter(self._shape(frame), frame, self.framing)
        for ready in [frame] if self.painter is None else self.painter.paint(frame):
            self._encode(ready, duration)

    def _check_copying(self, frame: "VideoFrame") -> None:
        """Give up copying if the encoder cannot make pictures like those of the recording."""
        from av.codec import Codec

        formats = Codec(ENCODER, "w").video_formats or []
        size = self.piece.codings["video"].size or (frame.width, frame.height)
        encodable = not frame.interlaced_frame and frame.format.name in {one.name for one in formats}
        if not encodable or (frame.width, frame.height) != size:
            self.header = None

    def _shape(self, frame: "VideoFrame") -> Shape:
        stream: Any = self.piece.codings["video"].stream
        aspect = stream.sample_aspect_ratio or self.decoder.sample_aspect_ratio or Fraction(1)
        return Shape(frame.width, frame.height, Fraction(aspect), self.turns)

    def _encode(self, frame: "VideoFrame", duration: float) -> None:
        assert frame.pts is not None
        time = float(frame.pts * _MICROSECOND)
        if self.burner is not None:
            frame = self.burner.draw(frame, time)
        if self.encoder is None:
            self._open(frame)
        ticks = round((time - self.zero) / _TICK)
        frame.pts, frame.time_base, frame.pict_type = ticks, _TICK, 0
        self.durations[ticks] = duration
        self._extend(min(time + duration, self.piece.end))
        self._write_encoded(self.encoder.encode(frame))

    def _open(self, frame: "VideoFrame") -> None:
        import av

        self.file.open()
        coding = self.piece.codings["video"]
        if self.header is None:
            self.encoder = self.file.add_encoded(ENCODER, _QUALITY)
        else:
            number = self.header.unused_id()
            same = {"bf": "0", "x264-params": f"sps-id={number}:force-cfr=0"}
            self.encoder = av.CodecContext.create(ENCODER, "w")
            self.encoder.options = _QUALITY | same
            self.encoder.sample_aspect_ratio = self._shape(frame).pixel_aspect
            self.encoder.flags |= av.codec.context.Flags.global_header
        _set_up(self.encoder, frame, self._rate())
        if self.header is not None:
            self.encoder.open()
            other = parse_header(self.encoder.extradata)
            assert other is not None  # the encoder writes one
            self.file.add_copy("video", coding, join_headers(self.header, other))
        if "audio" in self.piece.codings:
            self.file.add_copy("audio", self.piece.codings["audio"])
        self.size = frame.width, frame.height
        self.file.begin()
        if self.header is None:
            self._write_waiting(0.0)

    def _rate(self) -> Fraction:
        stream: Any = self.piece.codings["video"].stream
        rate = stream.average_rate or stream.guessed_rate
        return Fraction(rate) if rate and 1 <= rate <= 240 else _USUAL_RATE

    def _drain_decoder(self) -> None:
        import av

        if self.decoder is not None:
            try:
                rest = self.decoder.decode(None)
            except av.FFmpegError:
                rest = []
            self._encode_all(rest)
            if self.seen > self.zero + SAME_TIME:
                self._show_held()
            self.decoder = None

    def _drain_encoder(self) -> None:
        if self.painter is not None:
            for ready in self.painter.paint(None):
                self._encode(ready, 0.0)
            self.painter = None
        if self.encoder is not None:
            self._write_encoded(self.encoder.encode(None))
            self.encoder = None

    def _write_encoded(self, packets: "Iterable[Packet[Any]]") -> None:
        import av

        for encoded in packets:
            packet = encoded
            assert packet.pts is not None and packet.dts is not None
            pts, dts = packet.pts, packet.dts
            if self.header is not None:
                packet = av.Packet(to_form_of(self.header, bytes(encoded)))
                packet.is_keyframe = encoded.is_keyframe
                packet.pts, packet.dts = pts, dts
            packet.time_base = _TICK
            packet.duration = round(self.durations.pop(pts, 0.0) / _TICK)
            self._write("video", packet, float(pts * _TICK), float(dts * _TICK))

    def _write(self, kind: Kind, packet: "Packet[Any]", pts: float, dts: float) -> None:
        """Write it, or keep it until the file is open and the copied pictures' delay is known."""
        if self.file.output is None or (self.header is not None and not self.copying):
            self.waiting.append((kind, packet, pts, dts))
        else:
            self.file.write(kind, packet, pts=pts, dts=dts)

    def _write_waiting(self, delay: float) -> None:
        """`delay`: seconds by which copied pictures are decoded before they are shown."""
        for kind, packet, pts, dts in self.waiting:
            self.file.write(kind, packet, pts=pts, dts=dts - delay if kind == "video" else dts)
        self.waiting.clear()

    def _extend(self, time: float) -> None:
        self.first = self.zero
        self.last = max(self.last, time)


def _turns_of(packet: "Packet[Any]") -> int:
    """The turns that bring a keyframe upright. Only the recording's own decoder knows what the container says."""
    import av

    decoder: Any = packet.stream.codec_context
    try:
        frames = [*decoder.decode(packet), *decoder.decode(None)]
        decoder.flush_buffers()
    except av.FFmpegError:
        return 0
    return round(frames[0].rotation / 90) % 4 if frames else 0


def _set_up(encoder: Any, frame: "VideoFrame", rate: Fraction) -> None:
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, frame.format.name
    encoder.time_base, encoder.framerate = _TICK, rate
    encoder.color_range, encoder.colorspace = frame.color_range, frame.colorspace
    encoder.color_primaries, encoder.color_trc = frame.color_primaries, frame.color_trc
