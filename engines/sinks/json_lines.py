"""Events as JSON Lines: appended to a file, or on standard output."""

import errno
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kuaihl.engines.sinks.delivery import Gone, Unreachable
from kuaihl.engines.sinks.spool import Waiting
from kuaihl.models.errors import UsageError

STDOUT = "-"
_STDOUT_DESCRIPTOR = 1  # not the buffer, whose flush at the end would fail again
_PRINTING = threading.Lock()  # rooms share standard output, and a long line goes in several writes
_TAIL = 1 << 20  # bytes in which a file's last lines are looked for
_LOOK = 0.01  # seconds between two looks at a file that somebody else writes


class JsonLines:
    """A line per event, whole: rooms and processes that share a target write one after another."""

    def __init__(self, target: str, *, timeout: float = 10.0) -> None:
        """A path, or `-` for standard output; `timeout` in seconds is how long an event waits for others' lines."""
        self.name = "standard output" if target == STDOUT else target
        self._path = None if target == STDOUT else Path(target)
        self._timeout = timeout
        self._file = -1
        self._had: set[str] = set()  # ids in the file: a kill may have come between a line and its record

    def send(self, waiting: Waiting) -> None:
        line = (waiting.to_json() + "\n").encode("utf-8", "replace")
        if self._path is None:
            _print(line, self._timeout)
            return
        try:
            if self._file < 0:
                self._open(self._path)
            if waiting.id not in self._had:
                with _locked(self._file, self._timeout):
                    _append(self._file, line)
                self._had = {waiting.id}  # events come in order: no later one is there
        except OSError as error:
            self.close()
            raise Unreachable(f"cannot be written ({error.strerror})") from error

    def close(self) -> None:
        if self._file >= 0:
            with suppress(OSError):
                os.close(self._file)
        self._file = -1

    def _open(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        with _locked(self._file, self._timeout), suppress(OSError):  # a pipe has no end
            size = os.fstat(self._file).st_size
            tail = os.pread(self._file, _TAIL, max(0, size - _TAIL))
            if torn := len(tail) - tail.rfind(b"\n") - 1:
                os.ftruncate(self._file, size - torn)
            for line in tail[: len(tail) - torn].splitlines():
                with suppress(ValueError, KeyError, TypeError):  # the first one may be a part
                    self._had.add(json.loads(line)["id"])


def check_target(target: str) -> None:
    """Raise UsageError for a target that no line can be written to, however long one waits."""
    path = Path(target)
    if target == STDOUT:
        return
    if path.is_dir():
        raise UsageError("a folder; name a file in it", setting="events", value=target)
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", setting="events", value=target)


def _print(line: bytes, seconds: float) -> None:
    """A line on standard output. Raises Unreachable if another line is not read within this time."""
    if not _PRINTING.acquire(timeout=seconds):
        raise Unreachable("nobody reads it at present")
    try:
        while line:
            line = line[os.write(_STDOUT_DESCRIPTOR, line) :]
    except OSError as error:
        raise Gone("nobody reads it any more", for_good=False) from error
    finally:
        _PRINTING.release()


@contextmanager
def _locked(file: int, seconds: float) -> Iterator[None]:
    """Nobody else writes the file meanwhile, or takes a line that is half written for a torn one. Raises OSError."""
    until = time.monotonic() + seconds
    while not _could_lock(file):
        if time.monotonic() > until:
            raise TimeoutError(errno.ETIMEDOUT, "others keep it locked")
        time.sleep(_LOOK)
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)


def _could_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # its file system knows no locks
    return True


def _append(file: int, line: bytes) -> None:
    """One line, or none: a part of it is taken back."""
    written = os.write(file, line)
    if written < len(line):
        with suppress(OSError):
            os.ftruncate(file, os.fstat(file).st_size - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
