"""A live stream that outruns the machine is told only if there is speech to skip."""

import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.http_media import media_server
from support.media import make, media_tags, write_flv

from kuaihl.engines.ingest.opening import OPEN_SECONDS
from kuaihl.engines.scoring import pipeline
from kuaihl.engines.scoring.reading import Cutting, read_here
from kuaihl.engines.types import Segment

pytestmark = pytest.mark.timeout(60)


def slow(segments: Iterator[Segment], *_: object, **__: object) -> Iterator[Segment]:
    """Stands in for the encoders of a machine that is too slow."""
    for segment in segments:
        time.sleep(0.2)
        yield segment


@pytest.mark.parametrize(("transcriber", "told"), [(None, False), ("whisper", True)], ids=["none", "speech"])
@pytest.mark.parametrize("is_live", [True, False], ids=["live", "file"])
def test_overload_is_told_only_of_a_live_stream_with_speech(
    transcriber: str | None, told: bool, is_live: bool, made: Path
) -> None:
    # Without metadata, which would state a length.
    recording = write_flv(made / "fast.flv", media_tags(make(made / "with_length.flv", seconds=20.0)))
    encoders = SimpleNamespace(transcriber=transcriber, times=SimpleNamespace(stage=lambda _: nullcontext()))
    scorer = SimpleNamespace(score=lambda segment: segment, state=None)
    with media_server() as server:
        name = server.live("/live.flv", recording.read_bytes()) if is_live else str(recording)
        stop = threading.Event()
        scored = pipeline.score_source(
            read_here(name, OPEN_SECONDS, stop),
            cast(Any, encoders),
            cast(Any, scorer),
            Cutting(2.0),
            stop=stop,
            encode=cast(Any, slow),
        )
        found = cast(list[Segment], list(scored))
    events = [event for segment in found for event in segment.events if event.kind == "overload"]
    assert bool(events) is (told and is_live)
    assert any(not segment.transcribe for segment in found) is (told and is_live)
