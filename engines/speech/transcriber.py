"""The interface of a speech back-end: windows of audio in, transcripts out, and the decoder underneath it.

A back-end is one file with one `WindowDecoder`; the common parts (the gate, language, filters) are in `gated.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.types import SAMPLE_RATE, Audio, Sentence, Transcript

WINDOW_SECONDS = 30.0  # the length of Whisper's input
WINDOW_SAMPLES = int(WINDOW_SECONDS * SAMPLE_RATE)
_MAX_NEW_TOKENS = 224  # half of Whisper's text context, and enough for 30 s of the fastest speaker
_SECONDS_PER_TIMESTAMP = 0.02
_UNSPACED = {"zh", "yue", "ja", "th", "lo", "my"}  # written without spaces between words


def token_limit(seconds: float) -> int:
    """The largest number of tokens to decode for `seconds` of audio: it stops a decoder that loops."""
    return min(_MAX_NEW_TOKENS, round(24 + 9 * seconds))


class Transcriber(Protocol):
    """Speech to text for one stream: it remembers the language that it detected. `for_stream` makes one for another."""

    @property
    def name(self) -> str:
        """The back-end, by the name that `load_transcriber` takes."""

    def transcribe(
        self, windows: Sequence[Audio], starts: Sequence[float], *, language: str | None = None
    ) -> list[Transcript]:
        """One transcript per window of at most 30 s; the windows are independent of each other, decoded as a batch.

        `starts` are the windows' times in seconds on the stream's clock; the sentences' times are on it, too.
        `language` is a code such as "en" or "zh"; None detects it. Raises UsageError for a language Whisper lacks.
        """

    def for_stream(self, language: str | None = None) -> "Transcriber":
        """A transcriber with the same weights for another stream, in which `language` was heard last.

        The transcribers of several streams may be used at once, each by one thread.
        """


@dataclass(eq=False)
class SpeechWindow:
    """A window on its way through Whisper: speech of at most 30 s, and its encoding if a back-end keeps one."""

    audio: Audio
    encoding: NDArray[np.float32] | None = None  # [1, positions, width]


@dataclass(frozen=True)
class Decoded:
    """Whisper's output for one window; times in seconds from the window's first sample."""

    phrases: tuple[Sentence, ...]  # each between two timestamps, in order
    avg_logprob: float
    no_speech_prob: float


class WindowDecoder(Protocol):
    """Whisper itself, in one of its implementations: greedy, with timestamps, without a memory of earlier windows."""

    @property
    def name(self) -> str:
        """The back-end, by the name that `load_transcriber` takes."""

    def decode(self, windows: Sequence[SpeechWindow], language: str) -> list[Decoded]:
        """Decode windows as a batch."""

    def language_probabilities(self, window: SpeechWindow) -> dict[str, float]:
        """The probability of each language that Whisper knows; {"en": 1.0} for an English-only one.

        It may keep the window's encoding, so that `decode` does not encode it again.
        """

    def knows(self, language: str) -> bool:
        """Whether `language` is a code that this Whisper was trained with."""


def phrases_of(
    tokens: Sequence[int], timestamp_begin: int, end_of_text: int, duration: float, text_of: Callable[[list[int]], str]
) -> tuple[Sentence, ...]:
    """Split Whisper's tokens at its timestamps; times are made monotonic and held within [0, duration]."""
    phrases: list[Sentence] = []
    words: list[int] = []
    start = 0.0

    def close(end: float) -> None:
        text = text_of(words).strip()
        words.clear()
        if text:
            phrases.append(Sentence(start, max(start, end), text))

    for token in tokens:
        if token >= timestamp_begin:
            time = min(max(start, (token - timestamp_begin) * _SECONDS_PER_TIMESTAMP), duration)
            close(time)
            start = time
        elif token < end_of_text:
            words.append(token)
    close(duration)
    return tuple(phrases)


def space_of(language: str | None) -> str:
    """The separator between two sentences or words of `language`."""
    return "" if language in _UNSPACED else " "
