"""The pictures of a segment in, their signals out: how much changes, whether the shot did, and whether nothing does.

Pictures of any size become thumbnails of one size, each cell the mean of four sampled points: cheap, and a picture
may follow one of another size. The frames are about 10 s apart, so change is of scene and pose rather than motion.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.segment import RgbImage

ROWS, COLUMNS = 36, 64  # of a thumbnail
SAMPLES = 2  # sampled points of a cell, each way
FULL_SCALE = 255.0

LEVELS = 4  # of each colour in a histogram
SHOT = 0.5  # share of the picture that has other colours: a change of shot
STILL = 0.5 / FULL_SCALE  # mean difference below half a step of 8 bits: a camera's noise and its compression make more

Thumbnail = NDArray[np.int16]  # [ROWS, COLUMNS, 3], 0 to 255


def thumbnail(image: RgbImage) -> Thumbnail:
    """A picture [H, W, 3] of any size, small."""
    rows = np.arange(ROWS * SAMPLES) * image.shape[0] // (ROWS * SAMPLES)
    columns = np.arange(COLUMNS * SAMPLES) * image.shape[1] // (COLUMNS * SAMPLES)
    sampled = image[rows][:, columns].astype(np.int16)
    pairs = sampled[::2] + sampled[1::2]
    return (pairs[:, ::2] + pairs[:, 1::2]) >> 2


def picture_signals(thumbnails: Sequence[Thumbnail], previous: Thumbnail | None) -> dict[str, float]:
    """The signals of the group `pictures` of a segment's frames in order, behind the last of the segment before.

    Empty if there are not two to compare.
    """
    seen = [*([] if previous is None else [previous]), *thumbnails]
    if not thumbnails or len(seen) < 2:
        return {}
    changes = [float(np.abs(before - after).mean()) / FULL_SCALE for before, after in pairwise(seen)]
    colours = [histogram(one) for one in seen]
    shots = [float(np.abs(before - after).sum()) / 2 > SHOT for before, after in pairwise(colours)]
    return {
        "change": sum(changes) / len(changes),
        "shots": sum(shots) / len(shots),
        "static": float(max(changes) < STILL),
    }


def histogram(small: Thumbnail) -> NDArray[np.float64]:
    """Shares of LEVELS^3 colours."""
    red, green, blue = np.moveaxis(small * LEVELS >> 8, -1, 0)
    counts = np.bincount(((red * LEVELS + green) * LEVELS + blue).ravel(), minlength=LEVELS**3)
    return counts / (ROWS * COLUMNS)
