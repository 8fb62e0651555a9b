"""Recordings that show their own time: bars in a frame spell its number, every full second beeps in its own pitch."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

FPS = 25
WIDTH = 256
BITS = 12  # bars per frame: numbers up to 4095
RATE = 48_000
BEEP_SECONDS = 0.1


def numbered_frame(number: int, height: int) -> av.VideoFrame:
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    row = np.repeat(np.array(bits, np.uint8) * 200 + 20, WIDTH // BITS + 1)[:WIDTH]
    planes = np.full((height * 3 // 2, WIDTH), 128, np.uint8)  # brightness, then two of colour, which is none
    planes[:height] = row
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def read_number(frame: av.VideoFrame) -> int:
    grey = frame.to_ndarray(format="gray")[frame.height // 2]
    step = WIDTH // BITS + 1
    return sum(int(grey[bit * step + step // 2] > 120) << bit for bit in range(BITS))


def beeps(seconds: float, first: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """[1, samples]: at second k a tone of 500 + 100 k Hz (k modulo 20, from `first`), then silence."""
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = 500 + 100 * ((time.astype(int) + first) % 20)
    tone = 0.5 * np.sin(2 * np.pi * pitch * (time % 1.0)) * (time % 1.0 < BEEP_SECONDS)
    return tone.astype(np.float32)[None]


def make_recording(
    path: Path,
    *,
    seconds: float = 20.0,
    video: str | None = "libx264",
    audio: str | None = "aac",
    gop: int = 50,
    bframes: int = 0,
    late: float = 0.0,
    height: int = 64,
    first: int = 0,
) -> Path:
    """Encode it; `late` is the first timestamp, in seconds, as in a recording that began in mid-broadcast.

    `first` is the second from which frames and beeps count.
    """
    with av.open(str(path), "w") as container:
        streams: list[Any] = []
        if video:
            picture: Any = container.add_stream(video, rate=FPS)
            picture.width, picture.height, picture.pix_fmt = WIDTH, height, "yuv420p"
            picture.time_base = picture.codec_context.time_base = Fraction(1, FPS)
            picture.gop_size = gop
            picture.codec_context.options = {"crf": "20"}
            if video == "libx264":
                picture.codec_context.options |= {"preset": "ultrafast", "sc_threshold": "0", "bf": str(bframes)}
            elif video == "libx265":
                parameters = f"log-level=none:keyint={gop}:min-keyint={gop}:scenecut=0:bframes={bframes}:pools=1"
                picture.codec_context.options |= {"preset": "ultrafast", "x265-params": parameters}
            else:
                picture.bit_rate = 400_000
                picture.codec_context.options |= {"cpu-used": "8", "deadline": "realtime", "auto-alt-ref": "0"}
            streams.append(picture)
        if audio:
            sound: Any = container.add_stream(audio, rate=RATE, layout="mono")
            streams.append(sound)
        # Packets in order of time, as a live stream's muxer receives them.
        packets: list[tuple[float, Any]] = []
        for stream in streams:
            packets += encoded(stream, seconds, late, first)
        for _, packet in sorted(packets, key=lambda pair: pair[0]):
            container.mux(packet)
    return path


def encoded(stream: Any, seconds: float, late: float, first_second: int) -> list[tuple[float, Any]]:
    if stream.type == "video":
        shown = range(first_second * FPS, int((first_second + seconds) * FPS))
        frames = [numbered_frame(number, stream.height) for number in shown]
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number + round(late * FPS), Fraction(1, FPS)
        made = [packet for frame in [*frames, None] for packet in stream.encode(frame)]
    else:
        stream.codec_context.open()
        samples, size = beeps(seconds, first_second), stream.codec_context.frame_size or 1024
        made = []
        resampler = av.AudioResampler(stream.codec_context.format, stream.codec_context.layout, RATE)
        for first in range(0, samples.shape[1] - size + 1, size):
            frame = av.AudioFrame.from_ndarray(samples[:, first : first + size], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, first + round(late * RATE), Fraction(1, RATE)
            made += [packet for part in resampler.resample(frame) for packet in stream.encode(part)]
        made += stream.encode(None)
    return [(float((packet.dts or 0) * packet.time_base), packet) for packet in made]


def frame_numbers(path: Path) -> list[tuple[float, int]]:
    """Time and number of every frame of a clip, decoded from its beginning."""
    with av.open(str(path)) as container:
        return [(float(frame.time), read_number(frame)) for frame in container.decode(video=0)]


def beep_onsets(path: Path) -> list[tuple[float, int]]:
    """Time of every beep of a clip, and the second (modulo 20) that its pitch encodes."""
    chunks: list[Any] = []
    first: float | None = None
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono", RATE)
        for frame in container.decode(audio=0):
            first = float(frame.time) if first is None else first
            chunks += [part.to_ndarray()[0] for part in resampler.resample(frame)]
    assert first is not None
    samples = np.concatenate(chunks)
    window = RATE // 200  # 5 ms
    loud = np.abs(samples[: len(samples) // window * window]).reshape(-1, window).max(axis=1) > 0.15
    onsets = []
    for index in np.flatnonzero(loud & ~np.roll(loud, 1)):
        if index == 0 or loud[max(0, index - 40) : index].any():  # cut in mid-beep, or a ripple of the beep itself
            continue
        part = samples[index * window : index * window + int(RATE * 0.08)]
        if len(part) < RATE * 0.08:
            continue
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), RATE))
        onsets.append((first + index * window / RATE, round((int(spectrum.argmax()) - 500) / 100) % 20))
    return onsets


def join_flv(path: Path, *parts: tuple[Path, float], between: bytes = b"") -> Path:
    """One FLV from the tags of several, each shifted by its seconds, as recorders write it after an encoder restart.

    `between` is garbage that stands between the parts.
    """
    joined = parts[0][0].read_bytes()[:13]  # header and the first back pointer
    for index, (part, seconds) in enumerate(parts):
        joined += between if index else b""
        data, at = part.read_bytes(), 13
        while at + 11 <= len(data):
            size = int.from_bytes(data[at + 1 : at + 4], "big")
            stamp = int.from_bytes(data[at + 4 : at + 7], "big") + (data[at + 7] << 24) + round(seconds * 1000)
            tag = data[at : at + 4] + (stamp & 0xFFFFFF).to_bytes(3, "big") + bytes([stamp >> 24 & 0xFF])
            if data[at] != 18:  # script tags are true only of their own part
                joined += tag + data[at + 8 : at + 11 + size + 4]
            at += 11 + size + 4
    path.write_bytes(joined)
    return path
