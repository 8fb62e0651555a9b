"""The whole path as one generator: source ─► packets ─► segments ─► features ─► scores.

A file and a live stream take the same path; only the source of the packets differs. Reading and decoding run on
their own thread behind a bounded queue, so they overlap with the encoders and memory stays constant.
"""

import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import TYPE_CHECKING

from kuaihl.engines.encoders.encode import BATCH_OF_FILES, Encode
from kuaihl.engines.encoders.encode import encode as encode_alone
from kuaihl.engines.highlights.packet_ring import PacketRing
from kuaihl.engines.ingest.live import Resume, live_packets
from kuaihl.engines.ingest.live_clock import LiveClock
from kuaihl.engines.ingest.packets import TimedPacket, packets
from kuaihl.engines.ingest.source import Source
from kuaihl.engines.overload import BEHIND, skip_speech_when_behind
from kuaihl.engines.read_ahead import run_stage
from kuaihl.engines.segmenter.part import part_of
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import CommentFeed, Event, FrameFinder, ScoredSegment
from kuaihl.models.errors import SourceError

if TYPE_CHECKING:
    from kuaihl.engines.encoders.profiles import Encoders
    from kuaihl.engines.scoring.scorer import StreamingScorer


def score_source(
    source: Source,
    encoders: "Encoders",
    scorer: "StreamingScorer",
    *,
    segment_seconds: float,
    language: str | None = None,
    comments: CommentFeed | None = None,
    exact: FrameFinder | None = None,
    start: float = 0.0,
    end: float | None = None,
    stop: threading.Event,
    clock: LiveClock | None = None,
    resume: Resume | None = None,
    first: int = 0,
    encode: Encode = encode_alone,
    ring: PacketRing | None = None,
) -> Generator[ScoredSegment]:
    """Score an open source segment by segment, until it ends or `stop` is set, and close it.

    Media read before `stop` is still scored. `language` is the spoken one, None to detect it; `exact` finds frames by
    random access instead of keyframes. `start` and `end` (seconds of its clock) score part of a file.

    `first` is the number of the first segment to score, as `scorer` has scored those before it. A source that `resume`
    places goes on at this moment, on the caller's `clock`; any other is read again from its beginning.
    `encode` is the encoders' stage, which many streams may share. `ring` keeps packets, for clips of a stream.
    Raises SourceError if reading ends before any media has arrived.
    """
    scored_any = first > 0
    with ExitStack() as stack:
        stack.enter_context(source)
        # A pipe's writer may fall silent, as a network may; both are read so that `stop` still takes effect.
        if source.is_network or source.is_pipe:
            through = None if ring is None else ring.models.noting
            stream = live_packets(
                source, timeout=source.timeout, stop=stop, clock=clock, resume=resume, through=through
            )
        else:
            stream = packets(source, stop=stop)
            stream = stream if ring is None else ring.models.noting(stream)
        if ring is not None:
            stream = ring.watch(stream)
        if start or end is not None:
            stream = _note_end_of_part(source, part_of(source.name, stream, start, end), end)
        begins = 0
        if resume is not None:
            begins, stream = _find_beginning(stream, first, segment_seconds)
        cut = segments(
            stream,
            segment_seconds=segment_seconds,
            exact=exact,
            comments=comments,
            start=start,
            end=end,
            first=begins,
            locate=source.locate,
        )
        if begins < first:
            cut = (segment for segment in cut if segment.index >= first)
        # A live stream is scored segment by segment and may outrun the machine; a file waits, and is scored in batches.
        # A ring of packets holds all that was read and not yet scored, so little is read ahead.
        one_by_one = source.is_live or ring is not None
        ahead, batch = (BEHIND + 1, 1) if one_by_one else (BATCH_OF_FILES, BATCH_OF_FILES)
        staged = stack.enter_context(run_stage(cut, ahead, stop=stop))
        speaks = source.is_live and encoders.transcriber is not None  # nothing else is ever skipped
        ready = skip_speech_when_behind(staged) if speaks else staged
        known = scorer.state if first else None
        for encoded in encode(
            ready,
            encoders,
            batch=batch,
            language=language,
            last_picture=known.picture if known else None,
            last_language=known.language if known else None,
        ):
            with encoders.times.stage("head"):
                scored = scorer.score(encoded)
            scored_any = True
            yield scored
        if not scored_any and not stop.is_set():
            raise SourceError(f"{source.name}: holds no picture and no sound that can be read; check that it is whole")


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
