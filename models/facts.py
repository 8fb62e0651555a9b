"""Facts that data sets and bundles record of themselves: encoders, labels, rooms."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kuaihl.models.signals import SignalsFacts

MIN_VIEWS = 60  # labels of fewer impressions are masked


@dataclass(frozen=True)
class EncoderFacts:
    """An encoder whose features the head was trained on: another one's would mean nothing to it."""

    role: str  # "vision", "text" or "speech"
    name: str
    revision: str  # a package's version or a hub revision
    sha256: str  # of its weight file; "" where it is not known


@dataclass(frozen=True)
class LabelFacts:
    """What a score predicts."""

    name: str = "LVTR"
    definition: str = "impressions of the next segment watched for more than 60 s / all its impressions"
    min_views: int = MIN_VIEWS  # labels from fewer impressions were masked
    source: str = ""  # where the labels came from, e.g. "simulated"


@dataclass(frozen=True)
class DataSetFacts:
    """What holds for all rooms of a data set; stored in `dataset.json`."""

    profile: str  # which encoders, by the name of their profile
    encoders: tuple[EncoderFacts, ...]
    segment_seconds: float
    label: LabelFacts
    visual_width: int  # d_v
    text_width: int  # d_t
    patches: int  # P visual tokens per segment
    signals: SignalsFacts | None = None  # what the columns of `signals` are; None in a data set without
    licence: str = ""
    ceiling: Mapping[str, Any] | None = None  # what label noise allows, where the true rate is known


@dataclass(frozen=True, slots=True)
class RoomRecord:
    """A row of `rooms.parquet`."""

    id: str
    streamer: str  # "" where nobody knows
    segments: int  # S
    split: str
    start_time: datetime | None = None
