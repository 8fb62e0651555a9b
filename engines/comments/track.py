"""Comments by time, for a segmenter that asks for one segment after another."""

from bisect import bisect_left
from collections.abc import Iterable

from kuaihl.engines.comments.comment import Comment


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
