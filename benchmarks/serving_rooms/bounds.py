"""What each part alone could do for rooms in real time: ingest, the encoders, speech, and the head.

Seconds are of processor, over all threads: other work on the machine changes them less than those of the wall clock.
"""

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from kuaihl.engines.encoders.encode import encode_pictures, encode_text, transcribe
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.runtimes.shared_step import SharedStep
from kuaihl.engines.scoring.model import Model, load_model
from kuaihl.engines.scoring.scorer import StreamingScorer
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import EncodedSegment, Segment, Transcript
from kuaihl.models.features import SegmentFeatures
from kuaihl.models.signals import unknown_values

COMMENTS = Path(__file__).parents[2] / "examples" / "demo.comments.xml"
_BATCH = 16
_STEPS = 50


def bounds(recording: Path, seconds: float, *, speech: bool) -> Iterator[tuple[str, float, float]]:
    """A part's name, its processor seconds per segment of `seconds`, and the rooms that it could follow per core."""
    cut = read(recording, seconds)
    yield "ingest, 8 rooms at once", *_rooms(_ingest(recording, seconds, 8), seconds)
    model = load_model(ScoreSettings(asr="auto" if speech else "none"))
    group = (cut * _BATCH)[:_BATCH]
    said = [Transcript(text) for text in _texts(_BATCH)]
    yield "pictures, 16 at once", *_rooms(_time(lambda: encode_pictures(group, model.encoders)) / _BATCH, seconds)
    yield "words, 16 at once", *_rooms(_time(lambda: encode_text(group, said, model.encoders)) / _BATCH, seconds)
    if model.encoders.transcriber is not None:
        yield "speech", *_rooms(_hear(model, cut), seconds)
    yield "head", *_rooms(_step(model), seconds)


def _texts(number: int) -> list[str]:
    """As much text as somebody says in a segment, from the demonstration's comments."""
    lines = re.findall(r">([^<]+)</d>", COMMENTS.read_text(encoding="utf-8"))
    draw = random.Random(0)
    return [" ".join(draw.choices(lines, k=30)) for _ in range(number)]


def read(recording: Path, seconds: float) -> list[Segment]:
    """The whole segments of the recording."""
    with open_source(str(recording)) as source:
        found = segments(packets(source), segment_seconds=seconds)
        return [one for one in islice(found, _BATCH) if one.end - one.start > seconds - 0.1]


def _ingest(recording: Path, seconds: float, rooms: int) -> float:
    """Seconds per segment if several rooms are read at once, as fast as they can be."""
    began = time.process_time()
    with ThreadPoolExecutor(rooms) as pool:
        number = sum(map(len, pool.map(lambda _: read(recording, seconds), range(rooms))))
    return (time.process_time() - began) / number


def _hear(model: Model, cut: list[Segment]) -> float:
    """Seconds per segment if as many are transcribed at once as there are threads."""
    import torch

    loud = [one for one in cut if len(one.audio)]
    own = threading.local()

    def hear(segment: Segment) -> None:
        transcriber = model.encoders.transcriber
        assert transcriber is not None
        if not hasattr(own, "transcriber"):
            own.transcriber = transcriber.for_stream()
        transcribe([segment], own.transcriber, None)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return _time(lambda: list(pool.map(hear, loud))) / len(loud)


def _step(model: Model) -> float:
    dims = model.bundle.dims
    import numpy as np

    scorer = StreamingScorer(model.bundle, SharedStep(model.step, lambda stage, seconds: None))
    features = SegmentFeatures(
        visual=np.zeros((dims.patches, dims.visual_width), np.float16),
        text=np.zeros(dims.text_width, np.float16),
        signals=unknown_values(),
    )

    def steps() -> None:
        for index in range(_STEPS):
            scorer.score(EncodedSegment(index, 30.0 * index, 30.0 * index + 30, features, Transcript()))

    return _time(steps) / _STEPS


def _time(call: Callable[[], object]) -> float:
    """The least processor seconds of three calls, after one that does not count."""
    call()
    taken = []
    for _ in range(3):
        began = time.process_time()
        call()
        taken.append(time.process_time() - began)
    return min(taken)


def _rooms(taken: float, seconds: float) -> tuple[float, float]:
    return taken, seconds / taken
