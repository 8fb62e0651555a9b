"""What is inside a data set: an open one in, figures of its splits and of its rooms out."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.errors import DataError
from kuaihl.models.klive import KLive, RoomData, RoomRecord
from kuaihl.models.klive_figures import LONG_MINUTES, MANY_VIEWERS
from kuaihl.models.room_checks import SPLITS
from kuaihl.models.segment_counts import NOT_COUNTED, SEGMENT_COUNTS


@dataclass(frozen=True)
class SplitSummary:
    """A split in numbers; what has no labels has no mean."""

    rooms: int
    streamers: int
    unknown_streamers: int  # rooms of streamers that the training split lacks, or that nobody names
    segments: int
    hours: float
    labelled: int  # segments whose label counts
    mean_label: float | None
    label_deviation: float | None


@dataclass(frozen=True)
class RoomSummary:
    """All rooms in the figures that the paper prints of KLive (supplement, section I-A).

    A room's viewers are its mean views (impressions) per segment. Rooms without views have none, and are left out of
    those figures. A label is masked if too few views are behind it; a room's last segment has no label to mask.
    """

    rooms: int
    streamers: int
    rooms_per_streamer: float | None
    hours: float
    longest_hours: float
    mean_hours: float
    median_hours: float
    share_longer_than_36_minutes: float
    rooms_with_views: int
    mean_viewers: float | None  # over the rooms
    most_viewers: float | None
    least_viewers: float | None
    share_above_100_viewers: float | None
    labels: int  # those that count
    masked_share: float | None
    counts: tuple[str, ...]  # SEGMENT_COUNTS that at least one segment has


@dataclass(frozen=True)
class Summary:
    """A data set in figures, and what its histograms are drawn of."""

    splits: dict[str, SplitSummary]
    rooms: RoomSummary
    room_hours: NDArray[np.float64]  # [R]
    room_viewers: NDArray[np.float64]  # [rooms with views]


@dataclass(frozen=True)
class ReadRoom:
    """What is kept of a room while the others are read."""

    record: RoomRecord
    labels: NDArray[np.float32]  # those that count
    viewers: float | None
    counted: NDArray[np.bool_]  # [8], which of SEGMENT_COUNTS it has


def summarise(data: KLive) -> Summary:
    """Read labels and counts of every room, and no features. Raises DataError."""
    if not data.rooms:
        raise DataError(f"{data.path}: holds no rooms; build the data set again")
    read = [read_room(record, data.counted(record)) for split in SPLITS for record in data.rooms_of(split)]
    known = {room.streamer for room in data.rooms_of("train")} - {""}
    seconds = data.facts.segment_seconds
    of_split = {split: [one for one in read if one.record.split == split] for split in SPLITS}
    return Summary(
        splits={split: summarise_split(some, known, seconds) for split, some in of_split.items()},
        rooms=summarise_rooms(read, seconds),
        room_hours=hours_of(read, seconds),
        room_viewers=viewers_of(read),
    )


def read_room(record: RoomRecord, room: RoomData) -> ReadRoom:
    """The figures of one room."""
    labels, valid = room.labels()
    counts = np.full((1, len(SEGMENT_COUNTS)), NOT_COUNTED) if room.counts is None else room.counts
    counted: NDArray[np.bool_] = np.any(counts > NOT_COUNTED, axis=0)
    return ReadRoom(record, labels[valid], None if room.views is None else float(room.views.mean()), counted)


def summarise_split(read: list[ReadRoom], known: set[str], segment_seconds: float) -> SplitSummary:
    """The rooms of one split; `known` are the streamers of the training split."""
    labels = np.concatenate([np.empty(0, np.float32), *(one.labels for one in read)])
    return SplitSummary(
        rooms=len(read),
        streamers=len(streamers_of(read)),
        unknown_streamers=sum(one.record.streamer not in known for one in read),
        segments=sum(one.record.segments for one in read),
        hours=float(hours_of(read, segment_seconds).sum()),
        labelled=len(labels),
        mean_label=float(labels.mean()) if len(labels) else None,
        label_deviation=float(labels.std()) if len(labels) else None,
    )


def summarise_rooms(read: list[ReadRoom], segment_seconds: float) -> RoomSummary:
    """All rooms together, at least one."""
    hours, viewers = hours_of(read, segment_seconds), viewers_of(read)
    streamers, labels = len(streamers_of(read)), sum(len(one.labels) for one in read)
    possible = sum(one.record.segments - 1 for one in read)
    counted = np.logical_or.reduce([one.counted for one in read])
    return RoomSummary(
        rooms=len(read),
        streamers=streamers,
        rooms_per_streamer=sum(bool(one.record.streamer) for one in read) / streamers if streamers else None,
        hours=float(hours.sum()),
        longest_hours=float(hours.max()),
        mean_hours=float(hours.mean()),
        median_hours=float(np.median(hours)),
        share_longer_than_36_minutes=float((hours * 60 > LONG_MINUTES).mean()),
        rooms_with_views=len(viewers),
        mean_viewers=float(viewers.mean()) if len(viewers) else None,
        most_viewers=float(viewers.max()) if len(viewers) else None,
        least_viewers=float(viewers.min()) if len(viewers) else None,
        share_above_100_viewers=float((viewers > MANY_VIEWERS).mean()) if len(viewers) else None,
        labels=labels,
        masked_share=1 - labels / possible if possible else None,
        counts=tuple(name for name, there in zip(SEGMENT_COUNTS, counted, strict=True) if there),
    )


def streamers_of(read: Iterable[ReadRoom]) -> set[str]:
    """Those that somebody names."""
    return {one.record.streamer for one in read} - {""}


def hours_of(read: Iterable[ReadRoom], segment_seconds: float) -> NDArray[np.float64]:
    return np.array([one.record.segments * segment_seconds / 3600 for one in read])


def viewers_of(read: Iterable[ReadRoom]) -> NDArray[np.float64]:
    return np.array([one.viewers for one in read if one.viewers is not None])
