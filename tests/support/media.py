"""Streams that show their own time: bars in every frame spell its number, the pitch of a second spells the second.

Made with PyAV; also FLV taken apart by its tags, for faults that no encoder makes.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.types import SAMPLE_RATE, Frame, Segment

FPS = 10
BITS = 12  # numbers up to 4095
SIZE = (192, 96)
RATE = 48_000
BASE_PITCH, PITCH_STEP, PITCHES = 400, 50, 60  # Hz; second k sounds at 400 + 50 (k modulo 60)


def picture(number: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """[H, W] grey: BITS bars, bright for 1."""
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    row = np.repeat(np.array(bits, np.uint8) * 200 + 28, size[0] // BITS)
    return np.ascontiguousarray(np.broadcast_to(row, (size[1], row.size)))


def number_in(frame: Frame) -> int:
    """The number in a decoded frame, at any size."""
    row = frame.image[frame.image.shape[0] // 2].mean(axis=1)
    step = row.size / BITS
    return sum(int(row[int((bit + 0.5) * step)] > 120) << bit for bit in range(BITS))


def tone(seconds: float, first_second: int = 0) -> NDArray[np.float32]:
    """[samples] at RATE."""
    at = np.arange(round(seconds * RATE)) / RATE
    pitch = BASE_PITCH + PITCH_STEP * ((at.astype(int) + first_second) % PITCHES)
    return (0.4 * np.sin(2 * np.pi * pitch * (at % 1.0))).astype(np.float32)


def second_heard(segment: Segment, at: float) -> int | None:
    """Which second (modulo PITCHES) sounds around `at` on the stream's clock; None for silence."""
    first = round((at - 0.15 - segment.start) * SAMPLE_RATE)
    part = segment.audio[max(0, first) : first + round(0.3 * SAMPLE_RATE)]
    if part.size == 0 or np.abs(part).mean() < 0.02:
        return None
    spectrum = np.abs(np.fft.rfft(part * np.hanning(part.size), 1 << 15))
    pitch = int(spectrum.argmax()) * SAMPLE_RATE / (1 << 15)
    return round((pitch - BASE_PITCH) / PITCH_STEP)


@dataclass(frozen=True)
class Recipe:
    """The settings of an encoding; times in seconds."""

    seconds: float = 20.0
    video: str | None = "libx264"
    audio: str | None = "aac"
    gop: int = 20  # frames
    refresh: bool = False  # within each gop, column by column: no picture but the first is whole (libx264)
    bframes: int = 0
    size: tuple[int, int] = SIZE
    rate: int = RATE
    layout: str = "mono"
    first_number: int = 0  # of the frames, and of the audible seconds
    start: float = 0.0  # first time stamp
    audio_from: float = 0.0  # silent before
    video_from: float = 0.0  # no picture before
    frame_times: tuple[float, ...] | None = None  # for a variable frame rate; numbers are times in tenths
    muxer: dict[str, str] = field(default_factory=dict)  # its options


def make(path: Path, recipe: Recipe | None = None, **changes: Any) -> Path:
    """Encode a recipe into the container of the path's suffix."""
    recipe = replace(recipe or Recipe(), **changes)
    with av.open(str(path), "w", options=recipe.muxer) as container:
        packets: list[Any] = []
        if recipe.video:
            packets += video_packets(container, recipe)
        if recipe.audio:
            packets += audio_packets(container, recipe)
        for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
            container.mux(packet)
    return path


def video_packets(container: Any, recipe: Recipe) -> list[Any]:
    stream = container.add_stream(recipe.video, rate=FPS)
    stream.width, stream.height, stream.pix_fmt = *recipe.size, "yuv420p"
    stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
    options = {"preset": "ultrafast", "crf": "23"}
    parameters = f"keyint={recipe.gop}:min-keyint={recipe.gop}:scenecut=0:bframes={recipe.bframes}"
    if recipe.video == "libx264":
        options |= {"x264-params": parameters + f":intra-refresh={recipe.refresh:d}"}
    elif recipe.video == "libx265":
        options |= {"x265-params": parameters + ":log-level=none:pools=1"}
    stream.codec_context.options = options
    times = recipe.frame_times or tuple(index / FPS for index in range(round(recipe.seconds * FPS)))
    packets = []
    for at in times:
        if at < recipe.video_from:
            continue
        grey = picture(round(at * FPS) + recipe.first_number * FPS, recipe.size)
        frame = av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")
        frame.pts, frame.time_base = round((at + recipe.start) * 1000), Fraction(1, 1000)
        packets += stream.encode(frame)
    return packets + list(stream.encode(None))


def audio_packets(container: Any, recipe: Recipe) -> list[Any]:
    stream = container.add_stream(recipe.audio, rate=recipe.rate, layout=recipe.layout)
    stream.codec_context.open()
    size = stream.codec_context.frame_size or 1024
    samples = tone(recipe.seconds, recipe.first_number)
    resampler = av.AudioResampler(stream.codec_context.format, stream.codec_context.layout, recipe.rate, size)
    first = round(recipe.audio_from * RATE)
    frame = av.AudioFrame.from_ndarray(samples[None, first:], format="flt", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
    packets = []
    shift = round((recipe.start + recipe.audio_from) * recipe.rate)
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        part.pts, part.time_base = part.pts + shift, Fraction(1, recipe.rate)
        packets += stream.encode(part)
    return packets + list(stream.encode(None))


# FLV by its tags

VIDEO_TAG, AUDIO_TAG, SCRIPT_TAG = 9, 8, 18


@dataclass(frozen=True)
class Tag:
    kind: int
    ms: int
    data: bytes

    @property
    def is_header(self) -> bool:
        """A decoder's configuration rather than a picture or sound."""
        if self.kind == VIDEO_TAG:
            return (self.data[0] & 0x80 != 0 and self.data[0] & 0x0F == 0) or (
                self.data[0] & 0x80 == 0 and self.data[1] == 0
            )
        return self.kind == AUDIO_TAG and self.data[1] == 0

    @property
    def is_media(self) -> bool:
        return self.kind != SCRIPT_TAG and not self.is_header

    def packed(self) -> bytes:
        time = (self.ms & 0xFFFFFF).to_bytes(3, "big") + (self.ms >> 24 & 0xFF).to_bytes(1, "big")
        head = bytes([self.kind]) + len(self.data).to_bytes(3, "big") + time + b"\0\0\0"
        return head + self.data + (len(self.data) + 11).to_bytes(4, "big")


def tags(path: Path) -> list[Tag]:
    raw, at, found = path.read_bytes(), 13, []
    while at + 15 <= len(raw):
        size = int.from_bytes(raw[at + 1 : at + 4], "big")
        ms = int.from_bytes(raw[at + 4 : at + 7], "big") | raw[at + 7] << 24
        found.append(Tag(raw[at], ms, raw[at + 11 : at + 11 + size]))
        at += 15 + size
    return found


def write_flv(path: Path, parts: Iterable[Tag | bytes]) -> Path:
    """Write tags and arbitrary bytes as a file without metadata and index."""
    body = b"".join(part if isinstance(part, bytes) else part.packed() for part in parts)
    path.write_bytes(b"FLV\x01\x05\0\0\0\x09\0\0\0\0" + body)
    return path


def media_tags(path: Path) -> list[Tag]:
    """Without the script data: no duration, no keyframe index."""
    return [tag for tag in tags(path) if tag.kind != SCRIPT_TAG]


def retimed(found: Iterable[Tag], change: Callable[[int], int]) -> Iterator[Tag]:
    return (replace(tag, ms=change(tag.ms)) for tag in found)


def with_legacy_hevc(tag: Tag) -> Tag:
    """Rewrite a tag of enhanced RTMP as Chinese recorders do, under the old codec id 12."""
    if tag.kind != VIDEO_TAG:
        return tag
    assert tag.data[0] & 0x80 and tag.data[1:5] == b"hvc1"
    frame_type, packet_type = tag.data[0] >> 4 & 7, tag.data[0] & 0x0F
    time = tag.data[5:8] if packet_type == 1 else b"\0\0\0"
    rest = tag.data[8:] if packet_type == 1 else tag.data[5:]
    return replace(tag, data=bytes([frame_type << 4 | 12, min(packet_type, 1)]) + time + rest)
