"""What a simulated test room shows and says, drawn again: a data set keeps features, and the seed gives the rest.

Pictures are drawn anew, of the scene, the motion and the style that their features were made of. Words are those of the
larger part: a stored text lies up to half of the way to another of its kind.
"""

import copy
from dataclasses import dataclass

import numpy as np

from kuaihl.engines.cold_start_features import MOTION_LEVELS, STYLES, written_texts
from kuaihl.engines.cold_start_scenes import draw_scene, style_of
from kuaihl.engines.segment import RgbImage
from kuaihl.models.feature_bank import KEYS, LANGUAGES, FeatureBank, RoomFeatures, features_of
from kuaihl.models.simulated_set import SHARES, SimulationPlan, halves, room_arrays, simulated_rooms, swap_order
from kuaihl.models.simulation import TOPICS, Room

HELD_OUT = "held-out"


@dataclass(frozen=True)
class ReplayedRoom:
    """A room, and where its features lie in the whole held-out bank."""

    room: Room
    features: RoomFeatures

    @property
    def language(self) -> str:
        return LANGUAGES[self.room.language]


@dataclass(frozen=True)
class Shown:
    """A segment for people."""

    picture: RgbImage
    scene: str  # the topic of the picture
    speech: str  # "" if nobody speaks


def replay(plan: SimulationPlan, held_out: FeatureBank) -> list[ReplayedRoom]:
    """The test rooms of a plan, in the order in which the data set has them."""
    before, own = halves(held_out)  # validation has the first half of the texts and of the styles
    found = []
    for split, random, rooms in simulated_rooms(plan, dict.fromkeys(SHARES, own.styles)):
        if split != "test":
            continue
        for room in rooms:
            swapped = swap_order(room, plan.swaps, random)
            features = features_of(swapped, own, copy.deepcopy(random))
            room_arrays(swapped, own, random, pooled=plan.pooled)  # for what it draws
            *key, variant = features.text
            scene, level, style = features.visual
            text = (*key, variant + before.text.shape[-2])
            found.append(ReplayedRoom(swapped, RoomFeatures(text, (scene, level, style + before.styles))))
    return found


def shown(room: ReplayedRoom, segments: range) -> list[Shown]:
    """The first picture and the words of some segments."""
    speech, _ = written_texts(HELD_OUT)
    lines = np.array(speech, dtype=object).reshape(*KEYS, -1)
    random = np.random.default_rng(segments.start)
    found = []
    for segment in segments:
        scene, level, style = (int(part[segment]) for part in room.features.visual)
        picture = draw_scene(scene, MOTION_LEVELS[level], style_of(STYLES[HELD_OUT][style]), random)
        found.append(Shown(picture, TOPICS[scene], lines[tuple(part[segment] for part in room.features.text)]))
    return found
