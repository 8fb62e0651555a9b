"""Transcribes segments of any length in windows of 30 s: cut in the quietest places, and joined again."""

from collections.abc import Sequence

import numpy as np

from kuaihl.engines.speech.transcriber import WINDOW_SAMPLES, Transcriber, space_of
from kuaihl.engines.types import SAMPLE_RATE, Audio, Transcript

_SPARE = int(0.2 * SAMPLE_RATE)  # a segment of 30 s may be a few packets longer; this much of its tail is dropped
_SEARCH = 2.0  # s searched for a pause on either side of an even cut
_BLOCK = int(0.05 * SAMPLE_RATE)  # samples over which loudness is taken


def transcribe_segments(
    transcriber: Transcriber, audios: Sequence[Audio], starts: Sequence[float], language: str | None = None
) -> list[Transcript]:
    """One transcript per segment of any length; all windows of all segments go to `transcriber` as one batch."""
    windows: list[Audio] = []
    times: list[float] = []
    owners: list[int] = []
    for i, (audio, start) in enumerate(zip(audios, starts, strict=True)):
        for begin, end in windows_of(audio):
            windows.append(audio[begin:end])
            times.append(start + begin / SAMPLE_RATE)
            owners.append(i)
    parts: list[list[Transcript]] = [[] for _ in audios]
    for owner, transcript in zip(owners, transcriber.transcribe(windows, times, language=language), strict=True):
        parts[owner].append(transcript)
    return [part[0] if len(part) == 1 else _join_transcripts(part) for part in parts]


def windows_of(audio: Audio) -> list[tuple[int, int]]:
    """Sample ranges of at most 30 s that cover `audio`, as even as pauses allow."""
    total = len(audio)
    count = max(1, -(-(total - _SPARE) // WINDOW_SAMPLES))
    # Even cuts leave this much room; no cut moves so far that a window would get longer than 30 s.
    room = min(int(_SEARCH * SAMPLE_RATE), (WINDOW_SAMPLES - total // count) // 2)
    cuts = [_find_quietest(audio, total * k // count, max(0, room)) for k in range(1, count)]
    return list(zip([0, *cuts], [*cuts, total], strict=True))


def _find_quietest(audio: Audio, middle: int, reach: int) -> int:
    """The middle of the quietest 50 ms within `reach` samples of `middle`."""
    blocks = audio[middle - reach : middle + reach]
    blocks = blocks[: len(blocks) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    if len(blocks) == 0:
        return middle
    return middle - reach + int(np.argmin(np.square(blocks).sum(axis=1))) * _BLOCK + _BLOCK // 2


def _join_transcripts(parts: Sequence[Transcript]) -> Transcript:
    """One transcript from consecutive ones; the probabilities are means over parts with words, weighted by length."""
    worded = [part for part in parts if part.text]
    if len(worded) <= 1:
        return worded[0] if worded else next(iter(parts), Transcript(no_speech_prob=1.0))
    languages = [part.language for part in worded]
    language = max(languages, key=languages.count)
    weights = [len(part.text) for part in worded]
    return Transcript(
        text=space_of(language).join(part.text for part in worded),
        sentences=tuple(sentence for part in worded for sentence in part.sentences),
        language=language,
        no_speech_prob=_weighted_mean([part.no_speech_prob for part in worded], weights),
        avg_logprob=_weighted_mean([part.avg_logprob for part in worded], weights),
    )


def _weighted_mean(values: Sequence[float | None], weights: Sequence[int]) -> float | None:
    """Weighted mean of the known values, None if there are none."""
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    return sum(value * weight for value, weight in known) / sum(weight for _, weight in known) if known else None
