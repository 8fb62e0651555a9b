"""The order that scores give to segments: scored rooms in, Kendall's tau-b at thresholds Δ with intervals out.

The measure is that of the paper's Table I (section IV-B): tau over all pairs of segments with a true LVTR greater than
Δ. It is given over all those segments of a test set, where streamers compete with one another. It is also given as the
mean over rooms, where each is compared with itself alone. Intervals are bootstrapped over rooms, since segments of a
room are not independent draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.evaluation.rank_correlation import FEWEST_LABELS
from kuaihl.models.evaluation.room_pairs import room_pairs

if TYPE_CHECKING:
    from kuaihl.models.evaluation.room_scores import ScoredRoom

THRESHOLDS = (0.0, 0.2, 0.4, 0.6)  # Δ of the paper's Table I
DRAWS = 1000  # of the bootstrap
CONFIDENCE = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval, both NaN if there is no data; the interval is also NaN without draws."""

    value: float
    low: float
    high: float
    draws: Floats  # [B], the same figure on each bootstrap draw; with one seed, draw b has the same rooms


@dataclass(frozen=True)
class Evaluation:
    """Tau-b in [-1, 1] at each Δ."""

    rooms: int  # with at least one label that counts
    labels: int
    tau: Mapping[float, Estimate]  # over the segments above Δ of all rooms
    tau_per_room: Mapping[float, Estimate]  # mean over rooms, of each one's segments above Δ
    rooms_counted: Mapping[float, int]  # the number of rooms in that mean
    labels_above: Mapping[float, int]  # segments above Δ, of all rooms


def evaluate(
    rooms: "Sequence[ScoredRoom]",
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Evaluation:
    """Measure scored rooms. With `draws` 0 there are no intervals. Raises ValueError for scores that are not finite."""
    rooms = [room for room in rooms if room.valid.any()]
    drawn = draw_rooms(len(rooms), draws, seed)
    tau, tau_per_room, rooms_counted, labels_above = {}, {}, {}, {}
    for threshold in thresholds:
        chosen = [room.valid & is_above(room.labels, threshold) for room in rooms]
        scores = [room.scores[which] for room, which in zip(rooms, chosen, strict=True)]
        labels = [room.labels[which] for room, which in zip(rooms, chosen, strict=True)]
        sizes = np.array([len(room) for room in labels], dtype=np.int64)
        pairs = room_pairs(scores, labels)
        each = np.where(sizes >= FEWEST_LABELS, pairs.tau_each(), np.nan)
        tau[threshold] = _estimate(pairs.tau(drawn))
        tau_per_room[threshold] = mean_estimate(each, drawn)
        rooms_counted[threshold] = int(np.isfinite(each).sum())
        labels_above[threshold] = int(sizes.sum())
    labels_counted = sum(int(room.valid.sum()) for room in rooms)
    return Evaluation(len(rooms), labels_counted, tau, tau_per_room, rooms_counted, labels_above)


def is_above(labels: Floats, threshold: float) -> NDArray[np.bool_]:  # [N] -> [N]
    """A mask of the labels greater than the threshold: 12 long views of 60 are not above 0.2.

    Labels are compared in single precision, in which data sets hold them; 0.2 is a little more there than in double.
    """
    return labels.astype(np.float32) > np.float32(threshold)


def draw_rooms(rooms: int, draws: int, seed: int) -> Floats:  # [1 + draws, R]
    """The count of each room in each draw of R rooms with replacement; the first draw has every room once."""
    if not rooms:
        return np.ones((1 + draws, 0))
    drawn = np.random.default_rng(seed).multinomial(rooms, np.full(rooms, 1 / rooms), size=draws)
    return np.concatenate([np.ones((1, rooms)), drawn])


def mean_estimate(each: Floats, drawn: Floats) -> Estimate:  # [R], [1 + B, R]
    """The mean of a figure over rooms (or videos), without those that are NaN."""
    counted = np.isfinite(each).astype(np.float64)
    total, number = drawn @ np.nan_to_num(each), drawn @ counted
    return _estimate(np.divide(total, number, out=np.full_like(number, np.nan), where=number > 0))


def difference(one: Estimate, other: Estimate) -> Estimate:
    """The difference of `one` minus `other`, both of one seed, draw by draw on the same rooms.

    So the difficulty of a room cancels out. Their own intervals may overlap even if this one stays clear of 0.
    """
    return _estimate(np.append(one.value - other.value, one.draws - other.draws))


def _estimate(values: Floats) -> Estimate:  # [1 + B], the figure itself and those of the draws
    draws = values[1:]
    low, high = np.nan, np.nan
    if np.isfinite(draws).any():
        outside = (1 - CONFIDENCE) / 2
        low, high = np.nanquantile(draws, (outside, 1 - outside))
    return Estimate(float(values[0]), float(low), float(high), draws)
