"""A user's facts on the rooms of a data set: a csv or parquet table in, streamer, start time and split per room out.

Rooms without a given split are assigned by their ids: eight in ten to training, one to validation, one to testing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from kuaihl.engines.archive.names import file_names, stable_name
from kuaihl.engines.datasets.table_file import table_batches
from kuaihl.models.data.checks import SPLITS
from kuaihl.models.errors import DataError

_TURNS = ("train", "train", "validation", "test", *["train"] * 6)  # four rooms are enough for every split


@dataclass(frozen=True)
class RoomFacts:
    """The facts on a room besides its media; empty or None if not given."""

    streamer: str = ""
    split: str = ""
    start_time: datetime | None = None


def read_room_table(path: Path) -> dict[str, RoomFacts]:
    """A table with the column `room` and any of `streamer`, `split`, `start_time`; rooms by their file names.

    Raises SourceError if it cannot be read, DataError naming the row if a split or time is invalid.
    """
    found: dict[str, RoomFacts] = {}
    plain: dict[str, list[RoomFacts]] = {}  # by names that two rooms may share
    columns = ("room", "streamer", "split", "start_time")
    row = 0
    for batch in table_batches(path, dict.fromkeys(columns, "text"), optional=columns[1:]):
        for said in batch.to_pylist():
            row += 1
            split, time = said.get("split") or "", said.get("start_time") or ""
            if split and split not in SPLITS:
                raise DataError(f"{path}, row {row}: split {split!r}, known are {', '.join(SPLITS)}")
            try:
                start = datetime.fromisoformat(time) if time else None
            except ValueError as error:
                raise DataError(f"{path}, row {row}: start_time {time!r}, write it as 2026-03-01T20:30:00Z") from error
            if start is not None and start.tzinfo is None:
                start = start.replace(tzinfo=UTC)
            room = stable_name(said["room"] or "")
            if room in found:
                raise DataError(f"{path}, row {row}: room {said['room']} is there twice")
            found[room] = RoomFacts(said.get("streamer") or "", split, start)
            for name in file_names(said["room"] or "") - {room}:
                plain.setdefault(name, []).append(found[room])
    return {name: same[0] for name, same in plain.items() if len(same) == 1} | found


def share_out(rooms: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    """The split of every room: the `known` one, or one assigned in turn, in the order of the ids' hashes."""
    splits = {room: known[room] for room in rooms if known.get(room)}
    left = sorted((room for room in rooms if room not in splits), key=lambda room: sha256(room.encode()).digest())
    return splits | {room: _TURNS[place % len(_TURNS)] for place, room in enumerate(left)}
