"""A window without its long pauses: audio and spans of speech in, Whisper's input out, and the way back.

The cost of encoding grows faster than the length, and Whisper invents words over anything but speech.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kuaihl.engines.speech.voice_activity import Span
from kuaihl.engines.types import SAMPLE_RATE, Audio, Sentence

_ENOUGH = 8.0  # s; a word alone, without the sounds around it, is often misheard


@dataclass(frozen=True)
class Speech:
    """The speech of one window; all times in seconds."""

    audio: Audio  # the kept spans, one after another
    voice: tuple[Span, ...]  # in the window: the spans of speech, if any
    kept: tuple[Span, ...]  # in the window: the spans of speech, widened if they are short
    cuts: tuple[float, ...]  # in `audio`: where each kept span ends

    def place(self, phrase: Sentence) -> Sentence:
        """A phrase of `audio` at its time in the window, within the voice: Whisper's own times are loose."""
        start, end = self.time_in_window(phrase.start, is_end=False), self.time_in_window(phrase.end, is_end=True)
        touched = [span for span in self.voice if span[0] < end and start < span[1]]
        if not touched:
            middle = (start + end) / 2
            touched = [min(self.voice, key=lambda span: abs((span[0] + span[1]) / 2 - middle))]
            start, end = touched[0]
        return Sentence(max(start, touched[0][0]), min(end, touched[-1][1]), phrase.text)

    def time_in_window(self, time: float, *, is_end: bool) -> float:
        """From seconds in `audio` to seconds in the window; an end at a cut stays before it, a start goes behind it."""
        index = (bisect_left if is_end else bisect_right)(self.cuts, time)
        index = min(index, len(self.kept) - 1)
        start, end = self.kept[index]
        return min(end, start + time - (self.cuts[index - 1] if index else 0.0))


def cut_pauses(window: Audio, voice: Sequence[Span]) -> Speech:
    """The speech in `window`; `voice` holds the spans in which somebody speaks."""
    kept = _widen_spans(voice, len(window) / SAMPLE_RATE)
    pieces = [window[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] for start, end in kept]
    cuts = np.cumsum([len(piece) for piece in pieces]) / SAMPLE_RATE
    audio = np.concatenate(pieces) if pieces else window[:0]
    return Speech(audio, tuple(voice), tuple(kept), tuple(cuts.tolist()))


def _widen_spans(spans: Sequence[Span], duration: float) -> list[Span]:
    """Grow all spans alike, within [0, duration], until they hold ENOUGH seconds; those that touch become one."""
    missing = _ENOUGH - sum(end - start for start, end in spans)
    growth = max(0.0, missing) / 2 / max(1, len(spans))
    grown: list[Span] = []
    for span_start, span_end in spans:
        start, end = max(0.0, span_start - growth), min(duration, span_end + growth)
        if grown and start <= grown[-1][1]:
            grown[-1] = (grown[-1][0], end)
        else:
            grown.append((start, end))
    return grown
