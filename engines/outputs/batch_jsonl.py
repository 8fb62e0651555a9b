"""batch.jsonl, one line per result of a batch, and left_out.jsonl, one line per file that is no recording."""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kuaihl.engines.outputs.atomic import cannot_write, write_output
from kuaihl.models.json_text import parse_json

BATCH_FILE, LEFT_OUT_FILE = "batch.jsonl", "left_out.jsonl"


class BatchWriter:
    """Appends lines, each in one piece, so that two batches may write to one file.

    Raises UsageError if the file cannot be written, for instance because the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.file = path.open("ab", buffering=0)
            _cut_torn_line(path)
        except OSError as error:
            raise cannot_write(path, error) from error

    def write(self, entry: Mapping[str, Any]) -> None:
        try:
            self.file.write(_line(entry))
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()


def done_rooms(path: Path) -> set[str]:
    """The names of the run folders whose last line says that they are done; empty if there is no such file."""
    status: dict[str, object] = {}
    with suppress(FileNotFoundError), path.open("rb") as file:
        for line in file:
            with suppress(ValueError, KeyError, TypeError):  # a line that a kill has torn
                entry = parse_json(line)
                status[Path(entry["output"]).name] = entry["status"]
    return {name for name, said in status.items() if said == "done"}


def write_left_out(folder: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Write left_out.jsonl anew. Raises UsageError if it cannot be written."""
    write_output(folder / LEFT_OUT_FILE, b"".join(map(_line, entries)))


def _line(entry: Mapping[str, Any]) -> bytes:
    """An object as a line; what is not UTF-8 in a file's name becomes the escapes that JSON has for it."""
    return (json.dumps(entry, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _cut_torn_line(path: Path) -> None:
    """Cut off the end of a file after its last newline: a line that a kill or a full disk has torn."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 4096)
            file.seek(start)
            if (newline := file.read(end - start).rfind(b"\n")) >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            file.truncate(end)
