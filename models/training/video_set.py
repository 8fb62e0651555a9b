"""Whole videos to train on: PHD (supplement, section I-B), TVSum or SumMe in, stretches of frames as batches out.

The mask is fully visible, and a label is the frame's own, not the next one's. PHD's users have their history in place
of the streamer's id. A tenth of the users, or of the summarised videos, is held back to choose the best epoch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kuaihl.models.batch import Batch
from kuaihl.models.data.phd import STRETCH, PhdSet, read_phd
from kuaihl.models.data.phd_counts import found_counts
from kuaihl.models.data.room_file import map_room
from kuaihl.models.data.summary_h5 import SummaryVideo, read_splits, read_summaries, summary_keys
from kuaihl.models.dims import UNKNOWN_STREAMER, NetworkDims
from kuaihl.models.errors import DataError, Remedy
from kuaihl.models.evaluation.video_scores import score_targets, score_videos
from kuaihl.models.facts import DataSetFacts, EncoderFacts, LabelFacts
from kuaihl.models.training.validation import Validation, validation_of

_HELD_BACK = 10  # every tenth user or video
_TEXT_DIMENSIONS = 2  # [frames, d_t]
_SUMMARY_SECONDS = 0.5  # between sampled frames: every fifteenth, at about thirty per second


class Stretches(Protocol):
    """Samples to learn from, by number."""

    def __len__(self) -> int: ...

    def gather(self, indices: NDArray[np.int64]) -> Batch: ...


class Judge(Protocol):
    """Scores the videos that were held back."""

    def __call__(self, network: nn.Module) -> Validation: ...


@dataclass(frozen=True)
class VideoSet:
    """Videos to train on, and the judge that chooses the best epoch."""

    path: Path
    facts: DataSetFacts
    stretches: Stretches
    validate: Judge
    counts: Mapping[str, int]  # of videos, for the bundle
    has_text: bool = False
    history_width: int = 0  # 0: no history
    about: str = ""  # a line for people

    def dims(self, dims: NetworkDims, window: int | None) -> NetworkDims:
        """The network of the same size that reads these videos; `window` defaults to one stretch."""
        return replace(
            dims,
            window=window or STRETCH,
            streamers=0,
            causal=False,
            use_id=bool(self.history_width) and dims.use_id,
            use_text=self.has_text and dims.use_text,
            history_width=self.history_width if dims.use_id else 0,
        )


def open_phd(path: Path, features: Path, frames_per_second: float) -> VideoSet:
    """PHD's `training.csv` with features as `PhdSet` reads them: stretches with a highlight to learn from, whole videos
    to validate on (supplement, section I-B). Raises DataError.
    """
    targets = read_phd(path)
    kept = [target for target in targets if (features / f"{target.video}.safetensors").is_file()]
    users = list(dict.fromkeys(target.user for target in kept))
    held = _held_back(users, f"{features}: has target videos of {len(users)} users of {path.name}")
    text = map_room(features / f"{kept[0].video}.safetensors").get("text")
    has_text = text is not None and text.ndim == _TEXT_DIMENSIONS
    text_width = text.shape[1] if text is not None and has_text else 1
    parts = [[target for target in kept if (target.user in held) == is_held] for is_held in (False, True)]
    train, validation = (
        PhdSet(part, features, frames_per_second=frames_per_second, text_width=text_width) for part in parts
    )
    facts = DataSetFacts(
        profile="phd",
        encoders=(),
        segment_seconds=1 / frames_per_second,
        label=LabelFacts("highlight", "1 where the user made a GIF of this frame, else 0", 0, "PHD (gifs)"),
        visual_width=train.visual_width,
        text_width=text_width,
        patches=train.patches,
    )

    def validate(network: nn.Module) -> Validation:
        return validation_of((one.scores, one.labels) for one in score_targets(network, validation))

    counts = {"train": len(train.targets), "validation": len(validation.targets), "missing": len(targets) - len(kept)}
    history_width = train.patches * train.visual_width
    stretches = train.with_highlights()
    if not len(stretches):
        raise DataError(
            f"{features}: no frame of the videos to train on lies in a highlight",
            remedy=Remedy("give the features' own frames per second", {"fps": None}),
        )
    about = found_counts(path, targets, features)
    return VideoSet(path, facts, _PhdBatches(train, stretches), validate, counts, has_text, history_width, about)


@dataclass(frozen=True)
class _PhdBatches:
    """Some stretches of PHD's target videos as tensors."""

    data: PhdSet
    stretches: NDArray[np.int64]  # [M], their numbers in `data`

    def __len__(self) -> int:
        return len(self.stretches)

    def gather(self, indices: NDArray[np.int64]) -> Batch:
        found = self.data.gather(self.stretches[indices])
        there = torch.from_numpy(found.frame_valid)
        return Batch(
            visual=torch.from_numpy(found.visual),
            text=torch.from_numpy(found.text),
            streamer=torch.from_numpy(found.history),
            labels=torch.from_numpy(found.labels),
            label_valid=there,
            segment_valid=there,
        )


def open_summaries(path: Path, splits: Path | None = None, split: int = 0) -> VideoSet:
    """TVSum or SumMe in the h5 layout: the training videos of a published split, or all. Raises DataError."""
    keys = summary_keys(path)
    if splits:
        read = read_splits(splits, keys)
        if split >= len(read):
            raise DataError(f"{splits}: has splits 0 to {len(read) - 1}, not {split}")
        keys = read[split].train
    held = _held_back(keys, f"{path}: has {len(keys)} videos to train on")
    videos = read_summaries(path, keys)
    train, validation = ([video for video in videos if (video.key in held) == is_held] for is_held in (False, True))
    width = train[0].features.shape[1]
    for video in videos:
        if video.features.shape[1] != width:
            raise DataError(f"{path}, {video.key}: features are {video.features.shape[1]} wide, others {width}")
    facts = DataSetFacts(
        profile="summary",
        encoders=(EncoderFacts("vision", "GoogLeNet pool5, as in the h5 file", "", ""),),
        segment_seconds=_SUMMARY_SECONDS,
        label=LabelFacts("importance", "mean importance that the annotators gave this frame", 0, "gtscore"),
        visual_width=width,
        text_width=1,
        patches=1,
    )

    def validate(network: nn.Module) -> Validation:
        scores = score_videos(network, validation)
        return validation_of((one, video.gtscore) for one, video in zip(scores, validation, strict=True))

    return VideoSet(path, facts, _SummaryBatches(train), validate, {"train": len(train), "validation": len(validation)})


class _SummaryBatches:
    """Stretches of videos as tensors; a video's last one is padded on the right."""

    def __init__(self, videos: Sequence[SummaryVideo]) -> None:
        self.places = [(video, first) for video in videos for first in range(0, len(video.features), STRETCH)]

    def __len__(self) -> int:
        return len(self.places)

    def gather(self, indices: NDArray[np.int64]) -> Batch:
        count, width = len(indices), self.places[0][0].features.shape[1]
        visual, labels = torch.zeros(count, STRETCH, 1, width), torch.zeros(count, STRETCH)
        there = torch.zeros(count, STRETCH, dtype=torch.bool)
        for row, (video, first) in enumerate(self.places[index] for index in indices):
            part = slice(first, first + STRETCH)
            frames = torch.from_numpy(video.features[part])
            visual[row, : len(frames), 0] = frames
            labels[row, : len(frames)] = torch.from_numpy(video.gtscore[part])
            there[row, : len(frames)] = True
        nobody = torch.full((count,), UNKNOWN_STREAMER)
        return Batch(visual, torch.zeros(count, STRETCH, 1), nobody, labels, there, there)


def _held_back(names: Sequence[str], found: str) -> set[str]:
    """Every tenth, at least one. Raises DataError, which names what was `found`, if nothing would be left."""
    if len(names) <= 1:
        raise DataError(f"{found}; two are the least, one to learn from and one to choose the best epoch by")
    return set(names[_HELD_BACK - 1 :: _HELD_BACK] or names[-1:])
