"""Real input for comparing engines: the frames, words and comments of a recording, or of written scenes.

Each engine under comparison encodes and scores the same sample, so any difference comes from the engines alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from kuaihl.engines.types import EncodedSegment, Transcript
from kuaihl.models.features import SegmentFeatures
from kuaihl.models.signals import Floats, unknown_values

if TYPE_CHECKING:
    from kuaihl.engines.encoders.profiles import Encoders
    from kuaihl.engines.runtimes.runtime import Runtime
    from kuaihl.engines.speech.transcriber import Transcriber
    from kuaihl.engines.types import RgbImage
    from kuaihl.models.bundle import Bundle

CALIBRATION_SECONDS = 2.0  # per segment; short, so that a short recording yields many
_MOST_SEGMENTS = 48


@dataclass(frozen=True)
class SampleSegment:
    """The encoders' input of one segment, and its signals."""

    frames: "tuple[RgbImage, ...]"
    speech: str
    comments: tuple[str, ...]
    signals: Floats = field(default_factory=unknown_values)  # [SIGNALS] values


def recorded_sample(source: str, transcriber: "Transcriber | None", segment_seconds: float) -> list[SampleSegment]:
    """The first segments of a recording, transcribed if there is a `transcriber`. Raises SourceError."""
    from itertools import islice

    from kuaihl.engines.encoders.encode import BATCH_OF_FILES, group_segments, is_heard, transcribe
    from kuaihl.engines.encoders.signals.measure import SignalMeter
    from kuaihl.engines.ingest.opening import open_source
    from kuaihl.engines.ingest.packets import packets
    from kuaihl.engines.segmenter.segmenter import segments
    from kuaihl.models.errors import SourceError

    if transcriber is not None:
        transcriber = transcriber.for_stream()
    meter = SignalMeter()
    found: list[SampleSegment] = []
    with open_source(source) as opened:
        cut = islice(segments(packets(opened), segment_seconds=segment_seconds), _MOST_SEGMENTS)
        for group in group_segments(cut, BATCH_OF_FILES):
            for segment, transcript in zip(group, transcribe(group, transcriber, None), strict=True):
                frames = tuple(frame.image for frame in segment.frames)
                comments = tuple(comment.text for comment in segment.comments)
                signals = meter.measure(segment, transcript if is_heard(segment, transcriber) else None)
                found.append(SampleSegment(frames, transcript.text, comments, signals))
    if not found:
        raise SourceError(f"{source}: holds no picture and no sound that can be read; check that it is whole")
    return found


def written_sample(most: int = 24) -> list[SampleSegment]:
    """Drawn scenes of every topic in turn, with written words. Needs Pillow."""
    from kuaihl.engines.cold_start.scenes import draw_scene, style_of
    from kuaihl.models.simulation.terms import TOPICS

    random = np.random.default_rng(0)

    def frames(number: int) -> "tuple[RgbImage, ...]":
        return tuple(draw_scene(number % len(TOPICS), number / most, style_of(number), random) for _ in range(3))

    return [
        SampleSegment(frames(number), *words, written_signals(*words))
        for number, words in enumerate(written_words(most))
    ]


def written_signals(speech: str, comments: Sequence[str]) -> Floats:
    """The values [SIGNALS] of a segment's words, each comment by another viewer; sound and pictures are unknown."""
    from kuaihl.engines.encoders.signals.comments import comment_signals
    from kuaihl.engines.encoders.signals.measure import values_of
    from kuaihl.engines.encoders.signals.speech import speech_signals
    from kuaihl.engines.types import SEGMENT_SECONDS, Comment

    chat = [Comment(0.0, text) for text in comments]
    return values_of(comment_signals(chat, SEGMENT_SECONDS) | speech_signals(Transcript(speech), SEGMENT_SECONDS))


def written_words(most: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Speech and comments of every topic in turn, in English and Chinese, of any length."""
    from kuaihl.engines.cold_start.grammar import written_lines
    from kuaihl.models.simulation.feature_bank import LANGUAGES
    from kuaihl.models.simulation.terms import TOPICS, TRAINING_GENRES

    random = np.random.default_rng(0)
    for number in range(most):
        place = (LANGUAGES[number % len(LANGUAGES)], TRAINING_GENRES[number % len(TRAINING_GENRES)])
        spoken, written = (
            written_lines(*place, TOPICS[number % len(TOPICS)], kind, "train") for kind in ("speech", "comments")
        )
        speech = " ".join(random.choice(spoken, size=1 + number % 4))
        yield speech, tuple(random.choice(written, size=number % 7).tolist())


def score_sample(
    sample: Sequence[SampleSegment], bundle: "Bundle", encoders: "Encoders", step: "Runtime"
) -> list[float]:
    """The scores of a sample, one per segment, by the engines in `encoders` and `step`."""
    from kuaihl.engines.scoring.scorer import StreamingScorer

    scorer = StreamingScorer(bundle, step, device=encoders.device)
    return [scored.score for scored in scorer.scores(encode_sample(sample, encoders))]


def encode_sample(sample: Sequence[SampleSegment], encoders: "Encoders") -> Iterator[EncodedSegment]:
    """A sample's segments with their features."""
    visual = encoders.vision.encode([segment.frames for segment in sample])
    text = encoders.text.encode([segment.speech for segment in sample], [segment.comments for segment in sample])
    for index in range(len(sample)):
        features = SegmentFeatures(visual=visual[index], text=text[index], signals=sample[index].signals)
        yield EncodedSegment(index, float(index), index + 1.0, features, Transcript())  # times have no meaning here
