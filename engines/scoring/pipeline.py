"""The whole path as one generator: source ─► packets ─► segments ─► features ─► scores.

A file and a live stream take the same path; only the source of the packets differs. Reading and decoding run on
their own thread behind a bounded queue, so they overlap with the encoders and memory stays constant.
"""

import threading
from collections.abc import Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from kuaihl.engines.encoders.encode import BATCH_OF_FILES, encode
from kuaihl.engines.ingest.live import live_packets
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.ingest.source import Source
from kuaihl.engines.read_ahead import run_stage
from kuaihl.engines.segmenter.overload import BEHIND, skip_speech_when_behind
from kuaihl.engines.segmenter.part import part_of
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import CommentFeed, FrameFinder, ScoredSegment
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
) -> Generator[ScoredSegment]:
    """Score an open source segment by segment, until it ends or `stop` is set, and close it.

    Media read before `stop` is still scored. `language` is the spoken one, None to detect it; `exact` finds frames by
    random access instead of keyframes. `start` and `end` (seconds of its clock) score part of a file.
    Raises SourceError if reading ends before any media has arrived.
    """
    scored_any = False
    with ExitStack() as stack:
        stack.enter_context(source)
        # A pipe's writer may fall silent, as a network may; both are read so that `stop` still takes effect.
        if source.is_network or source.is_pipe:
            stream = live_packets(source, timeout=source.timeout, stop=stop)
        else:
            stream = packets(source, stop=stop)
        if start or end is not None:
            stream = part_of(source.name, stream, start, end)
        cut = segments(stream, segment_seconds=segment_seconds, exact=exact, comments=comments, start=start, end=end)
        # A live stream is scored segment by segment and may outrun the machine; a file waits, and is scored in batches.
        ahead, batch = (BEHIND + 1, 1) if source.is_live else (BATCH_OF_FILES, BATCH_OF_FILES)
        staged = stack.enter_context(run_stage(cut, ahead, stop=stop))
        speaks = source.is_live and encoders.transcriber is not None  # nothing else is ever skipped
        ready = skip_speech_when_behind(staged) if speaks else staged
        for encoded in encode(ready, encoders, batch=batch, language=language):
            with encoders.times.stage("head"):
                scored = scorer.score(encoded)
            scored_any = True
            yield scored
        if not scored_any and not stop.is_set():
            raise SourceError(f"{source.name}: holds no picture and no sound that can be read; check that it is whole")
