"""A Unigram tokenizer of a quarter of a million pieces in 5 MB: text in, the ids of its likeliest pieces out.

The library `tokenizers` keeps such pieces as a tree of hash tables, which takes 290 MB; the ids are the same (a test
compares them). Here a piece is looked up by its hash among sorted ones, and compared in place.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache
from math import inf

import numpy as np
from numpy.typing import NDArray

_WORD_STARTS = "\u2581"  # stands for the space before a word
_WORD = re.compile(f"{_WORD_STARTS}?[^{_WORD_STARTS}]+|{_WORD_STARTS}")
_UNKNOWN_PENALTY = 10.0  # by which a character without a piece is less likely than the rarest piece
_MULTIPLIER = 0x9E3779B97F4A7C15  # odd, so that multiplying loses no bit
_MASK = (1 << 64) - 1
_CACHED_WORDS = 4096


class Unigram:
    """Pieces with log probabilities, XLM-R's splitting of words, and the likeliest pieces of each word (Viterbi)."""

    def __init__(
        self, content: memoryview, bounds: NDArray[np.uint32], scores: NDArray[np.float32], unknown: int
    ) -> None:
        """Piece i is the UTF-8 text `content[bounds[i] : bounds[i + 1]]`, with score `scores[i]`.

        `unknown` is the id of text without a piece. Raises ValueError if pieces do not lie within `content`.
        """
        if len(bounds) != len(scores) + 1 or bounds[-1] > len(content) or (np.diff(bounds.astype(np.int64)) < 0).any():
            raise ValueError("its pieces do not lie one after another")
        self.content = content
        self.bounds = array("I", bounds.tobytes())
        self.scores = array("f", scores.tobytes())
        self.unknown = unknown
        self.unknown_score = min(self.scores) - _UNKNOWN_PENALTY
        self.longest = int(np.diff(bounds).max())  # bytes
        hashes = _piece_hashes(np.frombuffer(content, np.uint8), bounds)
        order = np.argsort(hashes, kind="stable")
        self.hashes = array("Q", hashes[order].tobytes())
        self.by_hash = array("I", order.astype(np.uint32).tobytes())  # ids
        self.ids_of_word = lru_cache(_CACHED_WORDS)(self.likeliest)

    def ids(self, text: str) -> list[int]:
        """Ids of the text's pieces, in order, without special ones. Its spaces must be single, with none at an end."""
        if not text:
            return []
        marked = text.replace(" ", _WORD_STARTS)
        if not marked.startswith(_WORD_STARTS):
            marked = _WORD_STARTS + marked
        return [token for word in _WORD.findall(marked) for token in self.ids_of_word(word)]

    def likeliest(self, word: str) -> tuple[int, ...]:
        """The pieces with the largest sum of scores, the first found of equals. Adjacent unknown ones become one."""
        text = word.encode()
        ends = [place for place, byte in enumerate(text) if place and byte & 0xC0 != 0x80] + [len(text)]
        best: list[tuple[float, int, int]] = [(-inf, 0, 0)] * (len(text) + 1)  # for each end: sum, start, id
        best[0] = (0.0, 0, 0)
        for start, character_end in zip([0, *ends], ends, strict=False):
            reached = best[start][0]
            found: list[tuple[int, int | None]] = list(self.pieces_from(text, start))
            if not any(end == character_end for end, _ in found):
                found.append((character_end, None))
            for end, token in found:
                score = reached + (self.unknown_score if token is None else self.scores[token])
                if score > best[end][0]:
                    best[end] = (score, start, self.unknown if token is None else token)
        tokens: list[int] = []
        end = len(text)
        while end:
            _, end, token = best[end]
            if token != self.unknown or tokens[-1:] != [token]:
                tokens.append(token)
        return tuple(reversed(tokens))

    def pieces_from(self, text: bytes, start: int) -> Iterator[tuple[int, int]]:
        """The end and the id of each piece of `text` that begins at `start`; the shortest first."""
        hashed = 0
        for end in range(start + 1, min(start + self.longest, len(text)) + 1):
            hashed = (hashed * _MULTIPLIER + text[end - 1] + 1) & _MASK
            place = bisect_left(self.hashes, hashed)
            while place < len(self.hashes) and self.hashes[place] == hashed:
                token = self.by_hash[place]
                if self.content[self.bounds[token] : self.bounds[token + 1]] == text[start:end]:
                    yield end, token
                    break
                place += 1


def _piece_hashes(content: NDArray[np.uint8], bounds: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """The hash of every piece, as in `pieces_from`, computed one byte of all pieces at a time."""
    starts, lengths = bounds[:-1], np.diff(bounds)
    hashes = np.zeros(len(starts), np.uint64)
    longer = np.arange(len(starts))
    for place in range(int(lengths.max())):
        longer = longer[lengths[longer] > place]
        hashes[longer] = hashes[longer] * np.uint64(_MULTIPLIER) + content[starts[longer] + place] + np.uint64(1)
    return hashes
