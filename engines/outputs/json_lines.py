"""Files of JSON Lines that a kill or a full disk may have torn: whole lines are appended, and torn ones passed over."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from kuaihl.engines.outputs.atomic import cannot_write
from kuaihl.models.json_text import parse_json


class LineWriter:
    """Appends lines, each in one piece, so that two processes may write to one file; a torn last line goes first.

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
            self.file.write(line_of(entry))
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def line_of(entry: Mapping[str, Any]) -> bytes:
    """An object as a line; what is not UTF-8 in a file's name becomes the escapes that JSON has for it."""
    return (json.dumps(entry, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def read_objects(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file, without lines that are torn or hold something else; none if it cannot be read."""
    with suppress(OSError), path.open("rb") as file:
        for line in file:
            with suppress(ValueError):
                entry = parse_json(line)
                if isinstance(entry, dict):
                    yield entry


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
