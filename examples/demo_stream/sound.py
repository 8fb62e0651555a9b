"""The script to sound: speech over game music, blows and a crowd, all synthesised from seeded noise and tones."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from demo_stream import script
from demo_stream.voices import RATE, Sound, spoken

SPEECH, MUSIC, CROWD, BLOWS = 0.62, 0.10, 0.42, 0.22  # peak loudness; speech stands clear of the rest
DUCKING = 0.45  # music and crowd under speech

# A man's and a woman's open vowel: where a voice is loud, Hz, and how widely.
FORMANTS = ((730, 130), (1090, 170), (2440, 300), (850, 150), (1220, 200), (2810, 350))

CALM = (220.0, 261.6, 329.6, 261.6, 196.0, 246.9, 293.7, 246.9)  # A minor, E minor, broken
BATTLE = (110.0, 110.0, 130.8, 110.0, 146.8, 110.0, 164.8, 146.8)
HOME = (261.6, 329.6, 392.0, 523.3, 392.0, 329.6, 293.7, 349.2)


@dataclass(frozen=True)
class Soundtrack:
    """All that is heard, the voices alone, and for each line of the script when it ends."""

    mix: Sound
    speech: Sound
    ends: list[float]


def soundtrack(program: str) -> Soundtrack:
    """Raises ValueError where a line begins before the one before it ends."""
    length = round(script.LENGTH * RATE)
    speech, ends = np.zeros(length, np.float32), []
    for line in script.LINES:
        voice = spoken(line, program)
        add(speech, line.time, voice * (SPEECH if line.excited else SPEECH * 0.8))
        ends.append(line.time + len(voice) / RATE)
    if any(end > line.time for end, line in zip(ends, script.LINES[1:], strict=False)):
        raise ValueError("two lines are spoken at once: move one in the script")
    ducked = 1 - (1 - DUCKING) * np.minimum(1, 2 * smooth((np.abs(speech) > 0.01).astype(np.float32), 0.3))
    mix = speech + ducked * (music() + crowd()) + blows()
    return Soundtrack(np.tanh(mix).astype(np.float32), speech, ends)


def add(track: Sound, time: float, sound: Sound) -> None:
    """Mix `sound` into `track` from `time` on; what hangs over the end is lost."""
    start = round(time * RATE)
    piece = sound[: max(0, len(track) - start)]
    track[start : start + len(piece)] += piece


def smooth(curve: Sound, seconds: float) -> Sound:
    """The running mean over `seconds`."""
    width = round(seconds * RATE)
    total = np.cumsum(np.pad(curve.astype(np.float64), (width // 2 + 1, width - width // 2 - 1)))
    return np.asarray((total[width:] - total[:-width]) / width, np.float32)


def shaped_noise(rng: np.random.Generator, samples: int, bands: tuple[tuple[float, float], ...]) -> Sound:
    """Noise that is loud around the given frequencies, its mean square 1."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hertz = np.fft.rfftfreq(samples, 1 / RATE)
    weight = sum((np.exp(-(((hertz - at) / width) ** 2)) for at, width in bands), np.zeros(len(hertz)))
    noise = np.fft.irfft(spectrum * weight, samples)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)), np.float32)


def crowd() -> Sound:
    """Cheering: the roar of many throats, whoops that rise and fall, and claps."""
    rng = np.random.default_rng(7)
    track = np.zeros(round(script.LENGTH * RATE), np.float32)
    for time, seconds, loudness in script.CHEERS:
        samples = round(seconds * RATE)
        position = np.linspace(0, 1, samples, dtype=np.float32)
        rise = np.minimum(position * seconds / 0.35, 1) * (1 - position) ** 0.7
        waver = 1 + 0.25 * np.sin(2 * np.pi * np.cumsum(rng.uniform(3, 6, samples)) / RATE)
        cheer = 0.30 * shaped_noise(rng, samples, FORMANTS) * rise * waver
        for start in rng.uniform(0, seconds * 0.7, round(3 * seconds * loudness)):
            add(cheer, start, 0.09 * whoop(rng))
        for start in rng.triangular(0, seconds * 0.4, seconds, round(45 * seconds * loudness)):
            add(cheer, start, clap(rng) * rng.uniform(0.05, 0.2) * (1 - start / seconds))
        add(track, time, cheer * loudness)
    return np.asarray(track * CROWD / np.abs(track).max(), np.float32)


def whoop(rng: np.random.Generator) -> Sound:
    """One viewer's "woo": a gliding tone with overtones."""
    seconds = rng.uniform(0.4, 0.9)
    position = np.linspace(0, 1, round(seconds * RATE), dtype=np.float32)
    pitch = rng.uniform(280, 520) * (1 + 0.5 * np.sin(np.pi * position))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    tone = sum(np.sin(k * phase) / k**1.6 for k in range(1, 6))
    return np.asarray(tone * np.abs(np.sin(np.pi * position)) ** 0.6, np.float32)


def clap(rng: np.random.Generator) -> Sound:
    samples = round(0.03 * RATE)
    band = ((rng.uniform(900, 2200), 700.0),)
    fade = np.exp(-np.arange(samples) / (0.006 * RATE))
    return np.asarray(shaped_noise(rng, samples, band) * fade, np.float32)


def blows() -> Sound:
    """Steel on stone: a thump and a ring for each blow, heavier for the last ones."""
    rng = np.random.default_rng(11)
    track = np.zeros(round(script.LENGTH * RATE), np.float32)
    position = np.arange(round(0.5 * RATE), dtype=np.float32) / RATE
    for time in script.GOLEM_HITS + script.DRAGON_HITS + script.HERO_HIT:
        last = time in (script.GOLEM_FALLS, script.DRAGON_FALLS)
        thump = np.sin(2 * np.pi * 70 * position * np.exp(-2 * position)) * np.exp(-position * (5 if last else 14))
        ring = np.sin(2 * np.pi * rng.uniform(1800, 2600) * position) * np.exp(-position * 22) * 0.3
        hiss = rng.standard_normal(len(position)).astype(np.float32) * np.exp(-position * 30) * 0.4
        add(track, time, (thump + ring + hiss).astype(np.float32) * (1.0 if last else 0.6))
    add(track, script.LAKE, splash(rng))
    for step, pitch in enumerate((523.3, 659.3, 784.0, 1046.5, 1318.5)):
        add(track, script.CHEST_OPENS + 0.09 * step, 0.5 * pluck(pitch, 0.9))
    return track * BLOWS


def splash(rng: np.random.Generator) -> Sound:
    position = np.arange(RATE, dtype=np.float32) / RATE
    return shaped_noise(rng, RATE, ((1200, 1500),)) * np.exp(-position * 5) * 0.3


def music() -> Sound:
    """A tune for each scene: slow and soft on the road, bass and drums in a fight, next to nothing by the fire."""
    track = np.zeros(round(script.LENGTH * RATE), np.float32)
    for start, end, name in spans():
        fight = name in ("golem", "dragon")
        tune = BATTLE if fight else HOME if name in ("shop", "chest", "farewell", "title") else CALM
        beat = 0.2 if fight else 0.42 if name == "shop" else 0.6
        loudness = {"away": 0.6, "camp": 0.25}.get(name, 1.0)
        for step, time in enumerate(np.arange(start, end - beat, beat)):
            add(track, time, pluck(tune[step % len(tune)], 1.2 if not fight else 0.4) * loudness)
            if fight and step % 2 == 0:
                add(track, time, 1.6 * drum(step))
    return np.asarray(track * MUSIC / np.abs(track).max(), np.float32)


def spans() -> Iterator[tuple[float, float, str]]:
    ends = [start for start, _ in script.SCENES[1:]] + [script.LENGTH]
    for (start, name), end in zip(script.SCENES, ends, strict=True):
        yield start, end, name


def pluck(pitch: float, seconds: float) -> Sound:
    """A string, or nearly: overtones that die one after another."""
    position = np.arange(round(seconds * RATE), dtype=np.float32) / RATE
    tone = sum(np.sin(2 * np.pi * k * pitch * position) * np.exp(-position * (2 + 2 * k)) / k for k in range(1, 5))
    return np.asarray(tone, np.float32)


def drum(step: int) -> Sound:
    position = np.arange(round(0.15 * RATE), dtype=np.float32) / RATE
    if step % 4 == 0:
        return np.asarray(np.sin(2 * np.pi * 60 * position) * np.exp(-position * 25), np.float32)
    hiss = np.random.default_rng(step).standard_normal(len(position))
    return np.asarray(hiss * np.exp(-position * 60) * 0.5, np.float32)


def loudness_at(sound: Sound, frames: int, per_second: float) -> NDArray[np.float32]:
    """The root mean square of each video frame's stretch of sound, for a mouth that moves with it."""
    samples = RATE / per_second
    edges = (np.arange(frames + 1) * samples).astype(int)
    return np.array([np.sqrt(np.mean(sound[a:b] ** 2)) if b > a else 0 for a, b in pairwise(edges)])
