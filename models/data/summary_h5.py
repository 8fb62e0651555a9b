"""TVSum and SumMe in the community's h5 layout: the file and its splits in, videos with features and annotations out.

The file has one group per video: GoogLeNet pool5 `features` of every fifteenth frame, their places in `picks`,
`gtscore`, each user's choice in `user_summary`, and the shots in `change_points`. The five published splits are a JSON
list of `train_keys` and `test_keys`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.errors import DataError, UsageError, reason_of
from kuaihl.models.json_text import parse_json

if TYPE_CHECKING:
    import h5py

_MAX_FRAMES = 2_000_000  # a day of video
_MAX_WIDTH = 16_384
_MAX_USERS = 1_000


@dataclass(frozen=True)
class SummaryVideo:
    """A video of N frames in C shots, with T frames sampled and annotations by U users."""

    key: str
    features: NDArray[np.float32]  # [T, d]
    picks: NDArray[np.int64]  # [T], rising, below N: the frames that were sampled
    gtscore: NDArray[np.float32]  # [T] in [0, 1], the users' mean importance
    user_summary: NDArray[np.float32]  # [U, N], 1 if a user would keep the frame
    change_points: NDArray[np.int64]  # [C, 2], first and last frame of each shot
    n_frames: int  # N
    name: str = ""  # of the video file, if the data set gives it

    def to_frames(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores of the sampled frames [T] at every frame [N]: each score holds until the next sampled frame."""
        return scores[np.clip(np.searchsorted(self.picks, np.arange(self.n_frames), side="right") - 1, 0, None)]


@dataclass(frozen=True)
class SummarySplit:
    """Keys of the videos to train on and to test on."""

    train: tuple[str, ...]
    test: tuple[str, ...]


def summary_keys(path: Path) -> tuple[str, ...]:
    """The videos of a file, video_2 before video_10. Raises DataError, or UsageError if h5py is missing."""
    with _open_h5(path) as file:
        return tuple(sorted(file, key=lambda key: (len(key), key)))


def read_summaries(path: Path, keys: Sequence[str] | None = None) -> list[SummaryVideo]:
    """The videos of those keys, or all. Raises DataError naming video and array, UsageError if h5py is missing."""
    chosen = summary_keys(path) if keys is None else keys
    with _open_h5(path) as file:
        return [_read_video(path, file, key) for key in chosen]


def read_splits(path: Path, keys: Sequence[str]) -> tuple[SummarySplit, ...]:
    """The published splits, whose keys may have a file's name before them: `../data/tvsum.h5/video_1`.

    Raises DataError if it is not such a list, names videos beyond `keys`, or tests on its training videos.
    """
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
        splits = tuple(SummarySplit(_keys_of(one["train_keys"]), _keys_of(one["test_keys"])) for one in found)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: is no list of train_keys and test_keys ({error!r})") from error
    for number, split in enumerate(splits):
        unknown = sorted({*split.train, *split.test} - set(keys))
        if unknown:
            raise DataError(f"{path}, split {number}: {unknown[0]} is no video of the data set")
        if not split.test or set(split.train) & set(split.test):
            raise DataError(f"{path}, split {number}: tests on nothing, or on what it trains on")
    return splits


def _keys_of(names: Sequence[str]) -> tuple[str, ...]:
    """Keys without their prefix, if any."""
    return tuple(name.rsplit("/", 1)[-1] for name in names)


def _open_h5(path: Path) -> "h5py.File":
    """The file, open for reading. Raises DataError if it is not HDF5, UsageError if h5py is missing."""
    try:
        import h5py
    except ImportError as error:
        raise UsageError("TVSum and SumMe need h5py: pip install 'kuaihl[train]'") from error
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: cannot be read as HDF5 ({reason_of(error)})") from error


def _read_video(path: Path, file: "h5py.File", key: str) -> SummaryVideo:
    """One video, its arrays checked against each other. Raises DataError naming video and array."""
    if key not in file:
        raise DataError(f"{path}: has no {key}")
    group = file[key]

    def read(name: str, most: tuple[int, ...]) -> NDArray[Any]:
        if name not in group:
            raise DataError(f"{path}, {key}: has no {name}")
        shape = group[name].shape
        if len(shape) != len(most) or any(size > limit for size, limit in zip(shape, most, strict=True)):
            raise DataError(f"{path}, {key}: {name} has shape {list(shape)}")
        return np.asarray(group[name][()])

    n_frames = int(read("n_frames", ()))
    features = read("features", (_MAX_FRAMES, _MAX_WIDTH)).astype(np.float32)
    video = SummaryVideo(
        key=key,
        features=features,
        picks=read("picks", (_MAX_FRAMES,)).astype(np.int64),
        gtscore=read("gtscore", (_MAX_FRAMES,)).astype(np.float32),
        user_summary=read("user_summary", (_MAX_USERS, _MAX_FRAMES)).astype(np.float32),
        change_points=read("change_points", (_MAX_FRAMES, 2)).astype(np.int64),
        n_frames=n_frames,
        name=_as_text(group["video_name"][()]) if "video_name" in group else "",
    )
    for problem in _video_problems(video):
        raise DataError(f"{path}, {key}: {problem}")
    return video


def _video_problems(video: SummaryVideo) -> list[str]:
    """Contradictions between a video's arrays."""
    sampled, frames = len(video.features), video.n_frames
    shots = video.change_points
    checks = {
        f"picks do not rise within {frames} frames": len(video.picks) == sampled > 0
        and bool((np.diff(video.picks) > 0).all())
        and video.picks[0] >= 0
        and video.picks[-1] < frames,
        f"gtscore is not {sampled} numbers in [0, 1]": video.gtscore.shape == (sampled,)
        and bool(((video.gtscore >= 0) & (video.gtscore <= 1)).all()),
        f"user_summary is not of {frames} frames": video.user_summary.shape[1] == frames
        and len(video.user_summary) > 0
        and bool(np.isfinite(video.user_summary).all()),
        f"change_points are not shots within {frames} frames": len(shots) > 0
        and bool((shots[:, 0] <= shots[:, 1]).all())
        and bool((shots >= 0).all())
        and bool((shots <= frames).all()),
        "features hold NaN or infinity": bool(np.isfinite(video.features).all()),
    }
    return [problem for problem, holds in checks.items() if not holds]


def _as_text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
