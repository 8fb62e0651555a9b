"""What is inside a data set: an open one in, counts a split out."""

from dataclasses import dataclass

import numpy as np

from kuaihl.models.klive import KLive
from kuaihl.models.room_checks import SPLITS


@dataclass(frozen=True)
class SplitSummary:
    """A split in numbers; what has no labels has no mean."""

    rooms: int
    streamers: int
    unknown_streamers: int  # rooms of streamers that the training split lacks, or that nobody names
    segments: int
    hours: float
    labelled: int  # segments whose label counts
    mean_label: float | None
    label_deviation: float | None


def summarise(data: KLive) -> dict[str, SplitSummary]:
    """Read the labels of every room, and no features. Raises DataError."""
    known = {room.streamer for room in data.rooms_of("train")} - {""}
    found = {}
    for split in SPLITS:
        records = data.rooms_of(split)
        labels = [all_labels[valid] for all_labels, valid in map(data.labels, records)]
        counted = np.concatenate([np.empty(0, np.float32), *labels])
        segments = sum(record.segments for record in records)
        found[split] = SplitSummary(
            rooms=len(records),
            streamers=len({record.streamer for record in records} - {""}),
            unknown_streamers=sum(record.streamer not in known for record in records),
            segments=segments,
            hours=segments * data.facts.segment_seconds / 3600,
            labelled=len(counted),
            mean_label=float(counted.mean()) if len(counted) else None,
            label_deviation=float(counted.std()) if len(counted) else None,
        )
    return found
