"""A source that is being read: its segments come out, here or out of another process (serving/readers.py)."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from kuaihl.engines.highlights.packet_ring import PacketRing
from kuaihl.engines.ingest.growing import Growth
from kuaihl.engines.ingest.live import Resume, clock_of, live_packets
from kuaihl.engines.ingest.live_clock import ClockMark
from kuaihl.engines.ingest.media_facts import facts_of
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import TimedPacket, packets
from kuaihl.engines.ingest.source import Guard, Source
from kuaihl.engines.segmenter.part import part_of
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import CommentFeed, Event, FrameFinder, MediaFacts, Segment


@dataclass(frozen=True)
class Cutting:
    """How a source is cut: times in seconds of its clock."""

    segment_seconds: float
    first: int = 0  # the number of the first segment that is wanted
    resume: Resume | None = None  # where an earlier run left a stream, which goes on at this moment
    start: float = 0.0  # of the part of a file that is wanted
    end: float | None = None


class Reading(Protocol):
    """An open source. Once the `stop` is set that it was opened with, it ends after the media already read."""

    @property
    def name(self) -> str: ...

    @property
    def is_live(self) -> bool:
        """Whether it is a URL without an end; one may prove to be a recording."""

    @property
    def is_pipe(self) -> bool: ...

    @property
    def is_growing(self) -> bool:
        """Whether it is a file that is followed while it is written."""

    @property
    def duration(self) -> float | None:
        """In seconds; None if unknown."""

    @property
    def facts(self) -> MediaFacts | None:
        """None of a stream."""

    @property
    def shortfall(self) -> str | None:
        """Why the end is not one that the source vouches for; None if it is."""

    def mark(self) -> ClockMark | None:
        """The clock's place, for a run that goes on; None before the first packet, and of a file."""

    def segments(
        self,
        cutting: Cutting,
        *,
        comments: CommentFeed | None = None,
        exact: FrameFinder | None = None,
        ring: PacketRing | None = None,
    ) -> Iterator[Segment]:
        """The segments, to be asked for once; those before the first one wanted are left out.

        `exact` finds frames by random access instead of keyframes, and `ring` keeps packets for clips.
        """

    def close(self) -> None: ...


# Opens a source by its name, with the longest wait in seconds for its answer, and a `stop`. Raises SourceError.
OpenReading = Callable[[str, float, threading.Event], Reading]


def read_here(name: str, timeout: float, stop: threading.Event, *, guard: Guard | None = None) -> Reading:
    """Open a source in this process. `guard` is asked before every connection to a URL. Raises SourceError."""
    return SourceReading(open_source(name, timeout=timeout, guard=guard), stop)


def follow_file(name: str, timeout: float, stop: threading.Event, *, settled: float) -> Reading:
    """Open a file that is read while it grows, until no byte has come for `settled` seconds. Raises SourceError."""
    return SourceReading(open_source(name, timeout=timeout, growth=Growth(settled, stop)), stop)


class SourceReading:
    """A source that this process reads."""

    def __init__(self, source: Source, stop: threading.Event) -> None:
        self.source, self._stop, self._clock = source, stop, clock_of(source)
        self.name, self.is_pipe, self.is_growing = source.name, source.is_pipe, source.is_growing
        self.duration = source.duration
        self.facts = facts_of(source)

    @property
    def is_live(self) -> bool:
        return self.source.is_live

    @property
    def shortfall(self) -> str | None:
        return self.source.shortfall

    def mark(self) -> ClockMark | None:
        return self._clock.mark()

    def segments(
        self,
        cutting: Cutting,
        *,
        comments: CommentFeed | None = None,
        exact: FrameFinder | None = None,
        ring: PacketRing | None = None,
    ) -> Iterator[Segment]:
        stream, begins = self._packets(cutting, ring), 0
        if cutting.resume is not None:
            begins, stream = _find_beginning(stream, cutting.first, cutting.segment_seconds)
        cut = segments(
            stream,
            segment_seconds=cutting.segment_seconds,
            exact=exact,
            comments=comments,
            start=cutting.start,
            end=cutting.end,
            first=begins,
            locate=self.source.locate,
            rests=self.source.is_live,
        )
        return cut if begins >= cutting.first else (one for one in cut if one.index >= cutting.first)

    def _packets(self, cutting: Cutting, ring: PacketRing | None) -> Iterator[TimedPacket | Event]:
        source = self.source
        # A pipe's writer may fall silent, as a network may; both are read so that `stop` still takes effect.
        if source.is_network or source.is_pipe:
            stream = live_packets(
                source,
                timeout=source.timeout,
                stop=self._stop,
                clock=self._clock,
                resume=cutting.resume,
                through=None if ring is None else ring.models.noting,
            )
        else:
            stream = packets(source, stop=self._stop)
            stream = stream if ring is None else ring.models.noting(stream)
        if ring is not None:
            stream = ring.watch(stream)
        if cutting.start or cutting.end is not None:
            part = part_of(source.name, stream, cutting.start, cutting.end)
            stream = _note_end_of_part(source, part, cutting.end)
        return stream

    def close(self) -> None:
        self.source.close()


def _note_end_of_part(
    source: Source, part: Iterator[TimedPacket | Event], end: float | None
) -> Iterator[TimedPacket | Event]:
    """The part; the source falls short of nothing if it reached the part's end."""
    for item in part:
        if isinstance(item, Event) and item.kind == "eof" and item.time == end:
            source.shortfall = None
        yield item


def _find_beginning(
    stream: Iterator[TimedPacket | Event], first: int, segment_seconds: float
) -> tuple[int, Iterator[TimedPacket | Event]]:
    """The number, at least `first`, of the segment in which a stream that was away goes on; and the stream.

    Segments of which nothing was seen get no score.
    """
    held = []
    for item in stream:
        held.append(item)
        if isinstance(item, TimedPacket):
            first = max(first, int(item.decode_time // segment_seconds))
            break
    return first, chain(held, stream)
