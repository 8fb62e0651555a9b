"""Where a recording is read for its clips: from its beginning, or from keyframes whose bytes its scoring noted."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from kuaihl.engines.highlights.cutting_points import INTERLEAVING, PAUSE
from kuaihl.engines.types import Highlight, ScoredSegment, SeekPoint


@dataclass(frozen=True)
class Reading:
    """A stretch of the recording for some highlights."""

    point: SeekPoint | None  # to begin at; None for the recording's beginning
    places: tuple[int, ...]  # of the highlights, in order of their starts


def plan_readings(highlights: Sequence[Highlight], scored: Sequence[ScoredSegment]) -> list[Reading]:
    """The readings for all highlights, in order of time. None begins before an earlier one has ended.

    Each begins so early that all sound from the keyframe at a highlight's start on comes after it in the file.
    """
    points = [one.seek for one in scored if one.seek is not None]
    keyframes = [time for one in scored for time in one.keyframe_times]
    readings: list[Reading] = []
    reached = -inf
    for place in sorted(range(len(highlights)), key=lambda place: highlights[place].start):
        start, end = highlights[place].start, highlights[place].end
        before = bisect_right(keyframes, start) - 1
        origin = keyframes[before] if before >= 0 else start
        index = bisect_right(points, origin - INTERLEAVING, key=lambda point: point.time) - 1
        point = points[index] if index >= 0 else None
        if readings and (point is None or point.time <= reached):
            readings[-1] = Reading(readings[-1].point, (*readings[-1].places, place))
        else:
            readings.append(Reading(point, (place,)))
        reached = max(reached, end + INTERLEAVING + PAUSE)
    return readings
