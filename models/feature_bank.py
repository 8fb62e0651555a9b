"""Features that simulated rooms are put together from: real encoders' vectors of written sentences and drawn scenes.

A bank holds one split's sentences and styles; a room of the simulator names topics, and gets features of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.features import Float16
from kuaihl.models.simulation import NOTHING, TOPICS, Room

LANGUAGES = ("en", "zh")
MOTION_EDGES = (0.3, 0.65)  # between the three levels of motion that scenes are drawn at
MANY_COMMENTS = 5  # a segment's comments from here on count as many
KEYS = (len(LANGUAGES), len(TOPICS) + 1, len(TOPICS) + 1, 2)  # language, speech, chatter (last: none), few or many


@dataclass(frozen=True)
class FeatureBank:
    """Vectors to draw from. A text's key is its language, speech topic, chatter topic, and few or many comments."""

    text: Float16  # [*KEYS, variants, d_t]
    visual: Float16  # [topics, motion levels, styles, P, d_v]

    @property
    def styles(self) -> int:
        return int(self.visual.shape[2])


@dataclass(frozen=True)
class RoomFeatures:
    """Where a room's features lie in the bank: indices alone, so that a thousand rooms fit in memory."""

    text: tuple[NDArray[np.int64], ...]  # five index arrays [S] into FeatureBank.text
    visual: tuple[NDArray[np.int64], ...]  # three index arrays [S] into FeatureBank.visual


def features_of(room: Room, bank: FeatureBank, random: np.random.Generator) -> RoomFeatures:
    """Choose the sentences and pictures of a room: one style throughout, other sentences every time."""
    length = len(room.speech)
    language = np.full(length, room.language)
    speech = np.where(room.speech == NOTHING, len(TOPICS), room.speech)
    chatter = np.where(room.chatter == NOTHING, len(TOPICS), room.chatter)
    many = (room.comments >= MANY_COMMENTS).astype(np.int64)
    variant = random.integers(bank.text.shape[4], size=length)
    level = np.digitize(room.motion, MOTION_EDGES)
    style = np.full(length, room.style % bank.styles)
    return RoomFeatures((language, speech, chatter, many, variant), (room.scene, level, style))
