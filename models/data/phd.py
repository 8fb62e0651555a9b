"""PHD, personal highlights (Garcia del Molino and Gygli, 2018): the public csv and feature files in, stretches out.

A row of the public csv is a span that a user made a GIF of. The video of a user's last rows (`is_last`) is the target,
and the spans before it are the history. Up to 20 highlights of the history stand in place of the streamer's id (paper,
supplement). Such a highlight covers all spans that the user chose in one earlier video. It is the mean of its frames'
features, as in the public code of Adaptive-H-FCSN. The paper does not say which 20 it takes if there are more. Here
they are the first with features, in the order of the file (docs/datasets.md).

Labels are binary; target videos are cut into stretches of 192 frames, which a fully visible mask reads at once.
Training uses the stretches that hold a highlight, and testing uses all of them (supplement, section I-B).
"""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.data.checks import rows_not_finite
from kuaihl.models.data.room_file import map_room
from kuaihl.models.dims import HISTORY_ITEMS
from kuaihl.models.errors import DataError
from kuaihl.models.features import Float16

STRETCH = 192  # frames
COLUMNS = ("youtubeId", "start", "duration", "user_id", "video_duration", "is_last")
_VIDEO_ID = re.compile(r"[\w\-]{1,64}", re.ASCII)  # becomes a file's name
_MAX_SECONDS = 86_400.0


@dataclass(frozen=True)
class Span:
    """A span that a user made a GIF of, in seconds from the video's start."""

    video: str
    start: float
    end: float


@dataclass(frozen=True)
class PhdTarget:
    """A user's last video with its highlights, and the spans that the user chose before."""

    user: str
    video: str
    highlights: tuple[Span, ...]
    history: tuple[Span, ...]


@dataclass(frozen=True)
class PhdStretches:
    """B stretches of STRETCH frames; a video's last stretch is padded on the right."""

    visual: Float16  # [B, STRETCH, P, d_v]
    text: Float16  # [B, STRETCH, d_t]; zeros if the feature files have none
    history: NDArray[np.float32]  # [B, HISTORY_ITEMS, P * d_v], rows of zeros if there are fewer
    labels: NDArray[np.float32]  # [B, STRETCH], 1 in a highlight, else 0
    frame_valid: NDArray[np.bool_]  # [B, STRETCH], False for padding


class PhdSet:
    """Targets whose videos have features in `folder`, one file per video: `<youtubeId>.safetensors`.

    A file holds `visual` [F, P, d_v] float16 and may hold `text` [F, d_t] float16, at `frames_per_second`.
    """

    def __init__(
        self, targets: Sequence[PhdTarget], folder: Path, *, frames_per_second: float, text_width: int = 1
    ) -> None:
        """Raises DataError if no target video is there, or a file cannot be used."""
        self.folder, self.frames_per_second, self.text_width = folder, frames_per_second, text_width
        self.targets = tuple(target for target in targets if self.has(target.video))
        self.missing = len(targets) - len(self.targets)  # videos disappear from YouTube
        if not self.targets:
            raise DataError(f"{folder}: holds features of no target video; they are called <youtubeId>.safetensors")
        self.patches, self.visual_width = self.features(self.targets[0].video)[0].shape[1:]
        stretches = [-(-len(self.features(target.video)[0]) // STRETCH) for target in self.targets]
        self._after = np.cumsum(stretches, dtype=np.int64)

    def __len__(self) -> int:
        """The number of stretches of all targets."""
        return int(self._after[-1])

    def stretches_of(self, target: int) -> range:
        """The numbers of a target's stretches, in order of time."""
        return range(int(self._after[target - 1]) if target else 0, int(self._after[target]))

    def with_highlights(self) -> NDArray[np.int64]:
        """The numbers of the stretches [M] with a frame of a highlight, the only ones for training (supplement, I-B).

        Raises DataError, as reading does.
        """
        found: list[int] = []
        for target in range(len(self.targets)):
            frames = np.flatnonzero(self.labels(target))
            found += (self.stretches_of(target).start + np.unique(frames // STRETCH)).tolist()
        return np.array(found, np.int64)

    def has(self, video: str) -> bool:
        return (self.folder / f"{video}.safetensors").is_file()

    def features(self, video: str) -> tuple[Float16, Float16 | None]:
        """A video's frames [F, P, d_v], mapped, and its text [F, d_t] if there is any. Raises DataError."""
        file = self.folder / f"{video}.safetensors"
        arrays = map_room(file)
        visual, text = arrays.get("visual"), arrays.get("text")
        if visual is None or visual.dtype != np.float16 or visual.ndim != 3 or 0 in visual.shape:
            raise DataError(f"{file}: has no visual [frames, patches, width] in float16")
        if text is not None and (text.dtype != np.float16 or text.shape != (len(visual), self.text_width)):
            raise DataError(f"{file}: text is {text.dtype} {list(text.shape)}, not [{len(visual)}, {self.text_width}]")
        return visual, text

    def labels(self, target: int) -> NDArray[np.float32]:
        """Labels [F]: 1 if the middle of a frame lies in a highlight, else 0."""
        visual, _ = self.features(self.targets[target].video)
        middle = (np.arange(len(visual)) + 0.5) / self.frames_per_second
        labels: NDArray[np.float32] = np.zeros(len(middle), np.float32)
        for span in self.targets[target].highlights:
            labels[(middle >= span.start) & (middle < span.end)] = 1.0
        return labels

    def history(self, target: int) -> NDArray[np.float32]:
        """Highlights of the user's history [HISTORY_ITEMS, P * d_v], then rows of zeros.

        Each is the mean over the frames of a video's spans; a frame in two spans counts twice.
        """
        history = np.zeros((HISTORY_ITEMS, self.patches * self.visual_width), np.float32)
        spans: dict[str, list[Span]] = {}
        for span in self.targets[target].history:
            spans.setdefault(span.video, []).append(span)
        there = (video for video in spans if self.has(video))
        for row, video in zip(history, there, strict=False):
            frames = self.features(video)[0]
            chosen = np.concatenate([self.frames_of(span, len(frames)) for span in spans[video]])
            row[:] = frames[chosen].mean(axis=0, dtype=np.float32).ravel()
            if not np.isfinite(row).all():
                raise DataError(f"{self.folder}: {video}, a frame of a history's highlight is NaN or infinity")
        return history

    def frames_of(self, span: Span, frames: int) -> NDArray[np.int64]:
        """The numbers of a span's frames, at least one, in a video of `frames` frames."""
        first = min(int(span.start * self.frames_per_second), frames - 1)
        last = max(first + 1, math.ceil(span.end * self.frames_per_second))
        return np.arange(first, min(last, frames))

    def gather(self, indices: Sequence[int] | NDArray[np.int64]) -> PhdStretches:
        """Copy stretches out of their videos. Raises IndexError, or DataError naming video and frame."""
        numbers = np.asarray(indices, np.int64)
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < len(self)):
            raise IndexError(f"there are {len(self)} stretches, numbered from 0")
        count = len(numbers)
        visual = np.zeros((count, STRETCH, self.patches, self.visual_width), np.float16)
        text = np.zeros((count, STRETCH, self.text_width), np.float16)
        history = np.zeros((count, HISTORY_ITEMS, self.patches * self.visual_width), np.float32)
        labels, valid = np.zeros((count, STRETCH), np.float32), np.zeros((count, STRETCH), np.bool_)
        targets = np.searchsorted(self._after, numbers, side="right").tolist()
        histories = {target: self.history(target) for target in set(targets)}
        for i, target in enumerate(targets):
            first = (int(numbers[i]) - self.stretches_of(target).start) * STRETCH
            frames, words = self.features(self.targets[target].video)
            part = slice(first, min(first + STRETCH, len(frames)))
            for name, array in (("visual", frames), ("text", words)):
                for row in rows_not_finite(array[part]) if array is not None else ():
                    raise DataError(
                        f"{self.folder}: {self.targets[target].video}, frame {first + row}: {name} is NaN or infinity"
                    )
            length = part.stop - part.start
            visual[i, :length] = frames[part]
            if words is not None:
                text[i, :length] = words[part]
            history[i] = histories[target]
            labels[i, :length] = self.labels(target)[part]
            valid[i, :length] = True
        return PhdStretches(visual, text, history, labels, valid)


def read_phd(path: Path) -> tuple[PhdTarget, ...]:
    """The targets of `training.csv` or `testing.csv`, users in the order of the file.

    A user with several last videos gives one target per video; a user without history is still a target. Raises
    DataError naming the row that is invalid.
    """
    users: dict[str, tuple[list[Span], list[Span]]] = {}  # spans of the last videos, and of those before
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{path}: is no csv of PHD: it has no column {', '.join(missing)}")
            for row in reader:
                last, before = users.setdefault(row["user_id"], ([], []))
                span = _parse_span(path, reader.line_num, row)
                (last if row["is_last"] == "True" else before).append(span)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is no csv of PHD ({error})") from error
    return tuple(
        PhdTarget(user, video, tuple(span for span in last if span.video == video), tuple(before))
        for user, (last, before) in users.items()
        for video in dict.fromkeys(span.video for span in last)
    )


def _parse_span(path: Path, line: int, row: dict[str, Any]) -> Span:
    """One row. `video_duration` is not read: it is -1 if nobody knew it, and shorter than some spans."""
    try:
        start, duration = float(row["start"]), float(row["duration"])
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}, line {line}: start {row['start']!r}, duration {row['duration']!r}") from error
    if not (0 <= start <= _MAX_SECONDS and 0 < duration <= _MAX_SECONDS):
        raise DataError(f"{path}, line {line}: a span of {duration} s from {start} s")
    if not _VIDEO_ID.fullmatch(row["youtubeId"] or "") or row["is_last"] not in ("True", "False"):
        raise DataError(f"{path}, line {line}: youtubeId {row['youtubeId']!r}, is_last {row['is_last']!r}")
    return Span(row["youtubeId"], start, start + duration)
