"""The data between the steps: comments, events, segments, scored segments and highlights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.features import Float16, SegmentFeatures

SAMPLE_RATE = 16_000  # Hz, mono; the input of Whisper and the voice-activity detector
FRAMES_PER_SEGMENT = 3
SEGMENT_SECONDS = 30.0
SAME_TIME = 1e-3  # seconds; containers round times to the millisecond

RgbImage = NDArray[np.uint8]  # [H, W, 3]
Thumbnail = NDArray[np.int16]  # [ROWS, COLUMNS, 3] of encoders/signals/pictures.py, 0 to 255
Audio = NDArray[np.float32]  # [samples] at SAMPLE_RATE, in [-1, 1]


@dataclass(frozen=True)
class Frame:
    """One decoded frame; `time` is its PTS in seconds on the stream's monotonic clock."""

    time: float
    image: RgbImage


EventKind = Literal[
    "gap",  # media time is missing from the stream
    "rebase",  # timestamps jumped or restarted and were moved onto the monotonic clock
    "header_change",  # codec, resolution or sample rate changed mid-stream
    "replay_dropped",  # a server repeated its tail after a reconnect; the repeats were dropped
    "reconnect",  # the connection was lost and re-established
    "corrupt",  # packets that could not be decoded were skipped
    "overload",  # a stage fell behind and dropped work by its rule
    "comments",  # the comments cannot be read, or can be read again
    "eof",  # the stream ended
]


@dataclass(frozen=True, slots=True)
class Event:
    """One fault: its kind, the media time in seconds at which it shows, and a line for the user."""

    kind: EventKind
    time: float
    detail: str
    until: float | None = None  # of a gap: the media time at which the stream goes on
    stamp: float | None = None  # of a rebase: the source's own time there, in seconds from its first time stamp


CommentKind = Literal["chat", "gift", "like", "join"]


@dataclass(frozen=True, slots=True)
class Comment:
    """A viewer's message: `time` in seconds from the start of the stream."""

    time: float
    text: str
    author: str | None = None
    kind: CommentKind = "chat"
    value: float | None = None  # price paid for it, in the platform's own unit; None if nothing or unknown


@dataclass(frozen=True)
class MediaFacts:
    """What an editor must know of a recording: its path, its frames and their time code."""

    path: str  # absolute
    rate: Fraction  # frames per second; of sound alone, a rate to count its time in
    frames: int = 0  # in the recording, at `rate`; 0 if unknown
    varies: bool = False  # frames are not evenly spaced: `rate` is the nearest usual one
    start_code: str = ""  # the time code of the first frame, as in the file: `01:00:00;00`, empty if it has none
    lead: float = 0.0  # seconds from the earliest time stamp to the first frame
    width: int = 0  # of the picture, as is the height; 0 without one
    height: int = 0
    audio_rate: int = 0  # Hz; 0 without sound, as the channels
    channels: int = 0

    @property
    def has_video(self) -> bool:
        return self.width > 0


@dataclass(frozen=True, slots=True)
class SeekPoint:
    """A keyframe from which a file can be read again; times in seconds."""

    byte: int  # of the file, at which its packet begins
    time: float  # when it is shown, on the stream's monotonic clock
    shift: float  # from the source's own clock to that one


@dataclass(frozen=True)
class Segment:
    """A consecutive slice of the stream; all times in seconds on its monotonic clock, which starts at 0."""

    index: int
    start: float
    end: float
    frames: tuple[Frame, ...]  # FRAMES_PER_SEGMENT, or empty if the stream has no video
    audio: Audio  # empty if the stream has no audio
    comments: tuple[Comment, ...] = ()
    has_chat: bool = False  # comments are read: if there are none, nobody wrote
    transcribe: bool = True  # False if the machine has no time to transcribe it
    events: tuple[Event, ...] = ()  # faults that fell in this segment
    keyframe_times: tuple[float, ...] = ()  # where a clip may be cut without re-encoding
    seek: SeekPoint | None = None  # the first of them that the file can be read from
    gap: bool = False  # media time is missing inside or right before this segment
    wall_time: float = 0.0  # seconds since the epoch at which the segment was complete


@dataclass(frozen=True, slots=True)
class Sentence:
    """A stretch of speech; times in seconds on the stream's clock."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Transcript:
    """The speech of one segment; a high `no_speech_prob` or a low `avg_logprob` marks doubtful text."""

    text: str = ""
    sentences: tuple[Sentence, ...] = ()
    language: str | None = None
    no_speech_prob: float | None = None
    avg_logprob: float | None = None


@dataclass(frozen=True)
class SmallPicture:
    """A decoded frame in the size for a page: `time` in seconds on the stream's clock, and a WebP file."""

    time: float
    webp: bytes


@dataclass(frozen=True)
class PartialTexts:
    """The text vector of a segment [d_t] with one of its two sources left out."""

    without_speech: Float16
    without_comments: Float16


@dataclass(frozen=True)
class EncodedSegment:
    """A segment after the encoders: features and words replace frames and audio."""

    index: int
    start: float
    end: float
    features: SegmentFeatures
    transcript: Transcript
    comments: tuple[Comment, ...] = ()
    events: tuple[Event, ...] = ()
    keyframe_times: tuple[float, ...] = ()
    seek: SeekPoint | None = None
    loudness: tuple[float, ...] = ()  # of each second from its start, in dBFS; empty without sound
    gap: bool = False
    wall_time: float = 0.0
    last_picture: Thumbnail | None = None  # of this segment, or of one before it if this one has none
    partial_texts: PartialTexts | None = None  # like the pictures, only if a report is wanted
    pictures: tuple[SmallPicture, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoredSegment:
    """One line of scores.jsonl. `score` is the predicted LVTR of the NEXT segment, [predicts_start, predicts_end].

    `interest` is the estimated LVTR of this segment itself, None if the network lacks that output.
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
    seek: SeekPoint | None = field(default=None, repr=False)
    loudness: tuple[float, ...] = field(default=(), repr=False)  # of each second, in dBFS; empty if unknown
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Highlight:
    """A span of the stream that the scores single out; times in seconds on the stream's clock."""

    start: float
    end: float
    score: float  # the span's peak
    segments: tuple[int, ...]  # the segments the span covers
    text: str = ""  # the words spoken in it


class CommentFeed(Protocol):
    """Comments in order of time, taken once per segment for consecutive spans. It never raises."""

    has_chat: bool  # comments are read: if there are none, nobody wrote

    def take(self, start: float, end: float) -> tuple[Comment, ...]:
        """The comments of [start, end), in seconds of the stream's clock."""
        ...

    def take_events(self, now: float) -> Sequence[Event]:
        """What happened to the comments since the last call, at `now` on the stream's clock."""
        ...


class FrameFinder(Protocol):
    """Random access to a finished file: exact frames."""

    def frames_at(self, instants: Sequence[float]) -> Sequence[Frame]:
        """The frame shown at each instant, in seconds of the stream's clock. Raises SourceError."""
        ...
