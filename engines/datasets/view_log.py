"""A log of views in, counts per room and segment out, from which LVTR is computed (paper, eq. 1).

A row is an impression: its room, its start in seconds from the room's start, and the seconds watched.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.archive.names import file_names
from kuaihl.engines.datasets.table_file import table_batches
from kuaihl.models.errors import DataError, SourceError

LONG_VIEW_SECONDS = 60.0  # an impression watched for longer is a long view
LONGEST_ROOM = 30 * 86_400.0  # seconds; a larger number is not a time in seconds
_MANY, _TOO_LONG = 200, 0.995  # impressions, and the share of long views that no stream has

Counts = NDArray[np.int64]  # [2, segments]: views, long views


@dataclass(frozen=True)
class ViewLog:
    """The counts of every room in a log, up to the last segment with an impression."""

    rooms: dict[str, Counts]
    impressions: int
    before_start: int  # impressions with a time below 0, left out

    def find(self, room: str) -> Counts:
        """All counts of a room; `room` may be an id turned into a file name. Raises DataError if it has none."""
        names = [room] if room in self.rooms else self._by_file_name.get(room, [])
        if len(names) != 1:
            raise DataError(f"{room}: {'several rooms' if names else 'no impressions'} of that id in the view log")
        return self.rooms[names[0]]

    def counts(self, room: str, segments: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Views and long views [segments] of a recording of a room.

        Raises DataError as `find` does, and if most impressions are from after the recording's end.
        """
        found = self.find(room)
        inside = np.zeros((2, segments), np.int32)
        known = min(segments, found.shape[1])
        inside[:, :known] = found[:, :known]
        if inside[0].sum() * 2 < found[0].sum():
            raise DataError(
                f"{room}: most of its impressions are from after the end of the recording; "
                "are the times seconds from its start?"
            )
        return inside[0], inside[1]

    @cached_property
    def _by_file_name(self) -> dict[str, list[str]]:
        names: dict[str, list[str]] = {}
        for name in self.rooms:
            for file_name in file_names(name):
                names.setdefault(file_name, []).append(name)
        return names


def read_view_log(path: Path, segment_seconds: float) -> ViewLog:
    """Count a csv or parquet file of any length with the columns `room`, `time`, `watched`, batch by batch.

    Raises SourceError if it cannot be read, DataError naming the row if a number is invalid.
    """
    rooms: dict[str, Counts] = {}
    impressions = before_start = 0
    for batch in table_batches(path, {"room": "text", "time": "number", "watched": "number"}):
        time = batch.column("time").to_numpy(zero_copy_only=False)
        watched = batch.column("watched").to_numpy(zero_copy_only=False)
        _check_rows(path, impressions, time, watched, batch.column("room").null_count)
        impressions += len(time)
        inside = time >= 0
        before_start += int((~inside).sum())
        encoded = batch.column("room").dictionary_encode()
        segment = (time[inside] // segment_seconds).astype(np.int64)
        room = encoded.indices.to_numpy(zero_copy_only=False)[inside]
        _add_counts(rooms, encoded.dictionary.to_pylist(), room, segment, watched[inside] > LONG_VIEW_SECONDS)
    if not impressions:
        raise SourceError(f"{path}: holds no impressions")
    counted, long_views = (sum(int(counts[row].sum()) for counts in rooms.values()) for row in (0, 1))
    if counted >= _MANY and long_views > _TOO_LONG * counted:
        raise DataError(
            f"{path}: {long_views:,} of {counted:,} impressions are longer than {LONG_VIEW_SECONDS:.0f} s, so there is "
            "nothing to learn; is what was watched in seconds, and not milliseconds?"
        )
    return ViewLog(rooms, impressions, before_start)


def _check_rows(path: Path, first: int, time: NDArray[np.float64], watched: NDArray[np.float64], nameless: int) -> None:
    """Raise DataError naming the first row, counted from 1 without the header, that is not a valid impression."""
    bad = ~(np.isfinite(time) & (time <= LONGEST_ROOM) & np.isfinite(watched) & (watched >= 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"{path}, row {first + row + 1}: time {time[row]} and watched {watched[row]}; "
            "both are seconds, and what was watched is not below 0"
        )
    if nameless:
        raise DataError(f"{path}: {nameless} rows near row {first + 1} name no room")


def _add_counts(
    rooms: dict[str, Counts],
    names: list[str],
    room: NDArray[np.int64],
    segment: NDArray[np.int64],
    is_long: NDArray[np.bool_],
) -> None:
    """Add impressions, given as indices into `names` and as segments, to the counts of their rooms."""
    order = np.argsort(room, kind="stable")
    bounds = np.searchsorted(room[order], np.arange(len(names) + 1))
    for number, name in enumerate(names):
        mine = order[bounds[number] : bounds[number + 1]]
        if not len(mine):
            continue
        views = np.bincount(segment[mine])
        long_views = np.bincount(segment[mine], weights=is_long[mine])
        before = rooms.get(name, np.zeros((2, 0), np.int64))
        total = np.zeros((2, max(len(views), before.shape[1])), np.int64)
        total[:, : before.shape[1]] = before
        total[:, : len(views)] += np.stack([views, long_views.astype(np.int64)])
        rooms[name] = total
