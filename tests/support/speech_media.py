"""Audio for the tests of speech: real clips from the shared folder, decoded once, and sounds without words."""

from functools import cache

import numpy as np
import pytest
from support.paths import SHARED

from kuaihl.engines.types import SAMPLE_RATE, Audio

MEDIA = SHARED / "media"


def clip(name: str) -> Audio:
    """The audio of a shared clip, 16 kHz mono; skips the test if it is absent."""
    if not (MEDIA / name).is_file():
        pytest.skip(f"{MEDIA / name} is not here")
    return decoded(name)


@cache
def decoded(name: str) -> Audio:
    import av

    with av.open(str(MEDIA / name)) as container:
        resampler = av.AudioResampler("fltp", "mono", SAMPLE_RATE)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def windows_of(audio: Audio, seconds: float = 30.0) -> list[Audio]:
    """Consecutive windows of `audio`."""
    size = int(seconds * SAMPLE_RATE)
    return [audio[i : i + size] for i in range(0, len(audio), size)]


def silence(seconds: float) -> Audio:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


def noise(seconds: float, loudness: float = 0.1) -> Audio:
    samples = np.random.default_rng(7).standard_normal(int(seconds * SAMPLE_RATE))
    return (loudness * samples).astype(np.float32)


def tone(seconds: float, hertz: float = 440.0) -> Audio:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(np.float32)


def music(seconds: float) -> Audio:
    """Chords that change every half second, over a beat: a stream's music between two sentences."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    chord = (time / 0.5).astype(int) % 4
    roots = np.array([220.0, 174.6, 261.6, 196.0])[chord]
    decay = np.exp(-4 * (time % 0.5))
    voices = sum(np.sin(2 * np.pi * np.cumsum(roots * ratio) / SAMPLE_RATE) for ratio in (1.0, 1.26, 1.5, 2.0))
    beat = np.random.default_rng(3).standard_normal(len(time)) * np.exp(-40 * (time % 0.25))
    return (0.1 * decay * voices + 0.1 * beat).astype(np.float32)


SOUNDS_WITHOUT_WORDS = {
    "digital silence": silence(12.0),
    "a faint hiss": noise(12.0, 1e-3),
    "noise": noise(12.0),
    "a tone": tone(12.0),
    "music": music(12.0),
}
