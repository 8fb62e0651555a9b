"""Speech to text with what every back-end needs around it: windows in, transcripts out (DESIGN section 4).

The gate: windows without speech never reach Whisper, long pauses are cut out, and sentences get their own times back.
The language: given, or detected and kept. The filters: loops, and words that Whisper itself takes for silence.
"""

import re
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kuaihl.engines.segment import SAMPLE_RATE, Audio, Sentence, Transcript
from kuaihl.engines.transcribers.spoken_language import SpokenLanguage
from kuaihl.engines.transcribers.transcriber import WINDOW_SAMPLES, Decoded, WindowDecoder, space_of
from kuaihl.engines.voice_activity import Span, speech_spans_of
from kuaihl.models.errors import UsageError

# Whisper's own thresholds (its paper, section 4.5).
REPETITIVE = 2.4  # zlib compresses the text by more than this: a loop
SILENT = 0.6  # no_speech_prob above this and
UNSURE = -1.0  # avg_logprob below this: invented

LOOP = re.compile(r"(.{2,60}?)(?:[\s,.!?，。！？、]*\1){3,}")  # anything said four times or more
SENTENCE_END = (".", "!", "?", "…", "。", "！", "？")
MAX_SENTENCE = 15.0  # s; without punctuation, phrases are not joined beyond this
MAX_PAUSE = 1.0  # s between phrases of one sentence


class GatedTranscriber:
    """A `Transcriber` out of a `WindowDecoder`."""

    def __init__(self, decoder: WindowDecoder, threads: int = 1) -> None:
        self.decoder = decoder
        self.threads = threads
        self.spoken = SpokenLanguage(decoder)

    @property
    def name(self) -> str:
        return self.decoder.name

    def new_stream(self) -> None:
        self.spoken = SpokenLanguage(self.decoder)

    def transcribe(
        self, windows: Sequence[Audio], starts: Sequence[float], *, language: str | None = None
    ) -> list[Transcript]:
        given = None if language is None else language_code(language, self.decoder)
        heard = [sound(window) for window in windows]
        speech = [
            Speech.cut(window, spans) for window, spans in zip(heard, speech_spans_of(heard, self.threads), strict=True)
        ]
        spoken = [i for i, each in enumerate(speech) if each.spans]
        transcripts = [Transcript(no_speech_prob=1.0)] * len(windows)
        if not spoken:
            return transcripts
        code = given or self.spoken.of([speech[i].audio for i in spoken])
        for i, decoded in zip(spoken, self.decoder.decode([speech[i].audio for i in spoken], code), strict=True):
            transcripts[i] = transcript_of(decoded, speech[i], starts[i], code)
            if given is None and decoded.avg_logprob < UNSURE:
                self.spoken.doubt()
        return transcripts


@dataclass(frozen=True)
class Speech:
    """A window with its long pauses cut out, and how its times map back."""

    audio: Audio
    spans: tuple[Span, ...]  # s in the window, in order
    cut_ends: tuple[float, ...]  # where each span ends in `audio`, s

    @classmethod
    def cut(cls, window: Audio, spans: Sequence[Span]) -> "Speech":
        """Keep what lies in `spans` of `window`."""
        pieces = [window[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] for start, end in spans]
        ends = np.cumsum([len(piece) for piece in pieces]) / SAMPLE_RATE
        audio = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
        return cls(audio, tuple(spans), tuple(ends.tolist()))

    def time_in_window(self, time: float, *, is_end: bool) -> float:
        """From seconds in `audio` to seconds in the window; at a cut, an end stays before it, a start goes after."""
        index = (bisect_left if is_end else bisect_right)(self.cut_ends, time)
        index = min(index, len(self.spans) - 1)
        start, end = self.spans[index]
        return min(end, start + time - (self.cut_ends[index - 1] if index else 0.0))


def sound(window: Audio) -> Audio:
    """The window as the networks may have it: at most 30 s, finite, within [-1, 1]. Damaged streams decode to worse."""
    return np.clip(np.nan_to_num(window[:WINDOW_SAMPLES], posinf=0.0, neginf=0.0), -1.0, 1.0).astype(np.float32)


def language_code(language: str, decoder: WindowDecoder) -> str:
    """`language` as Whisper writes it: zh-CN and ZH are zh. Raises UsageError for one that `decoder` lacks."""
    code = re.split("[-_]", language.strip().lower())[0]
    if not decoder.knows(code):
        raise UsageError(f"--language {language}: this Whisper does not know it; give a code such as en, zh or ja")
    return code


def transcript_of(decoded: Decoded, speech: Speech, start: float, language: str) -> Transcript:
    """Phrases of the cut audio -> sentences on the stream's clock; empty where the filters take them for invented."""
    weak = decoded.no_speech_prob > SILENT and decoded.avg_logprob < UNSURE
    phrases = () if weak else without_loops(decoded.phrases)
    placed = [
        Sentence(
            start + speech.time_in_window(phrase.start, is_end=False),
            start + speech.time_in_window(phrase.end, is_end=True),
            phrase.text,
        )
        for phrase in phrases
    ]
    space = space_of(language)
    sentences = joined([replace(each, end=max(each.start, each.end)) for each in placed], space)
    return Transcript(
        text=space.join(sentence.text for sentence in sentences),
        sentences=sentences,
        language=language,
        no_speech_prob=decoded.no_speech_prob,
        avg_logprob=decoded.avg_logprob,
    )


def without_loops(phrases: tuple[Sentence, ...]) -> tuple[Sentence, ...]:
    """Phrases as they are, unless they compress too well: then each loop once, or nothing if that does not help."""
    if not repetitive(phrases):
        return phrases
    kept: list[Sentence] = []
    for phrase in phrases:
        text = LOOP.sub(r"\1", phrase.text)
        if not kept or text != kept[-1].text:
            kept.append(replace(phrase, text=text))
    return () if repetitive(kept) else tuple(kept)


def repetitive(phrases: Sequence[Sentence]) -> bool:
    """Whether the text compresses like a loop."""
    text = " ".join(phrase.text for phrase in phrases).encode()
    return len(text) > REPETITIVE * len(zlib.compress(text))


def joined(phrases: Sequence[Sentence], space: str) -> tuple[Sentence, ...]:
    """Phrases of one sentence put together: Whisper also breaks where a line of subtitles would be full."""
    sentences: list[Sentence] = []
    for phrase in phrases:
        last = sentences[-1] if sentences else None
        if (
            last is None
            or last.text.endswith(SENTENCE_END)
            or phrase.start - last.end > MAX_PAUSE
            or phrase.end - last.start > MAX_SENTENCE
        ):
            sentences.append(phrase)
        else:
            sentences[-1] = Sentence(last.start, phrase.end, last.text + space + phrase.text)
    return tuple(sentences)
