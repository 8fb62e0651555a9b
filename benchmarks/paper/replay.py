"""The pictures and words of a simulated test room, drawn again: a data set keeps features, the seed gives the rest.

Pictures are drawn again from the scene, the motion and the style of their features. Words are those of the larger
part: a stored text lies up to half of the way to another of its kind.
"""

import copy
from dataclasses import dataclass, replace

import numpy as np

from kuaihl.engines.cold_start.features import MOTION_LEVELS, STYLES, written_texts
from kuaihl.engines.cold_start.scenes import draw_scene, style_of
from kuaihl.engines.types import RgbImage
from kuaihl.models.simulation.dataset import (
    SimulationPlan,
    half_rows,
    room_arrays,
    simulated_rooms,
    split_banks,
    swap_order,
)
from kuaihl.models.simulation.feature_bank import LANGUAGES, NO_WORDS, FeatureBank, RoomFeatures, features_of
from kuaihl.models.simulation.terms import TOPICS, Room

HELD_OUT = "held-out"


@dataclass(frozen=True)
class ReplayedRoom:
    """A room, the rows of its words in the whole held-out bank, and the place of its pictures among all styles."""

    room: Room
    features: RoomFeatures
    styles: range  # counted by `features`

    @property
    def language(self) -> str:
        return LANGUAGES[self.room.language]


@dataclass(frozen=True)
class Shown:
    """A segment for human readers."""

    picture: RgbImage
    scene: str  # the topic of the picture
    speech: str  # "" if nobody speaks


def replay(plan: SimulationPlan, train: FeatureBank, held_out: FeatureBank) -> list[ReplayedRoom]:
    """The test rooms of a plan, in the order of the data set."""
    banks = split_banks(plan, train, held_out)
    own, rows = banks["test"], half_rows(held_out)[1]  # validation has the first half of the texts and of the styles
    styles = STYLES["train"] if plan.proportions == "klive" else STYLES[HELD_OUT][held_out.styles // 2 :]
    found = []
    for split, random, rooms in simulated_rooms(plan, {split: bank.styles for split, bank in banks.items()}):
        if split != "test":
            continue
        for room in rooms:
            swapped = swap_order(room, plan.swaps, random)
            features = features_of(swapped, own, copy.deepcopy(random))
            room_arrays(swapped, own, random, pooled=plan.pooled)  # advances the random draws
            text = np.where(features.text == NO_WORDS, NO_WORDS, rows[features.text])
            found.append(ReplayedRoom(swapped, replace(features, text=text), styles))
    return found


def shown(room: ReplayedRoom, segments: range) -> list[Shown]:
    """The first picture and the words of some segments."""
    written = written_texts(HELD_OUT)
    random = np.random.default_rng(segments.start)
    found = []
    for segment in segments:
        scene, level, style = (int(part[segment]) for part in room.features.visual)
        picture = draw_scene(scene, MOTION_LEVELS[level], style_of(room.styles[style]), random)
        row = int(room.features.text[segment])
        found.append(Shown(picture, TOPICS[scene], "" if row == NO_WORDS else written[row].speech))
    return found
