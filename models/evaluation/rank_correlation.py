"""Kendall's tau-b of scores and labels in O(n log² n), for a room of a hundred segments or a test set of a million."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST_LABELS = 10  # labels that a room needs for its own tau to count

Integers = NDArray[np.int64]


def kendall_tau_b(scores: ArrayLike, labels: ArrayLike) -> float:
    """Tau-b in [-1, 1] of two sequences of one length; NaN if either is constant.

    Raises ValueError for sequences of different lengths or values that are not finite.
    """
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"scores {x.shape} and labels {y.shape} are not two sequences of one length")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("scores and labels must be finite")
    x_rank, y_rank = dense_ranks(x), dense_ranks(y)
    both = x_rank * (len(x) + 1) + y_rank  # equal if scores and labels are both tied
    pairs = len(x) * (len(x) - 1) // 2
    x_tied, y_tied, both_tied = (_count_tied(ranks) for ranks in (x_rank, y_rank, dense_ranks(both)))
    discordant = _count_inversions(x_rank[np.lexsort((x_rank, y_rank))])
    concordant = pairs - x_tied - y_tied + both_tied - discordant
    norm = math.sqrt(float(pairs - x_tied) * float(pairs - y_tied))
    return (concordant - discordant) / norm if norm else math.nan


def dense_ranks(values: NDArray[np.float64] | Integers) -> Integers:
    """The number of distinct smaller values for each value: [N] -> [N]."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _count_inversions(ranks: Integers) -> int:
    """Pairs i < j with ranks[i] > ranks[j], counted while blocks are sorted and merged (Knight 1966)."""
    number = len(ranks)
    length = 1 << max(number - 1, 0).bit_length()
    padded = np.full(length, number, np.int64)  # padding is last and largest, so in no inversion
    padded[:number] = ranks
    found, width = 0, 1
    while width < length:
        halves = padded.reshape(-1, 2, width)
        block = np.arange(len(halves))[:, None]
        left, right = ((halves[:, side] + block * (number + 1)).ravel() for side in (0, 1))  # ascending over all blocks
        not_greater = np.searchsorted(left, right, side="right").reshape(-1, width) - block * width
        found += int((width - not_greater).sum())
        padded = np.sort(padded.reshape(-1, 2 * width), axis=1).ravel()
        width *= 2
    return found


def _count_tied(ranks: Integers) -> int:
    counts = np.bincount(ranks)
    return int((counts * (counts - 1) // 2).sum())


def average_ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks [N] from 0; equal values share their mean rank. Raises ValueError for values that are not finite."""
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError("values must be finite")
    _, which, counts = np.unique(array, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts + 1) / 2)[which]
    return ranks


def spearman_rho(one: ArrayLike, other: ArrayLike) -> float:
    """Rho in [-1, 1] of two sequences of one length; NaN if either is constant."""
    x, y = average_ranks(one), average_ranks(other)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"{x.shape} and {y.shape} are not two sequences of one length")
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm else float("nan")
