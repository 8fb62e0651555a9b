"""Comments from a file that another program appends to while the stream is live.

Nothing that happens to the file ends the run: a fault becomes an event, and the file is tried again at every segment.
"""

import io
import os
import stat
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from kuaihl.engines.comments.filters import Keep, keep_all
from kuaihl.engines.comments.formats import LIVE_FORMATS, jsonl, youtube
from kuaihl.engines.comments.formats.bilibili import RefusedXml
from kuaihl.engines.comments.formats.comment_format import MAX_SECONDS, CommentFormat
from kuaihl.engines.comments.growing_xml import HEAD, GrowingXml, recognise_xml
from kuaihl.engines.comments.reader import shift_comment
from kuaihl.engines.types import Comment, Event
from kuaihl.models.errors import SourceError

_MAX_READ = 1 << 24  # bytes read per segment; the rest is read at the next one
_MAX_LINE = 1 << 20  # bytes
_MAX_WAITING = 100_000  # comments held for a later time
_HEAD = 256  # bytes by which a file is told from another
_NOISE = 20  # lines at most before the first of a known format
_REPEATED = 1000  # messages at most with which a chat greets whoever joins it anew
_SHIFTS = 20  # segments from which the difference between the stream's clock and the wall clock is taken
_LATE = 120.0  # seconds; a comment that comes later than this counts in no segment


class _CannotRead(Exception):
    """The file is no comments that can be followed; the message says why."""


class FollowedComments:
    """Takes each comment once, in the segment it belongs to, or in the current one if it came late.

    Lines without a time that stand in the file when the run begins are older than the stream, and are left out.
    """

    def __init__(
        self, path: str | Path, *, offset: float = 0.0, keep: Keep = keep_all, is_of_source: bool = False
    ) -> None:
        """The file need not exist yet; only comments that `keep` wants count.

        `is_of_source`: it belongs to the very recording that is read, so that danmaku have its clock.

        Raises SourceError if it exists and cannot be followed.
        """
        self._path = Path(path)
        self._offset, self._keep, self._is_of_source = offset, keep, is_of_source
        self._format: CommentFormat | None = None
        self._xml: GrowingXml | None = None
        self._inode, self._head = 0, b""
        self._position = 0
        self._backlog = 0  # bytes that the file had when the run began
        self._torn = b""  # a line that is not written to its end yet
        self._waiting: list[Comment] = []
        self._shifts: deque[float] = deque(maxlen=_SHIFTS)  # from the wall clock to the stream's, in seconds
        self._latest: deque[Comment] = deque(maxlen=_REPEATED)  # by the wall clock
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

    @property
    def is_recognised(self) -> bool:
        """Whether the file has begun to say what format it has."""
        return self._xml is not None or self._format is not None

    def skip_until(self, time: float) -> None:
        """Leave out what the file already holds from before `time`, in seconds: an earlier run has taken it."""
        self._since = time

    def take(self, start: float, end: float) -> tuple[Comment, ...]:
        """The comments with a time before `end` that were not taken yet; none while the file cannot be read."""
        self._shifts.append(end - time.time())
        try:
            new = self._read_new(start, end)
            self._fault, self.has_chat = self._refused, not self._refused
        except (OSError, _CannotRead) as error:
            new, self._fault, self.has_chat = [], _reason(error), False
        since, self._since = self._since, 0.0
        for comment in new:
            if comment is None or comment.time + self._offset < max(since, start - _LATE):
                self.skipped += 1
            elif self._keep(comment):
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
            is_xml = recognise_xml(os.pread(descriptor, HEAD, 0))
            self._xml = GrowingXml(is_of_source=self._is_of_source) if is_xml else None
            self._position = max(0, self._backlog - _MAX_READ)
            file.seek(self._position)
            if self._position:
                self._position += len(file.readline(_MAX_LINE))
            # An incomplete first line is checked once it is complete.
            lines, newline, _ = file.read(_MAX_LINE).rpartition(b"\n")
        if newline and is_xml is False:
            self._format = self._format_of(_decoded(lines))

    def _read_new(self, now: float, end: float) -> list[Comment | None]:
        """The comments written since the last call, None for each line or element that is none."""
        found: list[Comment | None] = []
        descriptor = _open_file(self._path)
        with os.fdopen(descriptor, "rb") as file:
            state = os.fstat(descriptor)
            head = file.read(_HEAD)
            # XML may be written anew with what it had, and its end is overwritten.
            is_other = state.st_ino != self._inode and self._xml is None
            known = self._head if self._xml is None else self._head[: self._position]
            # A new file, which may have the number of the old one, or one that was cut back.
            if is_other or not head.startswith(known) or state.st_size < self._position:
                self._position, self._backlog, self._torn = 0, 0, b""
                self._format, self._xml, self._refused = None, None, ""
            self._inode, self._head = state.st_ino, head
            if self._xml is None and self._format is None:
                is_xml = recognise_xml(os.pread(descriptor, HEAD, 0))
                if is_xml is None:
                    return found
                self._xml = GrowingXml(is_of_source=self._is_of_source) if is_xml and not self._refused else None
            file.seek(self._position)
            for length, is_old in ((self._backlog - self._position, True), (_MAX_READ, False)):
                if length > 0:
                    data = file.read(length)
                    if self._xml is not None:
                        # Where a run goes on, the moment at which the old part was written is not known.
                        moment = (None if self._since else 0.0) if is_old else end
                        found += self._xml_comments_of(self._xml, data, moment)
                        file.seek(self._position)
                    else:
                        self._position += len(data)
                        time = None if is_old else now - self._offset
                        found += self._comments_of(self._complete_lines(data), time)
        return found

    def _xml_comments_of(self, xml: GrowingXml, data: bytes, now: float | None) -> list[Comment | None]:
        """The danmaku in `data`, which was read at `now`. Raises _CannotRead for a document that is refused."""
        try:
            found, used = xml.feed(data, now)
        except RefusedXml as error:
            self._refused = str(error)
            self._xml, self._position = None, self._position + len(data)
            raise _CannotRead(self._refused) from error
        self._position += used
        return found

    def _comments_of(self, lines: str, now: float | None) -> Iterator[Comment | None]:
        """The comments of complete lines; one without a time was written at `now`."""
        self._format = self._format or self._format_of(lines)
        if self._format is None:
            return iter(())
        if self._format is jsonl.FORMAT:
            return jsonl.read(io.StringIO(lines), now)
        if self._format is youtube.FORMAT and not self._is_of_source:
            return self._on_stream(youtube.read(io.StringIO(lines), by_wall_clock=True))
        return self._format.read(io.StringIO(lines))

    def _on_stream(self, comments: Iterable[Comment | None]) -> Iterator[Comment | None]:
        """Times by the wall clock become the stream's; what a writer that began anew repeats is left out."""
        # A segment may be taken late, which makes the stream seem to be behind; hardly ever early.
        shift = sorted(self._shifts)[3 * len(self._shifts) // 4]
        known = set(self._latest)
        for comment in comments:
            if comment is None or comment.time <= MAX_SECONDS:
                yield comment
            elif comment not in known:
                self._latest.append(comment)
                known.add(comment)
                yield replace(comment, time=comment.time + shift)

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
        self._refused = f"cannot be followed live; only danmaku XML and lines of JSON can ({known})"
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
