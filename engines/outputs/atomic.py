"""Output files, each written whole or not at all, and the error for a path that cannot be written."""

from pathlib import Path

from kuaihl.models.atomic import write_atomic
from kuaihl.models.errors import UsageError


def write_output(path: Path, content: str | bytes) -> None:
    """Write bytes, or text as UTF-8. A reader sees the old file or the new one, even after a crash.

    Raises UsageError if it cannot be written.
    """
    try:
        write_atomic(path, content)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> UsageError:
    """The error for a path that cannot be written: no such folder, no permission, disk full."""
    return UsageError(f"{path}: cannot be written ({error.strerror or error})")
