"""The transcript of a segment in, its signals out: how much was said, how fast, and how.

Chinese and Japanese have no spaces: a character counts as 0.6 words. Running Chinese has 1.6 (Zheng 1957) to 1.7
(DeFrancis 1943) characters per word; for Japanese it is a guess. Thai and other scripts without spaces are counted by
the text between spaces, so too low: only the standard score within a room matters.
"""

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from operator import eq

from kuaihl.engines.encoders.signals.comments import log_count
from kuaihl.engines.encoders.signals.laughter import count_laughs
from kuaihl.engines.types import Sentence, Transcript

_MAX_CHARACTERS = 4_000  # 30 s of the fastest speech is under 700
_WORDS_PER_CHARACTER = 0.6
_WORDS_PER_SECOND = 2.5  # 150 words per minute: for the share of speech if a transcript has no times

_SPACELESS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(f"[{_SPACELESS}]|[^\\W_{_SPACELESS}]+(?:['’][^\\W_{_SPACELESS}]+)*")
_ASCII_WORD = re.compile("[a-z0-9]+(?:'[a-z0-9]+)*")  # in small letters
_CHARACTER = re.compile(f"[{_SPACELESS}]")
_SAME_GROUP = re.compile(f"([{_SPACELESS}]{{2,8}}?)\\1+|([{_SPACELESS}])\\2{{2,}}")  # 进了进了, 好好好; not 看看
_MARKS = "!！‼"


def speech_signals(transcript: Transcript, seconds: float) -> dict[str, float]:
    """The signals of the group `speech` of a segment of `seconds`; all 0 if nothing was said."""
    text = transcript.text[:_MAX_CHARACTERS]
    words, repeated = _count_ascii_words(text) if text.isascii() else _count_words(text)
    spoken = _spoken_seconds(transcript.sentences)
    if spoken == 0:  # no sentence has times
        spoken = words / _WORDS_PER_SECOND
    return {
        "speech": min(spoken / seconds, 1.0) if seconds > 0 else 0.0,
        "words": log_count(words, seconds),
        "spoken_exclamations": log_count(sum(map(text.count, _MARKS)), seconds),
        "spoken_laughter": log_count(count_laughs(text), seconds),
        "spoken_repeats": repeated / words if words else 0.0,
    }


def _count_words(text: str) -> tuple[float, float]:
    """The number of words, and of those that repeat the word before.

    Without spaces, the characters in the repeats of a group.
    """
    found = [word.casefold() for word in _WORD.findall(text)]
    again = sum(before == word and _words_in(word) == 1.0 for before, word in pairwise(found))
    groups = sum(len(match[0]) - len(match[1] or match[2]) for match in _SAME_GROUP.finditer(text))
    return math.fsum(map(_words_in, found)), again + _WORDS_PER_CHARACTER * groups


def _count_ascii_words(text: str) -> tuple[float, float]:
    """The same of a text in ASCII, at a third of the cost."""
    found = _ASCII_WORD.findall(text.lower())
    return float(len(found)), sum(map(eq, found, found[1:]))


def _words_in(found: str) -> float:
    """The number of words that one match of WORD counts as."""
    return _WORDS_PER_CHARACTER if _CHARACTER.match(found) else 1.0


def _spoken_seconds(sentences: Sequence[Sentence]) -> float:
    """The seconds in which anybody speaks: the sentences' spans, with overlaps counted once."""
    total = 0.0
    reached = float("-inf")
    for sentence in sorted(sentences, key=lambda one: one.start):
        total += max(sentence.end - max(sentence.start, reached), 0.0)
        reached = max(reached, sentence.end)
    return total
