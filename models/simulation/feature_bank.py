"""Features that simulated rooms are put together from: real encoders' vectors of written sentences and drawn scenes.

A bank holds one split's sentences and styles, as a flat list of texts with a key each; a room of the simulator names
topics, and gets features of them.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.features import Float16
from kuaihl.models.simulation.terms import GENRES, NOTHING, TOPICS, Integers, Room

LANGUAGES = ("en", "zh")
_MOTION_EDGES = (0.3, 0.65)  # between the three levels of motion that scenes are drawn at
_MANY_COMMENTS = 6  # a segment's comments from here on count as many
KEY = ("language", "genre", "speech", "chatter", "many")  # topics as in a Room; many is 0 or 1
_SHAPE = (len(LANGUAGES), len(GENRES), len(TOPICS) + 1, len(TOPICS) + 1, 2)
NO_WORDS = -1  # in place of a row, where nothing is said or written


@dataclass(frozen=True)
class FeatureBank:
    """Vectors to draw from."""

    text: Float16  # [N, d_t]
    keys: Integers  # [N, KEY], in any order; several texts have the same key
    visual: Float16  # [topics, motion levels, styles, P, d_v]

    @property
    def styles(self) -> int:
        return int(self.visual.shape[2])

    @cached_property
    def spread(self) -> NDArray[np.float32]:
        """Each number's deviation over the texts [d_t]."""
        spread: NDArray[np.float32] = self.text.astype(np.float32).std(axis=0)
        return spread

    @cached_property
    def order(self) -> Integers:
        """Rows [N], sorted by key."""
        return np.argsort(codes_of(self.keys), kind="stable")

    @cached_property
    def counts(self) -> Integers:
        """How many texts each code of a key has."""
        return np.bincount(codes_of(self.keys), minlength=int(np.prod(_SHAPE)))

    @cached_property
    def starts(self) -> Integers:
        """Where in `order` each code of a key begins."""
        return np.cumsum(self.counts) - self.counts

    def draw(self, keys: Integers, random: np.random.Generator) -> Integers:
        """A row for each key [S, KEY], NO_WORDS for one without speech and comments.

        Raises ValueError if no text has the key.
        """
        codes = codes_of(keys)
        worded = (keys[:, 2] != NOTHING) | (keys[:, 3] != NOTHING)
        for missing in np.flatnonzero(worded & (self.counts[codes] == 0)):
            raise ValueError(f"the bank has no text of {dict(zip(KEY, keys[missing].tolist(), strict=True))}")
        place = self.starts[codes] + (random.random(len(codes)) * self.counts[codes]).astype(np.int64)
        return np.where(worded, self.order[np.where(worded, place, 0)], NO_WORDS)

    def draw_alike(self, rows: Integers, random: np.random.Generator) -> Integers:
        """For each row [S] another, or the same, of its key."""
        keys = np.where((rows == NO_WORDS)[:, None], NOTHING, self.keys[rows])
        keys[rows == NO_WORDS, :2], keys[rows == NO_WORDS, 4] = 0, 0
        return self.draw(keys, random)

    def text_of(self, rows: Integers) -> Float16:
        """Vectors [S, d_t] of rows [S], zeros where there are no words."""
        return np.where((rows == NO_WORDS)[:, None], np.float16(0), self.text[rows])

    def visual_of(self, features: "RoomFeatures", part: slice = slice(None)) -> Float16:
        """Vectors [S, P, d_v] of the pictures of a room, or of part of it; zeros where none were recorded."""
        seen = self.visual[tuple(each[part] for each in features.visual)]
        return seen if features.pictures else np.zeros_like(seen)

    def part(self, rows: Integers, styles: slice = slice(None)) -> "FeatureBank":
        """The bank of these texts and styles alone."""
        return FeatureBank(self.text[rows], self.keys[rows], self.visual[:, :, styles])


@dataclass(frozen=True)
class RoomFeatures:
    """Where a room's features lie in the bank: indices alone, so that a thousand rooms fit in memory."""

    text: Integers  # [S] rows of FeatureBank.text, or NO_WORDS
    visual: tuple[NDArray[np.int64], ...]  # three index arrays [S] into FeatureBank.visual
    pictures: bool  # whether they were recorded; unrecorded ones are zeros


def codes_of(keys: Integers) -> Integers:
    """One number for each key [N, KEY]."""
    language, genre, speech, chatter, many = keys.T
    return np.asarray(np.ravel_multi_index((language, genre, speech + 1, chatter + 1, many), _SHAPE))


def keys_of(room: Room, *, speech: bool = True, comments: bool = True) -> Integers:
    """The key [S, KEY] of each segment's text, of its speech and comments or of one of them alone.

    How many comments there are counts only beside speech of their own topic or none: a full cross would be too many.
    """
    length = len(room.speech)
    spoken = room.speech if speech else np.full(length, NOTHING)
    written = room.chatter if comments else np.full(length, NOTHING)
    strays = (spoken != NOTHING) & (spoken != written)
    many = (room.comments >= _MANY_COMMENTS) & (written != NOTHING) & ~strays
    return np.stack(
        [np.full(length, room.language), np.full(length, room.genre), spoken, written, many.astype(np.int64)], axis=1
    )


def features_of(room: Room, bank: FeatureBank, random: np.random.Generator) -> RoomFeatures:
    """Choose the sentences and pictures of a room: one style throughout, other sentences every time."""
    level = np.digitize(room.motion, _MOTION_EDGES)
    style = np.full(len(room.speech), room.style % bank.styles)
    return RoomFeatures(bank.draw(keys_of(room), random), (room.scene, level, style), "pictures" in room.known)
