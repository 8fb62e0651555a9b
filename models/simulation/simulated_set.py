"""Simulated rooms with their features and signals: a number of rooms and a feature bank in, rooms to read out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.signals import with_standard_scores
from kuaihl.models.simulation.feature_bank import FeatureBank, RoomFeatures, features_of
from kuaihl.models.simulation.rooms import draw_rooms
from kuaihl.models.simulation.streamers import draw_streamers
from kuaihl.models.simulation.terms import HELD_OUT_GENRES, TRAINING_GENRES, Room

STREAMERS = 200  # of an epoch


@dataclass(frozen=True)
class SimulatedSet:
    """Rooms, the places of their features, and the bank that holds them."""

    rooms: list[Room]
    features: list[RoomFeatures]
    signals: list[NDArray[np.float32]]  # [S, SIGNALS_WIDTH] each
    bank: FeatureBank


def simulate(
    count: int, bank: FeatureBank, seed: int, first_room: int = 0, genres: Sequence[str] = TRAINING_GENRES
) -> SimulatedSet:
    """Rooms of new streamers: another seed gives other streamers, another `first_room` other rooms of the same ones."""
    streamers = draw_streamers(STREAMERS, np.random.default_rng(seed), genres)
    random = np.random.default_rng((seed, first_room))
    rooms = draw_rooms(count, streamers, bank.styles, random)
    features = [features_of(room, bank, random) for room in rooms]
    return SimulatedSet(rooms, features, [with_standard_scores(room.signals) for room in rooms], bank)


def simulate_held_out(count: int, bank: FeatureBank, seed: int) -> SimulatedSet:
    """Rooms to test on, of new streamers: half of them of genres that training has not met."""
    known = simulate(count - count // 2, bank, seed)
    new = simulate(count // 2, bank, seed, first_room=count, genres=HELD_OUT_GENRES)
    return SimulatedSet(known.rooms + new.rooms, known.features + new.features, known.signals + new.signals, bank)
