"""Files and folders that appear whole or not at all: they are written beside their place, then moved there.

What is being written is locked. So what a killed process has left is told from what another one is still writing.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

_DRAWN = "?" * 8  # the characters that `tempfile` adds to a prefix


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write bytes, or text as UTF-8. A reader sees the old file or the new one, even after a crash.

    Raises OSError, which the caller puts into words. Nothing is then left beside the place.
    """
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    file = _open_beside(path)
    beside = Path(file.name)
    try:
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            beside.replace(path)  # before its lock goes
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _open_beside(path: Path) -> BinaryIO:
    """A new file in the folder of a path, under its lock."""
    while True:
        # A short name: that of the path may be as long as the system allows.
        beside = path.with_name(f".{secrets.token_hex(6)}.part")
        file = beside.open("xb")
        _lock(file.fileno(), wait=True)
        if beside.exists():  # `remove_torn` may have met it before its lock
            return file
        file.close()


def remove_torn(folder: Path) -> None:
    """Remove what killed processes have left beside their places; what others are writing stays."""
    for beside in folder.glob(".*.part"):
        with _abandoned(beside) as is_free:
            if is_free:
                beside.unlink(missing_ok=True)


def fill_folder(folder: Path, fill: Callable[[Path], None], *, replace: bool) -> None:
    """Let `fill` write into a new folder, then move it to `folder` and create the parents that are missing.

    An existing folder is replaced if `replace` is set. Otherwise it stays, since another process was first. Raises
    OSError and the errors of `fill`; the old folder is then in its place. What a killed process left is removed, and
    the folder that it was about to replace comes back.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}-"
    for left in folder.parent.glob(escape(prefix) + _DRAWN):
        with _abandoned(left) as is_free:
            if is_free and (left / "old").is_dir() and not folder.exists():
                (left / "old").rename(folder)
    with scratch_folder(folder.parent, prefix) as workshop:
        new, old = workshop / "new", workshop / "old"
        new.mkdir()
        fill(new)
        try:
            if replace and folder.exists():
                folder.rename(old)
            new.rename(folder)
        except OSError:
            if replace or not folder.is_dir():
                raise
        finally:
            if old.exists() and not folder.exists():
                old.rename(folder)


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder that is removed afterwards, as are those with this prefix that killed processes have left."""
    for left in parent.glob(escape(prefix) + _DRAWN):
        with _abandoned(left) as is_free:
            if is_free:
                shutil.rmtree(left, ignore_errors=True)
    made, descriptor = _make_scratch(parent, prefix)
    try:
        with made as folder:
            yield Path(folder)
    finally:
        os.close(descriptor)


def _make_scratch(parent: Path, prefix: str) -> "tuple[TemporaryDirectory[str], int]":
    """A new folder, and the descriptor that holds its lock."""
    while True:
        made = TemporaryDirectory(dir=parent, prefix=prefix, ignore_cleanup_errors=True)
        with suppress(FileNotFoundError):  # another one may have met it before its lock, and removed it
            descriptor = os.open(made.name, os.O_RDONLY)
            _lock(descriptor, wait=True)
            if Path(made.name).exists():
                return made, descriptor
            os.close(descriptor)


def _lock(descriptor: int, *, wait: bool) -> bool:
    """Whether an open file or folder could be locked: nobody else holds it, and its file system knows locks."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return True
    return False


@contextmanager
def _abandoned(path: Path) -> Iterator[bool]:
    """Whether nobody is writing a file or into a folder, which is held meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        yield _lock(descriptor, wait=False)
    finally:
        os.close(descriptor)
