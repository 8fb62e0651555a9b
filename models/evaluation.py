"""How well scores order segments: scored rooms in, Kendall's tau-b at label differences Δ with intervals out.

The measure of the paper's Table I (section IV): only pairs whose labels differ by more than Δ are compared. It is
given over all segments of a test set, where streamers compete with one another, and as the mean over rooms, where
each is compared with itself alone. Intervals are bootstrapped over rooms, since segments of a room are no independent
draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.room_pairs import room_pairs

if TYPE_CHECKING:
    from kuaihl.models.room_scores import ScoredRoom

DIFFERENCES = (0.0, 0.2, 0.4, 0.6)  # Δ of the paper's Table I
DRAWS = 1000  # of the bootstrap
CONFIDENCE = 0.95
FEWEST_LABELS = 10  # of a room, for its own tau to count

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval; NaN where there is nothing to measure it on, the interval also where nothing drawn."""

    value: float
    low: float
    high: float
    draws: Floats  # [B], the same figure on each bootstrap draw; of one seed, draw b is of the same rooms


@dataclass(frozen=True)
class Evaluation:
    """Tau-b in [-1, 1] at each Δ."""

    rooms: int  # with at least one label that counts
    labels: int
    tau: Mapping[float, Estimate]  # over all segments of all rooms
    tau_a_room: Mapping[float, Estimate]  # mean over rooms
    rooms_counted: Mapping[float, int]  # of those that mean is over


def evaluate(
    rooms: "Sequence[ScoredRoom]",
    differences: Sequence[float] = DIFFERENCES,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Evaluation:
    """Measure scored rooms. With `draws` 0 there are no intervals. Raises ValueError for scores that are not finite."""
    rooms = [room for room in rooms if room.valid.any()]
    scores = [room.scores[room.valid] for room in rooms]
    labels = [room.labels[room.valid] for room in rooms]
    drawn = draw_rooms(len(rooms), draws, seed)
    enough = np.array([len(room) >= FEWEST_LABELS for room in labels], dtype=np.bool_)
    tau, tau_a_room, counted = {}, {}, {}
    for difference in differences:
        pairs = room_pairs(scores, labels, difference)
        tau[difference] = _estimate(pairs.tau(drawn))
        each = np.where(enough, pairs.tau_each(), np.nan)
        tau_a_room[difference] = mean_estimate(each, drawn)
        counted[difference] = int(np.isfinite(each).sum())
    return Evaluation(len(rooms), sum(map(len, labels)), tau, tau_a_room, counted)


def draw_rooms(rooms: int, draws: int, seed: int) -> Floats:  # [1 + draws, R]
    """How often each room is in each draw of R rooms with replacement; the first is of every room once."""
    if not rooms:
        return np.ones((1 + draws, 0))
    drawn = np.random.default_rng(seed).multinomial(rooms, np.full(rooms, 1 / rooms), size=draws)
    return np.concatenate([np.ones((1, rooms)), drawn])


def mean_estimate(each: Floats, drawn: Floats) -> Estimate:  # [R], [1 + B, R]
    """The mean of a figure over rooms (or videos), without those where it is NaN."""
    counted = np.isfinite(each).astype(np.float64)
    total, number = drawn @ np.nan_to_num(each), drawn @ counted
    return _estimate(np.divide(total, number, out=np.full_like(number, np.nan), where=number > 0))


def difference(one: Estimate, other: Estimate) -> Estimate:
    """How much more `one` has than `other`, both of one seed: draw by draw on the same rooms, so that what is hard
    about a room falls out. Their own intervals may overlap where this one stays clear of 0."""
    return _estimate(np.append(one.value - other.value, one.draws - other.draws))


def _estimate(values: Floats) -> Estimate:  # [1 + B], the figure itself and those of the draws
    draws = values[1:]
    low, high = np.nan, np.nan
    if np.isfinite(draws).any():
        outside = (1 - CONFIDENCE) / 2
        low, high = np.nanquantile(draws, (outside, 1 - outside))
    return Estimate(float(values[0]), float(low), float(high), draws)
