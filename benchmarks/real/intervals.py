"""How well scores order labels, with 95% bootstrap intervals; two systems are compared draw by draw.

The bootstrap draws whole units (games, broadcasts) or, in a set of one or two recordings, blocks of time within each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sets import RealSet

from kuaihl.models.evaluation.bootstrap import CONFIDENCE, Estimate

Floats = NDArray[np.float64]
Measure = Callable[[Floats, Floats, Floats], Floats]  # scores [n], labels [n], weights [D, n] -> [D]

DRAWS = 1000


@dataclass(frozen=True)
class Sampling:
    """How often each of N segments occurs in the set itself and in every draw."""

    units: NDArray[np.int64]  # [N] the unit's number
    blocks: NDArray[np.int64]  # [N] the drawn block's number
    drawn: Floats  # [1 + D, blocks], the first row ones
    within: bool  # blocks were drawn within each unit


def sampling(real: RealSet, draws: int = DRAWS, seed: int = 0) -> Sampling:
    """The draws of a set; those of one seed are the same for all systems compared."""
    units = numbered([recording.unit for recording in real.recordings for _ in recording.drawn])
    blocks = numbered([name for recording in real.recordings for name in recording.drawn])
    random = np.random.default_rng(seed)
    count = int(blocks.max()) + 1
    drawn = np.ones((1 + draws, count))
    pools = [np.unique(blocks[units == unit]) for unit in np.unique(units)] if real.within else [np.arange(count)]
    for pool in pools:
        drawn[1:, pool] = random.multinomial(len(pool), np.full(len(pool), 1 / len(pool)), size=draws)
    return Sampling(units, blocks, drawn, real.within)


def numbered(names: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def estimate(measure: Measure, sample: Sampling, scores: Floats, labels: Floats) -> Estimate:
    """The mean over units of a measure within each, over the segments [N] whose score and label are known."""
    known = np.isfinite(scores) & np.isfinite(labels)
    total, weight = np.zeros(len(sample.drawn)), np.zeros(len(sample.drawn))
    for unit in np.unique(sample.units[known]):
        own = known & (sample.units == unit)
        often = sample.drawn[:, sample.blocks[own]]
        if sample.within:
            found, counts = measure(scores[own], labels[own], often), np.ones(len(often))
        else:
            found = np.full(len(often), measure(scores[own], labels[own], np.ones((1, own.sum())))[0])
            counts = often[:, 0]
        there = np.isfinite(found)
        total += np.where(there, counts * np.nan_to_num(found), 0.0)
        weight += np.where(there, counts, 0.0)
    values = ratio(total, weight)
    outside = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(values[1:], (outside, 1 - outside)) if np.isfinite(values[1:]).any() else (np.nan,) * 2
    return Estimate(float(values[0]), float(low), float(high), values[1:])


def kendall_tau(scores: Floats, labels: Floats, weights: Floats) -> Floats:
    """Tau-b [D] of segments that occur `weights` [D, n] times each; NaN if the labels are constant.

    Constant scores give 0, because they order nothing: a rule that is silent in a recording is not excused from it.
    """
    x, y = (np.sign(each[:, None] - each[None, :]) for each in (scores, labels))
    agree, x_apart, y_apart = (((weights @ pairs) * weights).sum(axis=1) for pairs in (x * y, np.abs(x), np.abs(y)))
    norm = np.sqrt(x_apart * y_apart)
    return np.where(y_apart > 0, np.divide(agree, norm, out=np.zeros_like(agree), where=norm > 0), np.nan)


def tau_without_ties(scores: Floats, labels: Floats, weights: Floats) -> Floats:
    """The expected tau-b [D] if equal scores were put in a random order; else as `kendall_tau`.

    Tau-b divides by the pairs of unlike scores. So it judges a rule that speaks up in few segments on few pairs. A rule
    with the same message but no two equal scores gets less.
    """
    x, y = (np.sign(each[:, None] - each[None, :]) for each in (scores, labels))
    agree, y_apart = (((weights @ pairs) * weights).sum(axis=1) for pairs in (x * y, np.abs(y)))
    norm = np.sqrt((weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1)) * y_apart)
    return ratio(agree, norm)


def roc_area(scores: Floats, labels: Floats, weights: Floats) -> Floats:
    """Of labels 0 and 1, how often a 1 has the higher score of a pair, ties half [D]; NaN unless both occur."""
    ahead = (np.sign(scores[labels > 0][:, None] - scores[labels == 0][None, :]) + 1) / 2
    ones, zeros = weights[:, labels > 0], weights[:, labels == 0]
    pairs = ones.sum(axis=1) * zeros.sum(axis=1)
    return ratio(((ones @ ahead) * zeros).sum(axis=1), pairs)


def average_precision(scores: Floats, labels: Floats, weights: Floats) -> Floats:
    """Of labels 0 and 1, the mean precision at each 1 [D], equal scores taken together; NaN without a 1."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[order], append=np.inf))
    seen = np.cumsum(weights[:, order], axis=1)[:, last]
    found = np.cumsum((weights * labels)[:, order], axis=1)[:, last]
    precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
    total = (np.diff(found, axis=1, prepend=0.0) * precision).sum(axis=1)
    return ratio(total, found[:, -1])


def ratio(part: Floats, whole: Floats) -> Floats:
    """The quotient, NaN if the whole is 0."""
    found: Floats = np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
    return found
