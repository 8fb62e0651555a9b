"""The encoders' stage of the pipeline: segments in, segments with features and words out (DESIGN section 4).

Segments are batched through each encoder in turn: frames to visual tokens, audio to words, words and comments to one
vector.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from kuaihl.engines.encoders.evidence import encode_partial_texts, shrink_frames
from kuaihl.engines.encoders.profiles import Encoders
from kuaihl.engines.encoders.signals.measure import SignalMeter
from kuaihl.engines.encoders.signals.sound import loudness_of
from kuaihl.engines.read_ahead import Stage
from kuaihl.engines.runtimes.heap import give_back_freed_memory
from kuaihl.engines.types import EncodedSegment, PartialTexts, Segment, Thumbnail, Transcript
from kuaihl.models.features import Float16, SegmentFeatures

if TYPE_CHECKING:
    from kuaihl.engines.speech.transcriber import Transcriber

BATCH_OF_FILES = 8  # segments; enough for the workers of Whisper, and no more than 100 MB of pictures and sound
WRITTEN = ("chat", "gift")  # kinds of comments that carry viewers' words


class Encode(Protocol):
    """The encoders' stage: `encode`, or one that many streams share."""

    def __call__(
        self,
        segments: Iterable[Segment],
        encoders: Encoders,
        *,
        batch: int = 1,
        language: str | None = None,
        last_picture: Thumbnail | None = None,
        last_language: str | None = None,
    ) -> Iterator[EncodedSegment]: ...


def encode(
    segments: Iterable[Segment],
    encoders: Encoders,
    *,
    batch: int = 1,
    language: str | None = None,
    last_picture: Thumbnail | None = None,
    last_language: str | None = None,
    evidence: bool = False,
) -> Iterator[EncodedSegment]:
    """Encode one stream's segments, in order, at most `batch` at a time: 1 if live, BATCH_OF_FILES for a file.

    `language` is the spoken language, None to detect it. A stream that goes on brings its last picture and language.
    With `evidence`, segments have pictures and partial texts.
    Raises UsageError for a language that Whisper lacks.
    """
    transcriber = None if encoders.transcriber is None else encoders.transcriber.for_stream(last_language)
    meter = SignalMeter(last_picture)
    with ThreadPoolExecutor(1, "vision") as beside:
        for group in group_segments(segments, batch):
            yield from _encode_batch(group, encoders, transcriber, language, beside, meter, evidence)


def group_segments(segments: Iterable[Segment], most: int) -> Iterator[list[Segment]]:
    """Segments, at most `most` at a time; from a stage only those that wait, so that slow ones are not held back."""
    source = iter(segments)
    for first in source:
        budget = most - 1
        if isinstance(segments, Stage):
            budget = min(budget, segments.waiting)
        yield [first, *islice(source, budget)]


def _encode_batch(
    group: Sequence[Segment],
    encoders: Encoders,
    transcriber: "Transcriber | None",
    language: str | None,
    beside: Executor,
    meter: SignalMeter,
    evidence: bool,
) -> list[EncodedSegment]:
    """Encode a few segments together, and measure their signals.

    Pictures are encoded on the thread `beside`, for speech leaves cores idle at its ends.
    """
    times = encoders.times
    seeing = beside.submit(_see, group, encoders)
    shrinking = [beside.submit(shrink_frames, segment) for segment in group] if evidence else []
    with times.stage("speech"):
        transcripts = transcribe(group, transcriber, language)
    give_back_freed_memory()  # before the layers of the text encoder come into memory
    with times.stage("text"):
        text = encode_text(group, transcripts, encoders)
    partial: Sequence[PartialTexts | None] = [None] * len(group)
    if evidence:
        speech = [transcript.text for transcript in transcripts]
        partial = encode_partial_texts(speech, [_written_in(segment) for segment in group], text, encoders.text)
    measured = []
    for segment, transcript in zip(group, transcripts, strict=True):
        signals = meter.measure(segment, transcript if is_heard(segment, transcriber) else None)
        measured.append((signals, meter.previous))
    visual = seeing.result()
    give_back_freed_memory()
    times.segments += len(group)
    times.media_seconds += sum(segment.end - segment.start for segment in group)
    return [
        replace(
            join_features(
                segment, transcripts[i], SegmentFeatures(visual=visual[i], text=text[i], signals=signals), last
            ),
            partial_texts=partial[i],
            pictures=shrinking[i].result() if evidence else (),
        )
        for i, (segment, (signals, last)) in enumerate(zip(group, measured, strict=True))
    ]


def join_features(
    segment: Segment, transcript: Transcript, features: SegmentFeatures, last_picture: Thumbnail | None
) -> EncodedSegment:
    """The segment with its features and words in place of its frames and sound."""
    return EncodedSegment(
        index=segment.index,
        start=segment.start,
        end=segment.end,
        features=features,
        transcript=transcript,
        comments=segment.comments,
        events=segment.events,
        keyframe_times=segment.keyframe_times,
        seek=segment.seek,
        loudness=loudness_of(segment.audio),
        gap=segment.gap,
        wall_time=segment.wall_time,
        last_picture=last_picture,
    )


def _see(group: Sequence[Segment], encoders: Encoders) -> Float16:
    """Visual tokens [B, P, d_v]."""
    with encoders.times.stage("vision"):
        return encode_pictures(group, encoders)


def encode_pictures(group: Sequence[Segment], encoders: Encoders) -> Float16:
    """Visual tokens [B, P, d_v] of the segments' frames."""
    return encoders.vision.encode([[frame.image for frame in segment.frames] for segment in group])


def encode_text(group: Sequence[Segment], transcripts: Sequence[Transcript], encoders: Encoders) -> Float16:
    """One vector per segment [B, d_t] of its speech and its viewers' words."""
    return encoders.text.encode(
        [transcript.text for transcript in transcripts],
        [_written_in(segment) for segment in group],
    )


def _written_in(segment: Segment) -> list[str]:
    """What viewers wrote."""
    return [comment.text for comment in segment.comments if comment.kind in WRITTEN]


def is_heard(segment: Segment, transcriber: "Transcriber | None") -> bool:
    """Whether the segment's speech is transcribed."""
    return transcriber is not None and len(segment.audio) > 0 and segment.transcribe


def transcribe(group: Sequence[Segment], transcriber: "Transcriber | None", language: str | None) -> list[Transcript]:
    """One transcript per segment, empty if its speech is not transcribed."""
    transcripts = [Transcript()] * len(group)
    heard = [i for i, segment in enumerate(group) if is_heard(segment, transcriber)]
    if transcriber is None or not heard:
        return transcripts
    from kuaihl.engines.speech.long_segments import transcribe_segments

    found = transcribe_segments(transcriber, [group[i].audio for i in heard], [group[i].start for i in heard], language)
    for i, transcript in zip(heard, found, strict=True):
        transcripts[i] = transcript
    return transcripts
