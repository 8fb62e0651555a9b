"""The pictures of a segment in, their signals out: how much changes, whether the shot does, and whether nothing does.

Pictures of any size become thumbnails of one size, each cell the mean of two sampled points. This is cheap, and a
picture may follow one of another size. The frames are about 10 s apart, so changes are of scene and pose, not motion.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.types import RgbImage, Thumbnail

_ROWS, COLUMNS = 27, 48  # of a thumbnail
_SAMPLES = 2  # sampled points of a cell, side by side
_FULL_SCALE = 255.0

_LEVELS = 4  # of each colour in a histogram
_SHOT = 0.5  # share of the picture with other colours, above which the shot has changed
_STILL = (
    0.5 / _FULL_SCALE
)  # mean difference below half a step of 8 bits: a camera's noise and its compression make more


def make_thumbnail(image: RgbImage) -> Thumbnail:
    """The thumbnail of a picture [H, W, 3] of any size."""
    rows = np.arange(_ROWS) * image.shape[0] // _ROWS
    columns = np.arange(COLUMNS * _SAMPLES) * image.shape[1] // (COLUMNS * _SAMPLES)
    sampled = image[rows][:, columns].astype(np.int16)
    cells: Thumbnail = (sampled[:, ::2] + sampled[:, 1::2]) >> 1
    return cells


def picture_signals(thumbnails: Sequence[Thumbnail], previous: Thumbnail | None) -> dict[str, float]:
    """The signals of the group `pictures` for a segment's frames in order; `previous` is the last one before them.

    Empty without two frames to compare.
    """
    small = [*([] if previous is None else [previous]), *thumbnails]
    if not thumbnails or len(small) < 2:
        return {}
    seen = np.stack(small)
    changes = np.abs(seen[1:] - seen[:-1]).mean(axis=(1, 2, 3)) / _FULL_SCALE
    shots = np.abs(np.diff(_compute_histograms(seen), axis=0)).sum(axis=1) / 2 > _SHOT
    return {
        "change": float(changes.mean()),
        "shots": float(shots.mean()),
        "static": float(changes.max() < _STILL),
    }


def _compute_histograms(small: NDArray[np.int16]) -> NDArray[np.float64]:
    """Shares [n, LEVELS^3] of colours in thumbnails [n, ROWS, COLUMNS, 3]."""
    levels = small * _LEVELS >> 8
    colours = (levels[..., 0] * _LEVELS + levels[..., 1]) * _LEVELS + levels[..., 2]
    places = colours.reshape(len(small), -1) + _LEVELS**3 * np.arange(len(small))[:, None]
    return np.bincount(places.ravel(), minlength=len(small) * _LEVELS**3).reshape(len(small), -1) / (_ROWS * COLUMNS)
