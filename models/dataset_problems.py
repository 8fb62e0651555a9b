"""Everything that is wrong with a data set: its directory in, a line a fault out, naming room and row."""

from collections.abc import Iterator
from pathlib import Path

from kuaihl.models.errors import DataError
from kuaihl.models.klive import RoomRecord, read_facts, read_rooms, room_path
from kuaihl.models.room_checks import OPTIONAL, record_problems, room_problems
from kuaihl.models.room_file import map_room


def dataset_problems(path: Path) -> Iterator[str]:
    """Read every row of every room. A data set whose facts or table cannot be read has one problem."""
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
    for record in readable(rooms):
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


def readable(rooms: tuple[RoomRecord, ...]) -> Iterator[RoomRecord]:
    """The rooms whose files may be looked for, each once."""
    looked_at: set[str] = set()
    for record in rooms:
        if record.id not in looked_at and not any(record_problems([record])):
            looked_at.add(record.id)
            yield record
