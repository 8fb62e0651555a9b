"""TVSum's own file of annotations, `ydata-tvsum50.mat` (MATLAB 7.3, which is HDF5): a path in, 50 rated videos out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.errors import DataError, UsageError, reason_of

_TABLE = "tvsum50"


@dataclass(frozen=True)
class RatedVideo:
    """A video and its annotators' ratings of each frame."""

    name: str
    seconds: float
    annotations: NDArray[np.float64]  # [A, F], 1 to 5; shots of 2 s were rated, so a shot's frames are alike


def read_tvsum_mat(path: str | Path) -> tuple[RatedVideo, ...]:
    """Read all videos, in the file's order. Raises DataError if it is not that file, UsageError without h5py."""
    try:
        import h5py
    except ImportError as error:
        raise UsageError(f"{path}: needs h5py: pip install 'kuaihl[train]'") from error
    try:
        with h5py.File(path) as file:
            videos = file[_TABLE]
            count = len(videos["video"])
            return tuple(_read(file, videos, number) for number in range(count))
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: is not TVSum's ydata-tvsum50.mat ({reason_of(error)}); get it from yalesong/tvsum"
        ) from error


def _read(file: Any, videos: Any, number: int) -> RatedVideo:
    """Each field of MATLAB's struct array is a table of references."""
    name, length, ratings = (file[videos[field][number, 0]][()] for field in ("video", "length", "user_anno"))
    annotations = np.asarray(ratings, dtype=np.float64)  # MATLAB's [F, A], which HDF5 shows as [A, F]
    if annotations.ndim != 2 or not np.isfinite(annotations).all():
        raise ValueError(f"video {number + 1} has no table of ratings")
    return RatedVideo("".join(map(chr, np.ravel(name))), float(np.ravel(length)[0]), annotations)
