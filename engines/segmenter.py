"""A stream of packets goes in, 30 s segments come out: three frames, 16 kHz mono sound, comments, faults.

Little is decoded: all of the sound, and of the video the keyframe nearest before each of three evenly spaced instants
(DESIGN, section 3). Memory stays the same however long the stream.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from kuaihl.engines.comments.comment import Comment
from kuaihl.engines.events import Event
from kuaihl.engines.packets import TimedPacket
from kuaihl.engines.segment import SEGMENT_SECONDS, Frame, Segment


class CommentFeed(Protocol):
    """Comments in order of time; asked once a segment, for consecutive spans."""

    def take(self, start: float, end: float) -> tuple[Comment, ...]:
        """The comments of [start, end), in seconds of the stream's clock."""
        ...


class FrameFinder(Protocol):
    """Random access to a finished file: `--frames exact`."""

    def frames_at(self, instants: Sequence[float]) -> Sequence[Frame]:
        """The frame shown at each instant, in seconds of the stream's clock. Raises SourceError."""
        ...


def segments(
    stream: Iterable[TimedPacket | Event],
    *,
    segment_seconds: float = SEGMENT_SECONDS,
    exact: FrameFinder | None = None,
    comments: CommentFeed | None = None,
) -> Iterator[Segment]:
    """Cut the stream. `exact` replaces the keyframes by the frames shown at the very instants.

    Every segment is `segment_seconds` long but the last, which ends with the stream.
    """
    raise NotImplementedError
