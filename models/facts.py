"""Facts that data sets and bundles record about themselves: encoders, labels, rooms."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kuaihl.models.signals import SignalsFacts

MIN_VIEWS = 60  # labels from fewer impressions are masked


@dataclass(frozen=True)
class EncoderFacts:
    """An encoder whose features the head was trained on; another encoder's would mean nothing to it."""

    role: str  # "vision", "text" or "speech"
    name: str
    revision: str  # a package's version or a hub revision
    sha256: str  # of its weight file; "" if unknown


@dataclass(frozen=True)
class LabelFacts:
    """The quantity that a score predicts."""

    name: str = "LVTR"
    definition: str = "impressions of the next segment watched for more than 60 s / all its impressions"
    min_views: int = MIN_VIEWS  # labels from fewer impressions were masked
    source: str = ""  # where the labels came from, e.g. "simulated"


@dataclass(frozen=True)
class DataSetFacts:
    """Facts that hold for all rooms of a data set; stored in `dataset.json`."""

    profile: str  # the name of the encoders' profile
    encoders: tuple[EncoderFacts, ...]
    segment_seconds: float
    label: LabelFacts
    visual_width: int  # d_v
    text_width: int  # d_t
    patches: int  # P visual tokens per segment
    signals: SignalsFacts | None = None  # the columns of `signals`; None in a data set without signals
    licence: str = ""
    ceiling: Mapping[str, Any] | None = None  # the limit that label noise sets, if the true rate is known


@dataclass(frozen=True, slots=True)
class RoomRecord:
    """A row of `rooms.parquet`."""

    id: str
    streamer: str  # "" if unknown
    segments: int  # S
    split: str
    start_time: datetime | None = None
