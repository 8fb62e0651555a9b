"""The sound of a segment in, its signals out: how loud, in which bands, and whether a crowd cheers.

Loudness is of every sample, in frames of 0.1 s. The spectrum is of 32 ms of each frame, a third of the sound: all of
it would cost as much as the decoding. Powers are mean squares at full scale 1, and nothing is below FLOOR.

Applause and a cheering crowd are noise: their spectrum is flat where speech and music have peaks, which is how
detectors know them (spectral flatness, or its kin, the crest factor), and they have no syllables. So a second is
noise-like if its mean spectrum from 500 to 5,000 Hz is flat, and the power of its frames varies little. That a crowd
rose needs something quieter beside it: noise throughout a segment is no cheer, but loudness and its standard score.
"""

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.segment import SAMPLE_RATE, Audio

FRAME = SAMPLE_RATE // 10  # samples: 0.1 s
WINDOW = 512  # samples of a frame that its spectrum is of: 32 ms, bins of 31.25 Hz
FRAMES_A_SECOND = SAMPLE_RATE // FRAME
FLOOR = 1e-10  # -100 dBFS
LOUDEST = 20  # `peak` is of the loudest twentieth of frames

LOW, HIGH = 300, 2_000  # Hz: the bands' edges
NOISE_BAND = (500, 5_000)  # Hz
FLAT = 0.5  # of 1: pink noise has 0.77 there, a talk about 0.2
STEADY = 0.5  # deviation of a second's frames by their mean power: dense noise has 0.1, syllables about 1
QUIET_SHARE = 10  # per cent of a segment's frames that are its quiet,
RISE = 4.0  # and how many times as much power is loud: 6 dB
AUDIBLE = 1e-6  # -60 dBFS; what is below is never loud

Powers = NDArray[np.float32]
HANN = np.hanning(WINDOW).astype(np.float32)
SCALE = 2.0 / (WINDOW * float(np.square(HANN).sum()))  # so that a spectrum's sum is the mean square


def sound_signals(audio: Audio) -> dict[str, float]:
    """The signals of the group `sound` of a segment's samples [n], n > 0."""
    frames = framed(audio)
    power = np.einsum("ij,ij->i", frames, frames) / FRAME  # [N]
    if not np.isfinite(power).all():
        frames = np.nan_to_num(frames, posinf=0.0, neginf=0.0)
        power = np.einsum("ij,ij->i", frames, frames) / FRAME
    spectrum = spectra(frames)  # [N, WINDOW // 2 + 1]
    bands = spectrum.mean(axis=0)
    low, high = bin_of(LOW), bin_of(HIGH)
    loudest = max(len(power) // LOUDEST, 1)
    return {
        "loudness": log_power(power.mean()),
        "peak": log_power(np.partition(power, -loudest)[-loudest:].mean()),
        "dynamics": float(np.log10(np.maximum(power, FLOOR)).std()),
        "low_band": log_power(bands[1:low].sum()),  # without a constant offset
        "middle_band": log_power(bands[low:high].sum()),
        "high_band": log_power(bands[high:].sum()),
        "cheering": cheering(spectrum),
    }


def framed(audio: Audio) -> Audio:
    """Samples in frames [N, FRAME], N > 0, without the rest of a frame; less than one is said again until it is one."""
    if len(audio) < FRAME:
        return np.resize(audio, (1, FRAME))
    whole = len(audio) // FRAME
    return audio[: whole * FRAME].reshape(whole, FRAME)


def spectra(frames: Audio) -> Powers:
    """Power spectrum [N, WINDOW // 2 + 1] of the beginning of each frame; its sum is the mean square."""
    transformed = np.fft.rfft(frames[:, :WINDOW] * HANN)
    return ((transformed.real**2 + transformed.imag**2) * SCALE).astype(np.float32, copy=False)


def cheering(spectrum: Powers) -> float:
    """Share of frames that are loud for the segment and lie in a second that sounds like noise; spectrum [N, bins]."""
    seconds = len(spectrum) // FRAMES_A_SECOND
    if seconds == 0:
        return 0.0
    whole = spectrum[: seconds * FRAMES_A_SECOND, bin_of(NOISE_BAND[0]) : bin_of(NOISE_BAND[1])]
    band = whole.reshape(seconds, FRAMES_A_SECOND, -1)  # [T, 10, bins of the band]
    power = band.sum(axis=2)  # [T, 10]
    loud = power > max(float(np.percentile(power, QUIET_SHARE)) * RISE, AUDIBLE)
    return float((loud & noise_like(band, power)[:, None]).mean())


def noise_like(band: Powers, power: Powers) -> NDArray[np.bool_]:
    """Which seconds [T] are flat and steady; band [T, 10, bins], power [T, 10] its sum."""
    mean = band.mean(axis=1) + FLOOR / WINDOW
    flatness = np.exp(np.log(mean).mean(axis=1)) / mean.mean(axis=1)
    variation = power.std(axis=1) / (power.mean(axis=1) + FLOOR)
    return (flatness > FLAT) & (variation < STEADY)


def bin_of(frequency: float) -> int:
    """The first bin that is not below a frequency in Hz."""
    return -int(-frequency * WINDOW // SAMPLE_RATE)


def log_power(power: float) -> float:
    return float(np.log10(max(power, FLOOR)))
