"""The pictures of a segment in, their signals out: how much changes, whether the shot does, and whether nothing does.

Pictures of any size become thumbnails of one size, each cell the mean of two sampled points. This is cheap, and a
picture may follow one of another size. The frames are about 10 s apart, so changes are of scene and pose, not motion.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.types import RgbImage, Thumbnail

_ROWS, COLUMNS = 27, 48  # of a thumbnail
_SAMPLES = 2  # sampled points of a cell, side by side
_FULL_SCALE = 255.0

_BITS = 2  # of each colour's 8 that a histogram keeps
_LEVELS = 1 << _BITS
_SHOT = 0.5  # share of the picture with other colours, above which the shot has changed
_STILL = (
    0.5 / _FULL_SCALE
)  # mean difference below half a step of 8 bits: a camera's noise and its compression make more


def make_thumbnail(image: RgbImage) -> Thumbnail:
    """The thumbnail of a picture [H, W, 3] of any size."""
    rows, columns = _sampled_places(*image.shape[:2])
    sampled = image.take(rows, axis=0).take(columns, axis=1).astype(np.int16)
    cells: Thumbnail = (sampled[:, ::2] + sampled[:, 1::2]) >> 1
    return cells


@lru_cache(maxsize=8)
def _sampled_places(height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows and columns of a picture that a thumbnail samples."""
    return np.arange(_ROWS) * height // _ROWS, np.arange(COLUMNS * _SAMPLES) * width // (COLUMNS * _SAMPLES)


def picture_signals(thumbnails: Sequence[Thumbnail], previous: Thumbnail | None) -> dict[str, float]:
    """The signals of the group `pictures` for a segment's frames in order; `previous` is the last one before them.

    Empty without two frames to compare.
    """
    small = [*([] if previous is None else [previous]), *thumbnails]
    if not thumbnails or len(small) < 2:
        return {}
    seen = np.stack(small).reshape(len(small), -1)
    changes = np.abs(seen[1:] - seen[:-1]).sum(axis=1) / (seen.shape[1] * _FULL_SCALE)
    colours = _compute_histograms(seen)
    shots = np.abs(colours[1:] - colours[:-1]).sum(axis=1) / 2 > _SHOT
    return {
        "change": float(changes.sum() / len(changes)),
        "shots": float(np.count_nonzero(shots) / len(shots)),
        "static": float(changes.max() < _STILL),
    }


def _compute_histograms(seen: NDArray[np.int16]) -> NDArray[np.float64]:
    """Shares [n, LEVELS^3] of colours in thumbnails [n, ROWS * COLUMNS * 3]."""
    levels = (seen >> 8 - _BITS).reshape(len(seen), -1, 3)
    colours = (levels[..., 0] * _LEVELS + levels[..., 1]) * _LEVELS + levels[..., 2]
    places = colours + _LEVELS**3 * np.arange(len(seen))[:, None]
    return np.bincount(places.ravel(), minlength=len(seen) * _LEVELS**3).reshape(len(seen), -1) / (_ROWS * COLUMNS)
