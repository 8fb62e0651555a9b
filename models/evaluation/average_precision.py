"""Average precision of a video's scores against binary labels, plain and interpolated as in the protocol of PHD."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """In (0, 1]: the mean of the precision at each highlight, in order of falling score; NaN without highlights.

    Segments with equal scores are taken together, so that their order never helps. Raises ValueError for sequences of
    different lengths, labels other than 0 and 1, or scores that are not finite.
    """
    found, precision = _precision_by_threshold(scores, labels)
    if not found[-1]:
        return float("nan")
    return float(np.diff(found, prepend=0) @ precision / found[-1])


def interpolated_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """In (0, 1], as in Video2GIF's evaluation: each recall takes the best precision at or beyond it.

    The mean is over the distinct scores that add a highlight; each counts once, however many it adds. Raises as
    `average_precision` does.
    """
    found, precision = _precision_by_threshold(scores, labels)
    if not found[-1]:
        return float("nan")
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[np.diff(found, prepend=0) > 0].mean())


def _precision_by_threshold(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Highlights that score as high, and their share, for each of the K distinct scores from the highest down: [K]."""
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"scores {x.shape} and labels {y.shape} are not two sequences of one length")
    if not np.isfinite(x).all():
        raise ValueError("scores must be finite")
    if not np.isin(y, (0, 1)).all():
        raise ValueError("labels must be 0 or 1")
    order = np.argsort(-x, kind="stable")
    last = np.flatnonzero(np.diff(x[order], append=-np.inf))  # of each run of equal scores
    found: NDArray[Any] = np.cumsum(y[order], dtype=np.int64)[last]
    return found, found / (last + 1)
