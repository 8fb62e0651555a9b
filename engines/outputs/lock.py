"""The lock of a run folder: one process writes into it at a time. The system frees it if that process dies."""

import errno
import fcntl
import os
from pathlib import Path

from kuaihl.engines.outputs.atomic import cannot_write
from kuaihl.models.errors import Remedy, UsageError

LOCK_FILE = ".lock"
_KNOWS_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)  # some network file systems
_OTHER_FOLDER = Remedy("wait for it, or name another folder", {"output": None})


class FolderInUse(UsageError):
    """Another process, or another run of this one, writes into the folder."""


class FolderLock:
    """Held from its making until `release`, by this object; its file names the process and goes with the lock.

    Raises FolderInUse if another process, or another run of this one, holds it, UsageError if it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_FILE
        self._descriptor = -1
        try:
            self._descriptor = _lock_file(self._path)
        except BlockingIOError:
            raise FolderInUse(
                f"{folder}: {_holder_words(self._path)} is writing into it", remedy=_OTHER_FOLDER
            ) from None
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def release(self) -> None:
        """Idempotent."""
        if self._descriptor >= 0:
            self._path.unlink(missing_ok=True)  # first: who locks a file that is gone looks again
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


def _lock_file(path: Path) -> int:
    """The descriptor of the locked file. Raises OSError, BlockingIOError if another one holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _take(descriptor)
            if _is_at(path, descriptor):  # its last holder may just have removed it
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()}\n".encode())
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _take(descriptor: int) -> None:
    """Lock it, unless its file system knows no locks. Raises OSError, BlockingIOError if it is locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _KNOWS_NO_LOCKS:
            raise


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder_words(path: Path) -> str:
    try:
        return f"process {int(path.read_text())}"
    except (OSError, ValueError):
        return "another process"


def check_unlocked(folder: Path) -> None:
    """Raise FolderInUse if another process writes into the folder now."""
    if (folder / LOCK_FILE).exists():
        FolderLock(folder).release()
