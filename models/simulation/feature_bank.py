"""The features of simulated rooms: real encoders' vectors of written sentences and drawn scenes.

A bank holds one split's sentences and styles, as a flat list of texts with one key each. A room of the simulator names
topics and receives features of them.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.features import Float16
from kuaihl.models.simulation.terms import GENRES, NOTHING, TOPICS, Integers, Room

LANGUAGES = ("en", "zh")
_MOTION_EDGES = (0.3, 0.65)  # between the three levels of motion in drawn scenes
_MANY_COMMENTS = 6  # a segment with at least so many comments counts as busy
KEY = ("language", "genre", "speech", "chatter", "many")  # topics as in a Room; many is 0 or 1
_SHAPE = (len(LANGUAGES), len(GENRES), len(TOPICS) + 1, len(TOPICS) + 1, 2)
NO_WORDS = -1  # in place of a row, if nothing is said or written


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
        """The number of texts per code of a key."""
        return np.bincount(codes_of(self.keys), minlength=int(np.prod(_SHAPE)))

    @cached_property
    def starts(self) -> Integers:
        """Where in `order` each code of a key begins."""
        return np.cumsum(self.counts) - self.counts

    def draw(self, keys: Integers, random: np.random.Generator) -> Integers:
        """One row per key [S, KEY], NO_WORDS for a key without speech and comments.

        Raises ValueError if no text has the key.
        """
        codes = codes_of(keys)
        worded = (keys[:, 2] != NOTHING) | (keys[:, 3] != NOTHING)
        for missing in np.flatnonzero(worded & (self.counts[codes] == 0)):
            raise ValueError(f"the bank has no text of {dict(zip(KEY, keys[missing].tolist(), strict=True))}")
        place = self.starts[codes] + (random.random(len(codes)) * self.counts[codes]).astype(np.int64)
        return np.where(worded, self.order[np.where(worded, place, 0)], NO_WORDS)

    def draw_alike(self, rows: Integers, random: np.random.Generator) -> Integers:
        """For each row [S], a row with the same key: another or the same."""
        keys = np.where((rows == NO_WORDS)[:, None], NOTHING, self.keys[rows])
        keys[rows == NO_WORDS, :2], keys[rows == NO_WORDS, 4] = 0, 0
        return self.draw(keys, random)

    def text_of(self, rows: Integers) -> Float16:
        """Vectors [S, d_t] of rows [S], zeros if there are no words."""
        return np.where((rows == NO_WORDS)[:, None], np.float16(0), self.text[rows])

    def visual_of(self, features: "RoomFeatures", part: slice = slice(None)) -> Float16:
        """Vectors [S, P, d_v] of the pictures of a room, or of part of it; zeros if none were recorded."""
        seen = self.visual[tuple(each[part] for each in features.visual)]
        return seen if features.pictures else np.zeros_like(seen)

    def part(self, rows: Integers, styles: slice = slice(None)) -> "FeatureBank":
        """The bank with these texts and styles alone."""
        return FeatureBank(self.text[rows], self.keys[rows], self.visual[:, :, styles])


@dataclass(frozen=True)
class RoomFeatures:
    """The places of a room's features in the bank: indices alone, so that a thousand rooms fit in memory."""

    text: Integers  # [S] rows of FeatureBank.text, or NO_WORDS
    visual: tuple[NDArray[np.int64], ...]  # three index arrays [S] into FeatureBank.visual
    pictures: bool  # whether they were recorded; unrecorded ones are zeros


def codes_of(keys: Integers) -> Integers:
    """One number per key [N, KEY]."""
    language, genre, speech, chatter, many = keys.T
    return np.asarray(np.ravel_multi_index((language, genre, speech + 1, chatter + 1, many), _SHAPE))


def keys_of(room: Room, *, speech: bool = True, comments: bool = True) -> Integers:
    """The key [S, KEY] of each segment's text, of its speech and comments or of one of them alone.

    The number of comments is ignored beside speech of another topic: a full cross would have too many keys.
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
    """Choose a room's sentences and pictures: one style throughout, other sentences every time."""
    level = np.digitize(room.motion, _MOTION_EDGES)
    style = np.full(len(room.speech), room.style % bank.styles)
    return RoomFeatures(bank.draw(keys_of(room), random), (room.scene, level, style), "pictures" in room.known)
