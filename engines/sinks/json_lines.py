"""Events as JSON Lines: appended to a file, or on standard output."""

import errno
import json
import os
from contextlib import suppress
from pathlib import Path

from kuaihl.engines.sinks.delivery import Gone, Unreachable
from kuaihl.engines.sinks.spool import Waiting
from kuaihl.models.errors import UsageError

STDOUT = "-"
_STDOUT_DESCRIPTOR = 1  # not the buffer, whose flush at the end would fail again
_TAIL = 1 << 20  # bytes in which the file's last line is looked for


class JsonLines:
    """A line per event, in one write."""

    def __init__(self, target: str) -> None:
        """A path, or `-` for standard output."""
        self.name = "standard output" if target == STDOUT else target
        self._path = None if target == STDOUT else Path(target)
        self._file = -1
        self._last = ""  # id of the file's last line: a kill may have come between the line and its record

    def send(self, waiting: Waiting) -> None:
        line = (waiting.to_json() + "\n").encode("utf-8", "replace")
        if self._path is None:
            try:
                while line:
                    line = line[os.write(_STDOUT_DESCRIPTOR, line) :]
            except OSError as error:
                raise Gone("nobody reads it any more", for_good=False) from error
            return
        try:
            if self._file < 0:
                self._file = self._open(self._path)
            if waiting.id != self._last:
                _append(self._file, line)
            self._last = waiting.id
        except OSError as error:
            self.close()
            raise Unreachable(f"cannot be written ({error.strerror})") from error

    def close(self) -> None:
        if self._file >= 0:
            with suppress(OSError):
                os.close(self._file)
        self._file = -1

    def _open(self, path: Path) -> int:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        with suppress(OSError):  # a pipe has no end
            size = os.fstat(file).st_size
            tail = os.pread(file, _TAIL, max(0, size - _TAIL))
            if torn := len(tail) - tail.rfind(b"\n") - 1:
                os.ftruncate(file, size - torn)
            with suppress(ValueError, IndexError, KeyError, TypeError):
                self._last = json.loads(tail.splitlines()[-2 if torn else -1])["id"]
        return file


def check_target(target: str) -> None:
    """Raise UsageError for a target that no line can be written to, however long one waits."""
    path = Path(target)
    if target == STDOUT:
        return
    if path.is_dir():
        raise UsageError("a folder; name a file in it", setting="events", value=target)
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", setting="events", value=target)


def _append(file: int, line: bytes) -> None:
    """One line, or none: a part of it is taken back."""
    written = os.write(file, line)
    if written < len(line):
        with suppress(OSError):
            os.ftruncate(file, os.fstat(file).st_size - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
