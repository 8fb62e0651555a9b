"""A file that is there whole or not at all: written beside its place, then renamed over it."""

import os
from pathlib import Path

from kuaihl.models.errors import UsageError


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write bytes, or text as UTF-8: a reader, or a crash, sees the old file or the new one.

    Raises UsageError where it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(content.encode("utf-8", "replace") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> UsageError:
    """The one line for a place that cannot be written: no such folder, no permission, disk full."""
    return UsageError(f"{path}: cannot be written ({error.strerror or error})")
