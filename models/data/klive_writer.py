"""Writing data sets in the KLive layout: facts and rooms in, a directory out that `klive` reads.

Each room is written whole or not at all, with its record in its file's metadata, so that an interrupted build continues
where it stopped. The table of rooms is written last.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.atomic import remove_torn, write_atomic
from kuaihl.models.data.checks import record_problems, room_problems
from kuaihl.models.data.klive import DATASET_FORMAT, FACTS_FILE, ROOMS_FILE, ROOMS_FOLDER, read_facts, room_path
from kuaihl.models.errors import DataError, UsageError
from kuaihl.models.facts import DataSetFacts, RoomRecord
from kuaihl.models.json_text import parse_json

_METADATA_KEY, _ORIGIN_KEY = "kuaihl", "origin"
_ROOMS_PER_GROUP = 1024  # of the table: the rows that a reader must hold at a time


class DataSetWriter:
    """A data set under construction in `path`; an existing one with the same facts is continued.

    Several processes may write rooms of one data set; the one that finishes it calls `find_written` for each room.
    """

    def __init__(self, path: Path, facts: DataSetFacts) -> None:
        """Raises DataError if `path` holds something else or cannot be written, UsageError if pyarrow is missing."""
        if find_spec("pyarrow") is None:  # said before hours of encoding, not after them
            raise UsageError("data sets need pyarrow: pip install 'kuaihl[train]'")
        self.path, self.facts = path, facts
        self.records: dict[str, RoomRecord] = {}
        if path.exists() and not (path / FACTS_FILE).is_file() and not (path.is_dir() and not any(path.iterdir())):
            raise DataError(f"{path}: exists and is not a data set; choose another place or remove it")
        if (path / FACTS_FILE).is_file() and _describe(read_facts(path)) != _describe(facts):
            raise DataError(f"{path}: holds a data set of other features or labels; choose another place or remove it")
        try:
            (path / ROOMS_FOLDER).mkdir(parents=True, exist_ok=True)
            for folder in (path, path / ROOMS_FOLDER):
                remove_torn(folder)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
        if not (path / FACTS_FILE).is_file():
            self._write_facts()

    def find_written(self, room: str) -> RoomRecord | None:
        """The record of a room that an earlier run wrote whole, which `finish` then keeps; else None."""
        try:
            record = _parse_record(self._read_metadata(room) or {})
        except (ValueError, KeyError, TypeError):
            return None  # not there, or not ours: it is written again
        if record.id != room:
            return None
        self.records[room] = record
        return record

    def origin(self, room: str) -> Any:
        """What `write_room` was told that a room was made from; None if the room is not there or nothing was told."""
        return (self._read_metadata(room) or {}).get(_ORIGIN_KEY)

    def _read_metadata(self, room: str) -> dict[str, Any] | None:
        """What `write_room` wrote beside a room's arrays; None if there is no whole room of ours."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(room_path(self.path, room), framework="numpy") as opened:
                said = parse_json((opened.metadata() or {})[_METADATA_KEY])
        except (OSError, SafetensorError, ValueError, KeyError):
            return None
        return said if isinstance(said, dict) else None

    def write_room(
        self, record: RoomRecord, arrays: Mapping[str, NDArray[Any]], origin: Mapping[str, Any] | None = None
    ) -> None:
        """Write a room: `visual` [S, P, d_v], `text` [S, d_t], `views` and `long_views` [S] or `rate` [S], and options.

        `origin` says in JSON what the room was made from, so that a later run sees whether that has changed. Raises
        DataError naming the row if it is unfit for training, or if it cannot be written.
        """
        from safetensors.numpy import save

        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        for problem in record_problems([record]):
            raise DataError(f"{self.path}: {problem}")
        for problem in room_problems(contiguous, record.segments, self.facts):
            raise DataError(f"{self.path}: room {record.id}, {problem}")
        said = asdict(record) | {"start_time": record.start_time and record.start_time.isoformat()}
        said |= {} if origin is None else {_ORIGIN_KEY: origin}
        data = save(contiguous, {_METADATA_KEY: json.dumps(said, ensure_ascii=False)})
        _write_file(room_path(self.path, record.id), data)
        self.records[record.id] = record

    def finish(self, ceiling: Mapping[str, Any] | None = None) -> None:
        """Write the table of the rooms written, in the order of their ids. Raises DataError or UsageError."""
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise UsageError("data sets need pyarrow: pip install 'kuaihl[train]'") from error
        rooms = sorted(self.records.values(), key=lambda record: record.id)
        schema = pa.schema(
            {
                "id": pa.string(),
                "streamer": pa.string(),
                "start_time": pa.timestamp("us", tz="UTC"),
                "segments": pa.int32(),
                "split": pa.string(),
            }
        )
        table = pa.table({name: [getattr(room, name) for room in rooms] for name in schema.names}, schema=schema)
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer, row_group_size=_ROOMS_PER_GROUP)
        _write_file(self.path / ROOMS_FILE, buffer.getvalue().to_pybytes())
        if ceiling is not None:
            self._write_facts(ceiling)

    def _write_facts(self, ceiling: Mapping[str, Any] | None = None) -> None:
        facts = {"format": DATASET_FORMAT} | asdict(self.facts)
        facts["ceiling"] = ceiling if ceiling is not None else facts["ceiling"]
        text = json.dumps(facts, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
        _write_file(self.path / FACTS_FILE, text.encode())


def _describe(facts: DataSetFacts) -> dict[str, Any]:
    """The facts on which two runs that write one data set must agree."""
    said = asdict(facts)
    del said["ceiling"], said["licence"]
    return said


def _parse_record(said: Mapping[str, Any]) -> RoomRecord:
    """A record as `write_room` left it. Raises KeyError, TypeError or ValueError."""
    start = said["start_time"]
    return RoomRecord(
        id=str(said["id"]),
        streamer=str(said["streamer"]),
        segments=int(said["segments"]),
        split=str(said["split"]),
        start_time=None if start is None else datetime.fromisoformat(start),
    )


def _write_file(file: Path, data: bytes) -> None:
    """Write a file of the data set, whole or not at all. Raises DataError."""
    try:
        write_atomic(file, data)
    except OSError as error:
        raise DataError(f"{file}: cannot be written ({error.strerror})") from error
