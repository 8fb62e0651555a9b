"""Spearman's rank correlation: values in, average ranks out, whose Pearson correlation it is."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def average_ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks [N] from 0; equal values share the mean of theirs. Raises ValueError for values that are not finite."""
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError("values must be finite")
    _, which, counts = np.unique(array, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts + 1) / 2)[which]
    return ranks


def spearman_rho(one: ArrayLike, other: ArrayLike) -> float:
    """Rho in [-1, 1] of two sequences of one length; NaN where either is constant."""
    x, y = average_ranks(one), average_ranks(other)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"{x.shape} and {y.shape} are not two sequences of one length")
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm else float("nan")
