"""Comments by time, for a segmenter that takes one segment after another: from a whole file, or one that grows."""

import io
import math
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from kuaihl.engines.comments.formats import LIVE_FORMATS, jsonl
from kuaihl.engines.comments.formats.comment_format import CommentFormat
from kuaihl.engines.comments.reader import head_of, shift_comment
from kuaihl.engines.types import Comment
from kuaihl.models.errors import SourceError


class CommentTrack:
    """All comments of a finished broadcast, sorted once."""

    def __init__(self, comments: Iterable[Comment] = ()) -> None:
        self._comments = sorted(comments, key=lambda comment: comment.time)
        self._times = [comment.time for comment in self._comments]

    def __len__(self) -> int:
        return len(self._comments)

    def take(self, start: float, end: float) -> tuple[Comment, ...]:
        """The comments with start <= time < end; asking again gives them again."""
        return tuple(self._comments[bisect_left(self._times, start) : bisect_left(self._times, end)])


_MAX_READ = 1 << 24  # bytes read per segment; the rest is read at the next one
_MAX_LINE = 1 << 20  # bytes
_MAX_WAITING = 100_000  # comments held for a later time


class FollowedComments:
    """Takes each comment once, in the segment it belongs to, or in the current one if it came late."""

    def __init__(self, path: str | Path, *, offset: float = 0.0) -> None:
        """The file need not exist yet. Raises SourceError if it exists and cannot be followed."""
        self._path = Path(path)
        self._offset = offset
        self._since: float | None = None
        self._format: CommentFormat | None = None
        self._inode = 0
        self._position = 0
        self._torn = b""  # a line that is not written to its end yet
        self._waiting: list[Comment] = []
        self.skipped = 0
        if self._path.exists():
            # An incomplete first line is checked once it is complete.
            lines, newline, _ = self._head().rpartition("\n")
            self._format = self._recognise_format(lines) if newline and lines.strip() else None

    def skip_until(self, time: float) -> None:
        """Leave out what the file already holds from before `time`, in seconds, or without a time."""
        self._since = time

    def take(self, start: float, end: float) -> tuple[Comment, ...]:
        """The comments with a time before `end` that were not taken yet. Raises SourceError if it is not JSON Lines."""
        since, self._since = self._since, None
        for comment in self._read_new(start if since is None else -math.inf):
            if since is not None and (comment is None or comment.time + self._offset < since):
                continue
            if comment is None or comment.time + self._offset < 0:
                self.skipped += 1
            else:
                self._waiting.append(shift_comment(comment, self._offset))
        self._waiting.sort(key=lambda comment: comment.time)
        due = tuple(comment for comment in self._waiting if comment.time < end)
        later = self._waiting[len(due) :]
        self._waiting = later[:_MAX_WAITING]
        self.skipped += len(later) - len(self._waiting)
        return due

    def _read_new(self, now: float) -> Iterator[Comment | None]:
        lines = self._lines()
        if self._format is None and lines.strip():
            self._format = self._recognise_format(lines)
        if self._format is jsonl.FORMAT:
            return jsonl.read(io.StringIO(lines), now - self._offset)
        return self._format.read(io.StringIO(lines)) if self._format else iter(())

    def _head(self) -> str:
        try:
            return head_of(self._path)
        except OSError as error:
            raise SourceError(f"{self._path}: {error.strerror or error}") from error

    def _recognise_format(self, lines: str) -> CommentFormat:
        for format in LIVE_FORMATS:
            if format.recognises(lines):
                return format
        known = ", ".join(format.name for format in LIVE_FORMATS)
        raise SourceError(f"{self._path}: cannot be followed live; only lines of JSON can ({known})")

    def _lines(self) -> str:
        """The complete lines written since the last call, "" if there are none or the file is missing."""
        try:
            with self._path.open("rb") as file:
                new = self._read_since(file)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise SourceError(f"{self._path}: {error.strerror or error}") from error
        data = self._torn + new
        end = data.rfind(b"\n") + 1
        self._torn = data[end:]
        if len(self._torn) > _MAX_LINE:
            self._torn = b""
            self.skipped += 1
        return data[:end].decode("utf-8-sig", "replace")

    def _read_since(self, file: IO[bytes]) -> bytes:
        state = os.fstat(file.fileno())
        if state.st_ino != self._inode or state.st_size < self._position:  # a new file, or one cut back to nothing
            self._inode, self._position, self._torn = state.st_ino, 0, b""
        file.seek(self._position)
        data = file.read(_MAX_READ)
        self._position += len(data)
        return data
