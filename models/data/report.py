"""The contents of a data set: an open one in, figures of its splits and of its rooms out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.data.checks import OPTIONAL, SPLITS, record_problems, room_problems
from kuaihl.models.data.klive import KLive, RoomData, read_facts, read_rooms, room_path
from kuaihl.models.data.klive_figures import LONG_MINUTES, MANY_VIEWERS
from kuaihl.models.data.room_file import map_room
from kuaihl.models.data.segment_counts import NOT_COUNTED, SEGMENT_COUNTS
from kuaihl.models.errors import DataError
from kuaihl.models.facts import RoomRecord


@dataclass(frozen=True)
class SplitSummary:
    """A split in numbers; without labels it has no mean."""

    rooms: int
    streamers: int
    unknown_streamers: int  # rooms of streamers that are unnamed or not in the training split
    segments: int
    hours: float
    labelled: int  # segments whose label counts
    mean_label: float | None
    label_deviation: float | None


@dataclass(frozen=True)
class RoomSummary:
    """All rooms in the figures that the paper prints of KLive (supplement, section I-A).

    A room's viewers are its mean views (impressions) per segment. Rooms without views are left out of those figures. A
    label is masked if too few views are behind it; a room's last segment has no label to mask.
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
    """A data set in figures, and the data of its histograms."""

    splits: dict[str, SplitSummary]
    rooms: RoomSummary
    room_hours: NDArray[np.float64]  # [R]
    room_viewers: NDArray[np.float64]  # [rooms with views]


@dataclass(frozen=True)
class _ReadRoom:
    """The part of a room that is kept while the others are read."""

    record: RoomRecord
    labels: NDArray[np.float32]  # those that count
    viewers: float | None
    counted: NDArray[np.bool_]  # [8], which of SEGMENT_COUNTS it has


def summarise(data: KLive) -> Summary:
    """Read labels and counts of every room, but no features. Raises DataError."""
    if not data.rooms:
        raise DataError(f"{data.path}: holds no rooms; build the data set again")
    read = [_read_room(record, data.check_room(record)) for split in SPLITS for record in data.rooms_of(split)]
    known = {room.streamer for room in data.rooms_of("train")} - {""}
    seconds = data.facts.segment_seconds
    of_split = {split: [one for one in read if one.record.split == split] for split in SPLITS}
    return Summary(
        splits={split: _summarise_split(some, known, seconds) for split, some in of_split.items()},
        rooms=_summarise_rooms(read, seconds),
        room_hours=_hours_of(read, seconds),
        room_viewers=_viewers_of(read),
    )


def _read_room(record: RoomRecord, room: RoomData) -> _ReadRoom:
    """The figures of one room."""
    labels, valid = room.labels()
    counts = np.full((1, len(SEGMENT_COUNTS)), NOT_COUNTED) if room.counts is None else room.counts
    counted: NDArray[np.bool_] = np.any(counts > NOT_COUNTED, axis=0)
    return _ReadRoom(record, labels[valid], None if room.views is None else float(room.views.mean()), counted)


def _summarise_split(read: list[_ReadRoom], known: set[str], segment_seconds: float) -> SplitSummary:
    """The rooms of one split; `known` are the streamers of the training split."""
    labels = np.concatenate([np.empty(0, np.float32), *(one.labels for one in read)])
    return SplitSummary(
        rooms=len(read),
        streamers=len(_streamers_of(read)),
        unknown_streamers=sum(one.record.streamer not in known for one in read),
        segments=sum(one.record.segments for one in read),
        hours=float(_hours_of(read, segment_seconds).sum()),
        labelled=len(labels),
        mean_label=float(labels.mean()) if len(labels) else None,
        label_deviation=float(labels.std()) if len(labels) else None,
    )


def _summarise_rooms(read: list[_ReadRoom], segment_seconds: float) -> RoomSummary:
    """All rooms together, at least one."""
    hours, viewers = _hours_of(read, segment_seconds), _viewers_of(read)
    streamers, labels = len(_streamers_of(read)), sum(len(one.labels) for one in read)
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


def _streamers_of(read: Iterable[_ReadRoom]) -> set[str]:
    """The streamers that have a name."""
    return {one.record.streamer for one in read} - {""}


def _hours_of(read: Iterable[_ReadRoom], segment_seconds: float) -> NDArray[np.float64]:
    return np.array([one.record.segments * segment_seconds / 3600 for one in read])


def _viewers_of(read: Iterable[_ReadRoom]) -> NDArray[np.float64]:
    return np.array([one.viewers for one in read if one.viewers is not None])


def dataset_problems(path: Path) -> Iterator[str]:
    """Read every row of every room. A data set with facts or a table that cannot be read has one problem."""
    try:
        facts, rooms = read_facts(path), read_rooms(path)
    except DataError as error:
        yield str(error)
        return
    if not rooms:
        yield "rooms.parquet: holds no rooms"
    for problem in record_problems(rooms):
        yield f"rooms.parquet, {problem}"
    optional: dict[str, set[str]] = {}  # of each room that can be read
    for record in _readable_rooms(rooms):
        try:
            arrays = map_room(room_path(path, record.id))
        except DataError as error:
            yield f"room {record.id}: {error}"
            continue
        optional[record.id] = {name for name in OPTIONAL if name in arrays}
        for problem in room_problems(arrays, record.segments, facts):
            yield f"room {record.id}, {problem}"
    usual = set().union(*optional.values())
    for room, found in optional.items():
        for name in sorted(usual - found):
            yield f"room {room}: has no {name}, which other rooms have"


def _readable_rooms(rooms: tuple[RoomRecord, ...]) -> Iterator[RoomRecord]:
    """The rooms with files that may be looked for, each once."""
    looked_at: set[str] = set()
    for record in rooms:
        if record.id not in looked_at and not any(record_problems([record])):
            looked_at.add(record.id)
            yield record
