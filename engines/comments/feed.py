"""Comments by time, for a segmenter that takes one segment after another, from a whole file or the caller."""

from bisect import bisect_left
from collections.abc import Iterable

from kuaihl.engines.types import Comment, Event


class CommentTrack:
    """All comments of a finished broadcast, sorted once."""

    def __init__(self, comments: Iterable[Comment] = (), *, fault: str = "") -> None:
        """`fault`: why the comments could not be read; an event tells it once."""
        self._comments = sorted(comments, key=lambda comment: comment.time)
        self._times = [comment.time for comment in self._comments]
        self._fault = fault
        self.has_chat = not fault

    def __len__(self) -> int:
        return len(self._comments)

    def take(self, start: float, end: float) -> tuple[Comment, ...]:
        """The comments with start <= time < end; asking again gives them again."""
        return tuple(self._comments[bisect_left(self._times, start) : bisect_left(self._times, end)])

    def take_events(self, now: float) -> list[Event]:
        """The fault, once, as an event at `now`."""
        fault, self._fault = self._fault, ""
        return [Event("comments", now, fault)] if fault else []
