"""The sound of a segment in, its signals out: how loud, in which bands, and whether a crowd cheers.

Loudness is measured on every sample, in frames of 0.1 s. The spectrum is of 16 ms in every second frame, a twelfth of
the sound: all of it would cost a tenth of the ingest. Powers are mean squares at full scale 1, and never below FLOOR.

Applause and a cheering crowd are noise: they have no syllables, and a flat spectrum where speech and music have peaks.
Detectors use this (spectral flatness, or its kin, the crest factor). So a second is noise-like if its mean spectrum
from 500 to 5,000 Hz is flat and its power varies little. A crowd that rises needs something quieter beside it: noise
throughout a segment is not a cheer, and shows in loudness and its standard score.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.types import SAMPLE_RATE, Audio

_FRAME = SAMPLE_RATE // 10  # samples: 0.1 s
_WINDOW = 256  # samples per spectrum: 16 ms, bins of 62.5 Hz
_STEP = 2  # frames from one spectrum to the next
_SPECTRA_A_SECOND = SAMPLE_RATE // (_FRAME * _STEP)
_FLOOR = 1e-10  # -100 dBFS
_LOUDEST = 20  # `peak` is the mean of the loudest twentieth of frames

_LOW, _HIGH = 300, 2_000  # Hz: the bands' edges
_NOISE_BAND = (500, 5_000)  # Hz
_FLAT = 0.5  # of 1: pink noise has 0.7 there, talks 0.05 to 0.2
_STEADY = 0.5  # standard deviation of a second's powers over their mean: dense noise has 0.2, syllables 0.7 to 2
_QUIET_PART = 10  # the quietest tenth of a segment is its quiet level,
_RISE = 4.0  # and this many times its power is loud: 6 dB
_AUDIBLE = 1e-6  # -60 dBFS; anything below is never loud

_PIECE_SECONDS = 5  # of sound that fullness compares with its loudest cell
_MELS = 32  # bands of the mel scale (HTK's formula), as many as bins of 62.5 Hz can fill
_DEEPEST = -8.0  # log10 below the loudest cell: 80 dB, as librosa's `power_to_db` has it


def _bin_of(frequency: float) -> int:
    """The first bin at or above a frequency in Hz."""
    return -int(-frequency * _WINDOW // SAMPLE_RATE)


_BANDS = (0, 1, _bin_of(_LOW), _bin_of(_HIGH))  # first bins: a constant offset, low, middle and high
_NOISE_BINS = slice(_bin_of(_NOISE_BAND[0]), _bin_of(_NOISE_BAND[1]))
_ONES = np.ones(_NOISE_BINS.stop - _NOISE_BINS.start, np.float32)  # a product with it sums a band faster than `sum`
_Powers = NDArray[np.float32]
_HANN = np.hanning(_WINDOW).astype(np.float32)
_SCALE = 2.0 / (_WINDOW * float(np.square(_HANN).sum()))  # so that a spectrum's sum is the mean square
_WINDOW_FUNCTION = (_HANN * math.sqrt(_SCALE)).astype(np.float32)


def sound_signals(audio: Audio) -> dict[str, float]:
    """The signals of the group `sound` of a segment's samples [n], n > 0."""
    frames = _cut_frames(audio)
    power = _mean_squares(frames)  # [N]
    if not math.isfinite(power.sum()):
        frames = np.nan_to_num(frames, posinf=0.0, neginf=0.0)
        power = _mean_squares(frames)
    spectrum = _compute_spectra(frames)  # [M, WINDOW // 2 + 1], M = N / STEP
    bands = np.add.reduceat(spectrum.sum(axis=0), _BANDS) / len(spectrum)
    loudest = max(len(power) // _LOUDEST, 1)
    return {
        "loudness": _log_power(power.sum() / len(power)),
        "peak": _log_power(np.partition(power, -loudest)[-loudest:].sum() / loudest),
        "dynamics": float(np.log10(np.maximum(power, _FLOOR)).std()),
        "fullness": _measure_fullness(spectrum),
        "low_band": _log_power(bands[1]),
        "middle_band": _log_power(bands[2]),
        "high_band": _log_power(bands[3]),
        "cheering": _measure_cheering(spectrum),
    }


def loudness_of(audio: Audio) -> tuple[float, ...]:
    """The mean power of each second of a segment's samples [n] in dBFS, the last part of a second included.

    It is rounded here and not when it is written, so that scores that are read again are the same.
    """
    seconds = (audio[first : first + SAMPLE_RATE] for first in range(0, len(audio), SAMPLE_RATE))
    powers = (float(np.square(second, dtype=np.float64).mean()) for second in seconds)
    return tuple(round(10 * _log_power(power if math.isfinite(power) else 0.0), 1) for power in powers)


def _cut_frames(audio: Audio) -> Audio:
    """Samples in frames [N, FRAME], N > 0, without the rest of a frame; less than one frame is repeated to fill it."""
    if len(audio) < _FRAME:
        return np.resize(audio, (1, _FRAME))
    whole = len(audio) // _FRAME
    return audio[: whole * _FRAME].reshape(whole, _FRAME)


def _mean_squares(frames: Audio) -> _Powers:
    """The mean square of each frame, [N] of [N, FRAME]: products of a row and a column, which BLAS computes."""
    squares: _Powers = (frames[:, None, :] @ frames[:, :, None]).ravel()
    return squares / np.float32(_FRAME)


def _compute_spectra(frames: Audio) -> _Powers:
    """Power spectrum [M, WINDOW // 2 + 1] of the beginning of every second frame; its sum is the mean square."""
    transformed = np.fft.rfft(frames[::_STEP, :_WINDOW] * _WINDOW_FUNCTION)
    spectrum: _Powers = np.square(transformed.real, dtype=np.float32, casting="same_kind")
    spectrum += np.square(transformed.imag, dtype=np.float32, casting="same_kind")
    return spectrum


def _measure_cheering(spectrum: _Powers) -> float:
    """Share of moments that are loud for the segment and lie in a second that sounds like noise; spectrum [M, bins]."""
    seconds = len(spectrum) // _SPECTRA_A_SECOND
    if seconds == 0:
        return 0.0
    whole = spectrum[: seconds * _SPECTRA_A_SECOND, _NOISE_BINS]
    band = whole.reshape(seconds, _SPECTRA_A_SECOND, -1)  # [T, 5, bins of the band]
    power = band @ _ONES  # [T, 5]
    quiet = float(np.partition(power, power.size // _QUIET_PART, axis=None)[power.size // _QUIET_PART])
    loud = power > max(quiet * _RISE, _AUDIBLE)
    return float((loud & _noise_like(band, power)[:, None]).mean())


def _measure_fullness(spectrum: _Powers) -> float:
    """Mean log10 of the cells of a log-mel picture over the loudest of their 5 s, in [DEEPEST, 0]; spectrum [M, bins].

    The nearer to 0, the more of the time and of the bands is loud. Silence is DEEPEST.
    """
    size = _PIECE_SECONDS * _SPECTRA_A_SECOND
    pieces = max(len(spectrum) // size, 1)  # the rest counts only if it is all there is
    # One product per piece: BLAS would start threads for the whole, and they spin when done.
    cells = (spectrum[: pieces * size].reshape(pieces, -1, spectrum.shape[1]) @ _mel_bands()).reshape(pieces, -1)
    loudest = cells.max(axis=1, keepdims=True)
    cells *= np.where(loudest > _FLOOR, 1.0 / np.maximum(loudest, _FLOOR), np.float32(0.0))
    return float(np.log10(np.maximum(cells, 10**_DEEPEST)).sum(dtype=np.float64) / cells.size)


@cache
def _mel_bands() -> _Powers:
    """Triangles [WINDOW // 2 + 1, MELS] that are evenly spaced and of one width on the mel scale, from 0 Hz up."""
    bins = _mel(np.arange(_WINDOW // 2 + 1) * SAMPLE_RATE / _WINDOW)
    centres = np.linspace(0.0, bins[-1], _MELS + 2)
    width = centres[1]
    bands: _Powers = np.maximum(1 - np.abs(bins[:, None] - centres[1:-1]) / width, 0.0).astype(np.float32)
    return bands


def _mel(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2595.0 * np.log10(1.0 + frequency / 700.0)


def _noise_like(band: _Powers, power: _Powers) -> NDArray[np.bool_]:
    """Which seconds [T] are flat and steady; band [T, 5, bins], power [T, 5] its sum."""
    spectra = band.sum(axis=1) / np.float32(_SPECTRA_A_SECOND) + np.float32(_FLOOR / _WINDOW)
    bins = len(_ONES)
    flatness = np.exp(np.log(spectra) @ _ONES / bins) / (spectra @ _ONES / bins)
    mean = power.sum(axis=1) / _SPECTRA_A_SECOND
    deviation = np.sqrt(np.square(power - mean[:, None]).sum(axis=1) / _SPECTRA_A_SECOND)
    noisy: NDArray[np.bool_] = (flatness > _FLAT) & (deviation < _STEADY * (mean + _FLOOR))
    return noisy


def _log_power(power: float) -> float:
    return math.log10(max(power, _FLOOR))
