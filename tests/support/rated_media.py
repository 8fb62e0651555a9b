"""Small recordings at an editor's frame rates, steady or not, with or without a start time code."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

SIZE = (48, 32)
SOUND_RATE = 48_000

NTSC_FILM, PAL, NTSC, NTSC_TWICE = Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(60000, 1001)


def make_rated(
    path: Path,
    rate: Fraction,
    *,
    seconds: float = 20.0,
    start_code: str = "",
    kept: Iterable[int] | None = None,
    sound: bool = True,
) -> Path:
    """Encode frames at a rate; of these only the ones `kept`, if given, so that their spacing varies."""
    with av.open(str(path), "w") as container:
        picture: Any = container.add_stream("libx264", rate=rate)
        picture.width, picture.height, picture.pix_fmt = *SIZE, "yuv420p"
        picture.time_base = picture.codec_context.time_base = 1 / rate
        picture.codec_context.options = {"preset": "ultrafast"}
        if start_code:
            picture.metadata["timecode"] = start_code
        audio: Any = container.add_stream("aac", rate=SOUND_RATE, layout="stereo") if sound else None
        packets: list[Any] = []
        plane = np.full((SIZE[1] * 3 // 2, SIZE[0]), 128, np.uint8)
        for number in range(round(seconds * rate)) if kept is None else kept:
            frame = av.VideoFrame.from_ndarray(plane, format="yuv420p")
            frame.pts, frame.time_base = number, 1 / rate
            packets += picture.encode(frame)
        packets += picture.encode(None)
        if audio is not None:
            samples = np.zeros((2, 1024), np.float32)
            for first in range(0, round(seconds * SOUND_RATE), 1024):
                part = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
                part.sample_rate, part.pts, part.time_base = SOUND_RATE, first, Fraction(1, SOUND_RATE)
                packets += audio.encode(part)
            packets += audio.encode(None)
        for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
            container.mux(packet)
    return path


def frame_times(path: Path) -> list[float]:
    """When each frame is shown, in seconds from the file's earliest time stamp: the run's clock."""
    with av.open(str(path)) as container:
        picture = container.streams.video[0]
        origin = (container.start_time or 0) / 1_000_000
        stamps = [packet.pts * picture.time_base for packet in container.demux(picture) if packet.pts is not None]
    return [float(stamp) - origin for stamp in sorted(stamps)]
