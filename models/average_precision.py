"""Average precision of a video's scores against binary labels, as highlight detection on PHD is measured.

PAC-Net, PR-Net and Adaptive-H-FCSN report, after PHD-GIFs and Video2GIF, the mean over videos of this figure (mAP).
Video2GIF's evaluation interpolates precision: at each recall the best that is reached there or beyond.
"""

import numpy as np
from numpy.typing import ArrayLike


def average_precision(scores: ArrayLike, labels: ArrayLike, *, interpolated: bool = False) -> float:
    """In (0, 1]: the mean of the precision at each highlight, in order of falling score; NaN without highlights.

    Segments of equal scores are taken together, so that their order never helps. `interpolated` gives each recall the
    best precision at it or beyond. Raises ValueError for sequences of unlike length, labels other than 0 and 1 or
    scores that are not finite.
    """
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"scores {x.shape} and labels {y.shape} are not two sequences of one length")
    if not np.isfinite(x).all():
        raise ValueError("scores must be finite")
    if not np.isin(y, (0, 1)).all():
        raise ValueError("labels must be 0 or 1")
    if not y.any():
        return float("nan")
    order = np.argsort(-x, kind="stable")
    last = np.flatnonzero(np.diff(x[order], append=-np.inf))  # of each run of equal scores
    found = np.cumsum(y[order], dtype=np.int64)[last]  # [K], highlights among the best last + 1
    precision = found / (last + 1)
    if interpolated:
        precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.diff(found, prepend=0) @ precision / found[-1])
