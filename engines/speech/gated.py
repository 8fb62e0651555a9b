"""Speech to text, with the steps that every back-end shares: windows in, transcripts out (DESIGN section 4).

The gate: windows without speech never reach Whisper, long pauses are cut out, and sentences get their own times back.
The language is given, or detected and kept. The filters drop loops, and words that Whisper itself takes for silence.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kuaihl.engines.speech.language import SpokenLanguage
from kuaihl.engines.speech.pauses import Speech, cut_pauses
from kuaihl.engines.speech.sentences import sentences_of, without_loops
from kuaihl.engines.speech.transcriber import WINDOW_SAMPLES, Decoded, SpeechWindow, WindowDecoder, space_of
from kuaihl.engines.speech.voice_activity import speech_spans_of
from kuaihl.engines.types import Audio, Transcript
from kuaihl.models.errors import UsageError

# Whisper's own thresholds: words with a no_speech_prob above SILENT and an avg_logprob below UNSURE are invented.
_SILENT = 0.6
_UNSURE = -1.0


class GatedTranscriber:
    """A `Transcriber` made from a `WindowDecoder`."""

    def __init__(self, decoder: WindowDecoder, threads: int = 1, *, language: str | None = None) -> None:
        """`language` is the one that was heard last in the stream."""
        self.decoder = decoder
        self.threads = threads
        self.spoken = SpokenLanguage(decoder, language)

    @property
    def name(self) -> str:
        return self.decoder.name

    def for_stream(self, language: str | None = None) -> "GatedTranscriber":
        return GatedTranscriber(self.decoder, self.threads, language=language)

    def transcribe(
        self, windows: Sequence[Audio], starts: Sequence[float], *, language: str | None = None
    ) -> list[Transcript]:
        given = None if language is None else _language_code(language, self.decoder)
        sounds = [_cut_sound(window) for window in windows]
        voices = speech_spans_of(sounds, self.threads)
        speech = {i: cut_pauses(sounds[i], voice) for i, voice in enumerate(voices) if voice}
        del sounds  # the speech is a copy: 2 MB per window less during decoding
        transcripts = [Transcript(no_speech_prob=1.0)] * len(windows)
        if not speech:
            return transcripts
        heard = [SpeechWindow(each.audio) for each in speech.values()]
        code = given or self.spoken.of(heard)
        for i, decoded in zip(speech, self.decoder.decode(heard, code), strict=True):
            transcripts[i] = _transcript_of(decoded, speech[i], starts[i], code)
            if decoded.avg_logprob < _UNSURE:
                self.spoken.doubt()
        return transcripts


def _cut_sound(window: Audio) -> Audio:
    """The window made safe for the networks: at most 30 s, finite, within [-1, 1]. Damaged streams decode to worse."""
    return np.clip(np.nan_to_num(window[:WINDOW_SAMPLES], posinf=0.0, neginf=0.0), -1.0, 1.0).astype(np.float32)


def _language_code(language: str, decoder: WindowDecoder) -> str:
    """`language` as Whisper writes it: zh-CN and ZH are zh. Raises UsageError for one that `decoder` lacks."""
    code = re.split("[-_]", language.strip().lower())[0]
    if not decoder.knows(code):
        raise UsageError(
            "this Whisper does not know it; give a code such as en, zh or ja", setting="language", value=language
        )
    return code


def _transcript_of(decoded: Decoded, speech: Speech, start: float, language: str) -> Transcript:
    """Decoded phrases -> sentences on the stream's clock; empty if the filters take them for invented."""
    invented = decoded.no_speech_prob > _SILENT and decoded.avg_logprob < _UNSURE
    phrases = () if invented else without_loops(decoded.phrases)
    space = space_of(language)
    sentences = tuple(
        replace(sentence, start=start + sentence.start, end=start + sentence.end)
        for sentence in sentences_of([speech.place(phrase) for phrase in phrases], space)
    )
    return Transcript(
        text=space.join(sentence.text for sentence in sentences),
        sentences=sentences,
        language=language,
        no_speech_prob=decoded.no_speech_prob,
        avg_logprob=decoded.avg_logprob,
    )
