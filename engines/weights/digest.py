"""SHA-256 of large files, computed once and remembered by path, size and time of change, for a fast start-up."""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from kuaihl.models.atomic import remove_torn, write_atomic
from kuaihl.models.errors import ModelError
from kuaihl.models.json_text import parse_json

_READ_BYTES = 1 << 20


def sha256_of_files(files: Sequence[Path], memory: Path) -> str:
    """Hex SHA-256 of `files` read one after another; `memory` is the JSON file that remembers.

    A memory that cannot be read or written costs time, never an error. Raises ModelError for an unreadable file.
    """
    key = "|".join(_fingerprint(file) for file in files)
    remembered = _read_memory(memory)
    if key in remembered:
        return remembered[key]
    found = _compute(files)
    _write_memory(memory, _read_memory(memory) | {key: found})
    return found


def _fingerprint(file: Path) -> str:
    """A text that changes with the file. Raises ModelError if the file is inaccessible."""
    try:
        status = file.stat()
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror})") from error
    return f"{file.resolve()}:{status.st_size}:{status.st_mtime_ns}"


def _compute(files: Sequence[Path]) -> str:
    """Hex SHA-256 of `files` read one after another. Raises ModelError for an unreadable file."""
    running = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as opened:
                while block := opened.read(_READ_BYTES):
                    running.update(block)
        except OSError as error:
            raise ModelError(f"{file}: cannot be read ({error.strerror})") from error
    return running.hexdigest()


def _read_memory(memory: Path) -> dict[str, str]:
    """The remembered digests; empty if the file is missing or not ours."""
    try:
        remembered = parse_json(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(remembered, dict):
        return {}
    return {key: value for key, value in remembered.items() if isinstance(value, str)}


def _write_memory(memory: Path, remembered: dict[str, str]) -> None:
    """Replace the memory as a whole, so that a reader never sees half a file."""
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        remove_torn(memory.parent)
        write_atomic(memory, json.dumps(remembered, indent=1))
