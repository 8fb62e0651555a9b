"""Sentences from Whisper's phrases: Whisper breaks where a subtitle would be full, and runs short ones together."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from kuaihl.engines.types import Sentence

_SENTENCE_END = re.compile(r"(?:[.!?…]+[\"')]*(?=\s)|[。！？]+[”」』）]*)")
_MAX_SENTENCE = 15.0  # s; without punctuation, phrases are not joined beyond this
_MAX_PAUSE = 1.0  # s between phrases of one sentence

_REPETITIVE = 2.4  # zlib compresses the text by more than this: a loop (Whisper's own threshold)
_LOOP = re.compile(r"(.{2,60}?)(?:[\s,.!?，。！？、]*\1){3,}")  # anything said four times or more


def sentences_of(phrases: Sequence[Sentence], space: str) -> tuple[Sentence, ...]:
    """Phrases cut at the ends of sentences and joined between them, with `space` in between."""
    sentences: list[Sentence] = []
    for part in (part for phrase in phrases for part in split(phrase)):
        last = sentences[-1] if sentences else None
        if last is None:
            sentences.append(part)
        elif (
            _SENTENCE_END.search(last.text[-3:] + " ")
            or part.start - last.end > _MAX_PAUSE
            or part.end - last.start > _MAX_SENTENCE
        ):
            start = max(part.start, last.start)
            sentences.append(Sentence(start, max(start, part.end), part.text))
        else:
            sentences[-1] = Sentence(last.start, max(last.end, part.end), last.text + space + part.text)
    return tuple(sentences)


def split(phrase: Sentence) -> list[Sentence]:
    """Split a phrase into its sentences; times within it follow the share of characters."""
    cuts = [0, *(match.end() for match in _SENTENCE_END.finditer(phrase.text)), len(phrase.text)]
    rate = (phrase.end - phrase.start) / max(1, len(phrase.text))
    parts = [(begin, end, phrase.text[begin:end].strip()) for begin, end in pairwise(cuts)]
    return [
        Sentence(phrase.start + begin * rate, phrase.start + end * rate, text) for begin, end, text in parts if text
    ]


def without_loops(phrases: tuple[Sentence, ...]) -> tuple[Sentence, ...]:
    """Phrases as they are, unless they compress too well: then each loop once, or nothing if that does not help."""
    if not _is_repetitive(phrases):
        return phrases
    kept: list[Sentence] = []
    for phrase in phrases:
        text = _LOOP.sub(r"\1", phrase.text)
        if not kept or text != kept[-1].text:
            kept.append(replace(phrase, text=text))
    return () if _is_repetitive(kept) else tuple(kept)


def _is_repetitive(phrases: Sequence[Sentence]) -> bool:
    """Whether the text compresses like a loop."""
    text = " ".join(phrase.text for phrase in phrases).encode()
    return len(text) > _REPETITIVE * len(zlib.compress(text))
