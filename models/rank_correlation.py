"""Kendall's tau-b of scores and labels in O(n log n), be it a room of a hundred segments or a test set of a million."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Integers = NDArray[np.int64]


def kendall_tau_b(scores: ArrayLike, labels: ArrayLike, min_difference: float = 0.0) -> float:
    """Tau-b in [-1, 1] of two sequences of one length; NaN where either is constant.

    With `min_difference` Δ > 0 only pairs whose labels differ by more than Δ are compared; pairs of equal scores among
    them count as ties. Raises ValueError for sequences of unlike length or values that are not finite.
    """
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"scores {x.shape} and labels {y.shape} are not two sequences of one length")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("scores and labels must be finite")
    order = np.argsort(y, kind="stable")
    ranks = np.unique(x, return_inverse=True)[1].astype(np.int64)[order]  # of the scores, in order of the labels
    smaller = smaller_by(y[order], min_difference)
    concordant, discordant = _agreements(ranks, smaller)
    apart = int(smaller.sum())  # pairs whose labels differ
    if min_difference > 0:
        norm = math.sqrt(float(concordant + discordant) * float(apart))
    else:
        pairs = len(x) * (len(x) - 1) // 2
        norm = math.sqrt(float(pairs - _tied(ranks)) * float(apart))
    return (concordant - discordant) / norm if norm else math.nan


def smaller_by(labels: NDArray[np.float64], difference: float) -> Integers:
    """For each of `labels` [N], sorted ascending, how many are smaller by more than `difference`."""
    smaller: Integers = np.searchsorted(labels, labels - difference, side="left")
    # y − Δ is rounded: a label at the border by a hair is still "not more than Δ".
    return _strictly_apart(labels, smaller, difference) if difference > 0 else smaller


def _strictly_apart(labels: NDArray[np.float64], smaller: Integers, difference: float) -> Integers:
    """Move each count by the one or two places that rounding may have put it off."""
    rows = np.arange(len(labels))
    while (off := (smaller > 0) & ~(labels[rows] - labels[np.maximum(smaller - 1, 0)] > difference)).any():
        smaller = smaller - off
    while (off := (smaller < rows) & (labels[rows] - labels[np.minimum(smaller, rows)] > difference)).any():
        smaller = smaller + off
    return smaller


def _agreements(ranks: Integers, smaller: Integers) -> tuple[int, int]:
    """Pairs i < smaller[j] with ranks[i] < ranks[j], and with ranks[i] > ranks[j]; `smaller` never falls.

    Elements and questions go into one sequence, question j right after element smaller[j] − 1. Two ranks first differ
    in one bit. So, bit by bit from the highest, among those whose higher bits agree, count the elements with the one
    bit before the questions with the other.
    """
    number = len(ranks)
    place = np.concatenate([2 * np.arange(number, dtype=np.int64), 2 * smaller - 1])
    sequence = np.argsort(place, kind="stable")
    rank = np.concatenate([ranks, ranks])[sequence]
    question = sequence >= number
    below = above = 0
    for bit in range(int(ranks.max(initial=0)).bit_length() - 1, -1, -1):
        one = (rank >> bit & 1).astype(bool)
        first = np.flatnonzero(np.diff(rank >> (bit + 1), prepend=-1))  # of each group; the sequence is sorted by it
        sizes = np.diff(first, append=2 * number)
        below += int(_before(~question & ~one, first, sizes)[question & one].sum())
        above += int(_before(~question & one, first, sizes)[question & ~one].sum())
        # A radix pass: within each group the zeros go first, in their order, and make the next bit's groups.
        zeros = _before(~one, first, sizes)
        ones = np.arange(2 * number) - np.repeat(first, sizes) - zeros
        all_zeros = np.repeat(np.add.reduceat(~one, first, dtype=np.int64), sizes)
        target = np.repeat(first, sizes) + np.where(one, all_zeros + ones, zeros)
        rank[target], question[target] = rank.copy(), question.copy()
    return below, above


def _before(these: NDArray[np.bool_], first: Integers, sizes: Integers) -> Integers:
    """For every place, how many of `these` stand before it in its group."""
    running: Integers = np.cumsum(these) - these
    return running - np.repeat(running[first], sizes)


def _tied(ranks: Integers) -> int:
    counts = np.bincount(ranks)
    return int((counts * (counts - 1) // 2).sum())
