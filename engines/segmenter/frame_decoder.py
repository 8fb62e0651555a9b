"""Chosen packets in, RGB frames out: the only place where video is decoded.

Frames are scaled down as they are converted, so that a segment's three cost the same at any source resolution.
"""

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.segmenter.keyframes import FrameRequest, Gop
from kuaihl.engines.types import SAME_TIME, Event, Frame, RgbImage

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

_SHORT_SIDE = 288  # pixels at most: encoders read 224 to 260 …
_LONG_SIDE = 1024  # … and a panorama must not cost too much
_TELLING_SECONDS = 1.0
_MICRO = 1_000_000  # decoders carry whole numbers through: microseconds of our own clock
_GONE: RgbImage = np.zeros((0, 0, 3), np.uint8)
_WITH_HEADER = frozenset({"h264", "hevc"})  # codecs of which a decoder need not know more than the header …
_WITHOUT_MORE = frozenset({"flv", "mpegts"})  # … in containers that say no more, such as how to turn the picture


class FrameDecoder:
    """Decodes the requested frames in order of time; to be used by one thread."""

    def __init__(self, *, rests: bool = False) -> None:
        """`rests`: it holds no decoder between keyframes if it can, for that costs memory: some 2 MB at 720p."""
        self.rests = rests
        self.context: Any = None  # of the stream whose packets come
        self.reformatter: VideoReformatter | None = None
        self.size: tuple[int, int] | None = None  # of the decoded frames
        self.events: list[Event] = []  # for the caller to take
        self.told = -_TELLING_SECONDS  # time of the latest event about damage
        self.latest: Frame | None = None  # the frame that a player would still show if nothing new can be decoded
        self.key: TimedPacket | None = None  # the keyframe that `latest` came from, if it came from one
        self.gop: Gop | None = None  # the one that is being decoded forward
        self.queue: deque[TimedPacket] = deque()  # its packets that are not decoded yet
        self.decoded: deque[VideoFrame] = deque()  # its frames that are shown later than any instant so far
        self.shown: VideoFrame | None = None  # its frame at the latest instant

    def frame(self, wanted: FrameRequest) -> Frame | None:
        """The frame of an instant, or the nearest one that can be decoded if its own is damaged; None before any."""
        if wanted.gop is None:
            return self.recall()
        found = self.forward(wanted, wanted.gop) if wanted.forward else self.keyframe(wanted.gop.key)
        for key in wanted.others:
            if found is not None or (self.latest is not None and self.latest.time > key.time):
                break
            found = self.keyframe(key)
        if found is not None:
            self.latest = found
        return self.recall()

    def rest(self) -> None:
        """Let go of the latest frame's picture, if it can be decoded again."""
        if self.rests and self.latest is not None and self.key is not None and _stands_alone(self.key):
            self.latest = replace(self.latest, image=_GONE)

    def recall(self) -> Frame | None:
        """The latest frame, decoded again after a rest."""
        if self.latest is not None and self.latest.image is _GONE and self.key is not None:
            self.latest = self.convert(self.decode_alone(self.key)[0], self.latest.time)
        return self.latest

    def keyframe(self, key: TimedPacket) -> Frame | None:
        if key is self.key and self.latest is not None:
            return self.recall()
        self.use(key)
        if self.gop is not None:
            self.context.flush_buffers()  # after a Gop was decoded forward, it is at its end or holds frames
            self.gop = None
        clean = self.decode_alone(key)
        if not clean:
            self.report_damage(key.time, "a keyframe that cannot be decoded")
            return None
        self.key = key
        return self.convert(clean[0], key.time)

    def decode_alone(self, key: TimedPacket) -> "list[VideoFrame]":
        """The frames of a keyframe, without damaged ones."""
        own = self.context
        if self.rests and _stands_alone(key):
            self.context = _copy_of(key.packet.stream.codec_context)
        frames = self.decode(key) + self.decode(None)
        self.context.flush_buffers()
        self.context = own
        return [frame for frame in frames if not frame.is_corrupt]

    def forward(self, wanted: FrameRequest, gop: Gop) -> Frame | None:
        """The frame shown at the instant: the last one shown at or before it."""
        if wanted.lead is not None and wanted.lead is self.gop:
            self.gop = gop  # the decoder goes on from one into the other
        elif gop is not self.gop:
            first = gop if wanted.lead is None else wanted.lead
            self.use(first.key)
            self.context.flush_buffers()
            self.gop, self.shown, self.decoded = gop, None, deque()
            self.queue = deque([first.key])
        self.queue.extend(wanted.packets)
        drained = False
        while True:
            while self.decoded and _time_of(self.decoded[0]) <= wanted.instant + SAME_TIME:
                self.shown = self.decoded.popleft()
            if self.decoded or drained:
                break
            if self.queue:
                self.decoded.extend(self.decode(self.queue.popleft()))
            else:
                drained = True
                if wanted.complete:
                    self.decoded.extend(self.decode(None))
        shown = self.shown or (self.decoded[0] if self.decoded else None)  # a recovery point shows nothing at once
        if shown is None:
            return None
        self.key = None
        time = _time_of(shown)
        if shown.is_corrupt:
            self.report_damage(time, "a damaged frame")
        if self.latest is not None and self.latest.time == time and self.latest.image is not _GONE:
            return self.latest
        return self.convert(shown, time)

    def use(self, timed: TimedPacket) -> None:
        """Switch to the packet's own decoder: each stream has its own."""
        context = timed.packet.stream.codec_context
        if context is not self.context:
            self.context = context
            self.gop = None

    def decode(self, timed: TimedPacket | None) -> "list[VideoFrame]":
        """The decoded frames, their `pts` in microseconds of our clock; empty if the packet is damaged."""
        import av

        try:
            if timed is None:
                frames = self.context.decode(None)
            else:
                packet = timed.packet
                packet.pts = round(timed.time * _MICRO)
                packet.dts = round(timed.decode_time * _MICRO)
                frames = self.context.decode(packet)
        except av.FFmpegError as error:
            if timed is not None:
                self.report_damage(timed.time, f"video that cannot be decoded ({error.strerror})")
            return []
        return [frame for frame in frames if frame.pts is not None]

    def report_damage(self, time: float, detail: str) -> None:
        """Add one event per second of media, however many packets are damaged."""
        if not self.told <= time < self.told + _TELLING_SECONDS:
            self.told = time
            self.events.append(Event("corrupt", time, detail))

    def convert(self, frame: "VideoFrame", time: float) -> Frame:
        from av.video.reformatter import Interpolation, VideoReformatter

        if self.reformatter is None:
            self.reformatter = VideoReformatter()
        size = (frame.width, frame.height)
        if self.size is not None and size != self.size:
            self.events.append(Event("header_change", time, f"the video is now {size[0]}x{size[1]}"))
        self.size = size
        width, height = bound_size(*size)
        rgb = self.reformatter.reformat(
            frame, width, height, format="rgb24", interpolation=Interpolation.BILINEAR, threads=1
        )
        if self.rests:
            self.reformatter = None
        return Frame(time, turn_upright(np.asarray(rgb.to_ndarray(), np.uint8), frame.rotation))


def _stands_alone(key: TimedPacket) -> bool:
    """Whether a new decoder with the stream's header decodes the keyframe as the stream's own one does."""
    stream = key.packet.stream
    return stream.codec_context.name in _WITH_HEADER and stream.container.format.name in _WITHOUT_MORE


def _copy_of(context: Any) -> Any:
    from av.codec.context import CodecContext

    copy = CodecContext.create(context.codec, "r")
    copy.extradata, copy.thread_count = context.extradata, context.thread_count
    return copy


def _time_of(frame: "VideoFrame") -> float:
    assert frame.pts is not None
    return frame.pts / _MICRO


def bound_size(width: int, height: int) -> tuple[int, int]:
    """The size that fits SHORT_SIDE and LONG_SIDE, in proportion and with even sides; never enlarged."""
    scale = min(1.0, _SHORT_SIDE / min(width, height), _LONG_SIDE / max(width, height))
    if scale == 1.0:
        return width, height
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def turn_upright(image: RgbImage, rotation: int) -> RgbImage:
    """Turn a picture by the degrees in its header: a phone may film on its side."""
    turns = round(rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
