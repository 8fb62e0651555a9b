"""The whole path as one generator: source ─► packets ─► segments ─► features ─► scores.

A file and a live stream take the same path; only the source of the packets differs. Reading and decoding run on
their own thread behind a bounded queue, so they overlap with the encoders and memory stays constant.
"""

import threading
from collections.abc import Generator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from kuaihl.engines.encoders.encode import BATCH_OF_FILES, Encode
from kuaihl.engines.encoders.encode import encode as encode_alone
from kuaihl.engines.highlights.packet_ring import PacketRing
from kuaihl.engines.overload import BEHIND, skip_speech_when_behind
from kuaihl.engines.read_ahead import run_stage
from kuaihl.engines.scoring.reading import Cutting, Reading
from kuaihl.engines.types import CommentFeed, FrameFinder, ScoredSegment
from kuaihl.models.errors import SourceError

if TYPE_CHECKING:
    from kuaihl.engines.encoders.profiles import Encoders
    from kuaihl.engines.scoring.scorer import StreamingScorer


def score_source(
    reading: Reading,
    encoders: "Encoders",
    scorer: "StreamingScorer",
    cutting: Cutting,
    *,
    stop: threading.Event,
    language: str | None = None,
    comments: CommentFeed | None = None,
    exact: FrameFinder | None = None,
    encode: Encode = encode_alone,
    ring: PacketRing | None = None,
) -> Generator[ScoredSegment]:
    """Score an open source segment by segment, until it ends or `stop`, with which it was opened, is set; close it.

    Media read before `stop` is still scored. `language` is the spoken one, None to detect it; `exact` finds frames by
    random access instead of keyframes. `scorer` has scored the segments before the first one of `cutting`.

    `encode` is the encoders' stage, which many streams may share. `ring` keeps packets, for clips of a stream.
    Raises SourceError if reading ends before any media has arrived.
    """
    scored_any = cutting.first > 0
    with ExitStack() as stack:
        stack.enter_context(closing(reading))
        cut = reading.segments(cutting, comments=comments, exact=exact, ring=ring)
        # A live stream is scored segment by segment and may outrun the machine; a file waits, and is scored in batches.
        # A ring of packets holds all that was read and not yet scored, so little is read ahead.
        one_by_one = reading.is_live or ring is not None
        ahead, batch = (BEHIND + 1, 1) if one_by_one else (BATCH_OF_FILES, BATCH_OF_FILES)
        staged = stack.enter_context(run_stage(cut, ahead, stop=stop))
        speaks = reading.is_live and encoders.transcriber is not None  # nothing else is ever skipped
        ready = skip_speech_when_behind(staged) if speaks else staged
        known = scorer.state if cutting.first else None
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
            raise SourceError(f"{reading.name}: holds no picture and no sound that can be read; check that it is whole")
