"""Comments from a file that another program appends to while the stream is live.

Nothing that happens to the file ends the run: a fault becomes an event, and the file is tried again at every segment.
"""

import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from kuaihl.engines.comments.formats import LIVE_FORMATS, jsonl
from kuaihl.engines.comments.formats.comment_format import CommentFormat
from kuaihl.engines.comments.reader import shift_comment
from kuaihl.engines.types import Comment, Event
from kuaihl.models.errors import SourceError

_MAX_READ = 1 << 24  # bytes read per segment; the rest is read at the next one
_MAX_LINE = 1 << 20  # bytes
_MAX_WAITING = 100_000  # comments held for a later time
_HEAD = 256  # bytes by which a file is told from another
_NOISE = 20  # lines at most before the first of a known format
_LATE = 120.0  # seconds; a comment that comes later than this counts in no segment


class _CannotRead(Exception):
    """The file is no comments that can be followed; the message says why."""


class FollowedComments:
    """Takes each comment once, in the segment it belongs to, or in the current one if it came late.

    Lines without a time that stand in the file when the run begins are older than the stream, and are left out.
    """

    def __init__(self, path: str | Path, *, offset: float = 0.0) -> None:
        """The file need not exist yet. Raises SourceError if it exists and cannot be followed."""
        self._path = Path(path)
        self._offset = offset
        self._format: CommentFormat | None = None
        self._inode, self._head = 0, b""
        self._position = 0
        self._backlog = 0  # bytes that the file had when the run began
        self._torn = b""  # a line that is not written to its end yet
        self._waiting: list[Comment] = []
        self._refused = ""  # why what the file holds cannot be followed, until it holds something else
        self._fault = self._told = ""
        self._since = 0.0  # comments from before this time were taken by an earlier run
        self.has_chat = False  # the file is there and can be read
        self.skipped = 0
        if self._path.exists():
            try:
                self._begin()
            except (OSError, _CannotRead) as error:
                raise SourceError(f"{self._path}: {_reason(error)}") from error

    def skip_until(self, time: float) -> None:
        """Leave out what the file already holds from before `time`, in seconds: an earlier run has taken it."""
        self._since = time

    def take(self, start: float, end: float) -> tuple[Comment, ...]:
        """The comments with a time before `end` that were not taken yet; none while the file cannot be read."""
        try:
            new = self._read_new(start)
            self._fault, self.has_chat = self._refused, not self._refused
        except (OSError, _CannotRead) as error:
            new, self._fault, self.has_chat = [], _reason(error), False
        since, self._since = self._since, 0.0
        for comment in new:
            time = None if comment is None else comment.time + self._offset
            if comment is None or time is None or time < max(since, start - _LATE):
                self.skipped += 1
            else:
                self._waiting.append(shift_comment(comment, self._offset))
        self._waiting.sort(key=lambda comment: comment.time)
        due = tuple(comment for comment in self._waiting if comment.time < end)
        later = self._waiting[len(due) :]
        self._waiting = later[:_MAX_WAITING]
        self.skipped += len(later) - len(self._waiting)
        return due

    def take_events(self, now: float) -> list[Event]:
        """An event at `now` if the file has failed, or can be read again, since the last call."""
        if self._fault == self._told:
            return []
        self._told = self._fault
        words = f"{self._fault}; tried again at each segment" if self._fault else "read again"
        return [Event("comments", now, f"{self._path}: {words}")]

    def _begin(self) -> None:
        """Note what the file holds already; only its end is read, for the rest is older than any segment."""
        descriptor = _open_file(self._path)
        with os.fdopen(descriptor, "rb") as file:
            state = os.fstat(descriptor)
            self._inode, self._backlog = state.st_ino, state.st_size
            self._head = file.read(_HEAD)
            self._position = max(0, self._backlog - _MAX_READ)
            file.seek(self._position)
            if self._position:
                self._position += len(file.readline(_MAX_LINE))
            # An incomplete first line is checked once it is complete.
            lines, newline, _ = file.read(_MAX_LINE).rpartition(b"\n")
        if newline:
            self._format = self._format_of(_decoded(lines))

    def _read_new(self, now: float) -> list[Comment | None]:
        """The comments of the lines written since the last call, None for each that is none."""
        found: list[Comment | None] = []
        descriptor = _open_file(self._path)
        with os.fdopen(descriptor, "rb") as file:
            state = os.fstat(descriptor)
            head = file.read(_HEAD)
            # A new file, which may have the number of the old one, or one that was cut back.
            if state.st_ino != self._inode or not head.startswith(self._head) or state.st_size < self._position:
                self._inode, self._position, self._backlog, self._torn = state.st_ino, 0, 0, b""
                self._format, self._refused = None, ""
            self._head = head
            file.seek(self._position)
            for length, time in ((self._backlog - self._position, None), (_MAX_READ, now - self._offset)):
                if length > 0:
                    data = file.read(length)
                    self._position += len(data)
                    found += self._comments_of(self._complete_lines(data), time)
        return found

    def _comments_of(self, lines: str, now: float | None) -> Iterator[Comment | None]:
        """The comments of complete lines; one without a time was written at `now`."""
        self._format = self._format or self._format_of(lines)
        if self._format is None:
            return iter(())
        if self._format is jsonl.FORMAT:
            return jsonl.read(io.StringIO(lines), now)
        return self._format.read(io.StringIO(lines))

    def _format_of(self, lines: str) -> CommentFormat | None:
        """The format of complete lines, None for none. Raises _CannotRead for others."""
        if not lines.strip():
            return None
        rest = lines
        for _ in range(_NOISE):
            for format in LIVE_FORMATS:
                if format.recognises(rest):
                    self._refused = ""
                    return format
            rest = rest.partition("\n")[2]
        known = ", ".join(format.name for format in LIVE_FORMATS)
        self._refused = f"cannot be followed live; only lines of JSON can ({known})"
        self.skipped += lines.count("\n")
        raise _CannotRead(self._refused)

    def _complete_lines(self, new: bytes) -> str:
        data = self._torn + new
        end = data.rfind(b"\n") + 1
        self._torn = data[end:]
        if len(self._torn) > _MAX_LINE:
            self._torn = b""
            self.skipped += 1
        return _decoded(data[:end])


def _open_file(path: Path) -> int:
    """A descriptor of a regular file; opening never waits. Raises OSError, _CannotRead for anything else."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise _CannotRead("not a regular file; save the comments to one")


def _decoded(lines: bytes) -> str:
    return lines.decode("utf-8-sig", "replace")


def _reason(error: OSError | _CannotRead) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
