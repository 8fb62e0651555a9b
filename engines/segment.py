"""A segment on its way through the house: cut from the stream, transcribed and encoded, scored."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.comments.comment import Comment
from kuaihl.engines.events import Event
from kuaihl.models.features import SegmentFeatures

SAMPLE_RATE = 16_000  # Hz, mono, what Whisper and the voice-activity detector read
FRAMES_PER_SEGMENT = 3
SEGMENT_SECONDS = 30.0

RgbImage = NDArray[np.uint8]  # [H, W, 3]
Audio = NDArray[np.float32]  # [samples] at SAMPLE_RATE, in [-1, 1]


@dataclass(frozen=True)
class Frame:
    """One decoded frame; `time` is its PTS in seconds on the stream's monotonic clock."""

    time: float
    image: RgbImage


@dataclass(frozen=True)
class Segment:
    """A consecutive slice of the stream; all times in seconds on its monotonic clock, which starts at 0."""

    index: int
    start: float
    end: float
    frames: tuple[Frame, ...]  # FRAMES_PER_SEGMENT, or none where the stream has no video
    audio: Audio  # empty where the stream has no audio
    comments: tuple[Comment, ...] = ()
    has_chat: bool = False  # comments are read, so that none means that nobody wrote
    transcribe: bool = True  # False if the machine has no time for its words
    events: tuple[Event, ...] = ()  # faults that fell in this segment
    keyframe_times: tuple[float, ...] = ()  # where a clip may be cut without re-encoding
    gap: bool = False  # media time is missing inside or right before this segment
    wall_time: float = 0.0  # seconds since the epoch at which the segment was complete


@dataclass(frozen=True)
class Sentence:
    """A stretch of speech; times in seconds on the stream's clock."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Transcript:
    """What was said in one segment; weak text shows in a high `no_speech_prob` or a low `avg_logprob`."""

    text: str = ""
    sentences: tuple[Sentence, ...] = ()
    language: str | None = None
    no_speech_prob: float | None = None
    avg_logprob: float | None = None


@dataclass(frozen=True)
class EncodedSegment:
    """A segment after the encoders: frames and audio are gone, features and words are here."""

    index: int
    start: float
    end: float
    features: SegmentFeatures
    transcript: Transcript
    comments: tuple[Comment, ...] = ()
    events: tuple[Event, ...] = ()
    keyframe_times: tuple[float, ...] = ()
    gap: bool = False
    wall_time: float = 0.0


@dataclass(frozen=True)
class ScoredSegment:
    """One line of scores.jsonl. `score` is the predicted LVTR of the NEXT segment, [predicts_start, predicts_end].

    `interest` is the estimated LVTR of this segment itself, None from a network without that output.
    """

    segment: int
    start: float
    end: float
    predicts_start: float
    predicts_end: float
    score: float
    text: str
    comments: int
    gap: bool  # the look-back window spans a gap
    wall_time: float
    interest: float | None = None
    sentences: tuple[Sentence, ...] = field(default=(), repr=False)
    keyframe_times: tuple[float, ...] = field(default=(), repr=False)
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Highlight:
    """A span of the stream that the scores single out; seconds on the stream's clock."""

    start: float
    end: float
    score: float  # the span's peak
    segments: tuple[int, ...]  # the segments the span covers
    text: str = ""  # the words spoken in it
