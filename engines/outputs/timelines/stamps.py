"""Where a span of the run's clock lies on the recording's own time stamps, which editors and players count.

The two differ from a `rebase` on. A restart of the time stamps gives two places one time; a span there has no mapping.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kuaihl.engines.outputs.highlights_json import EventEntry
from kuaihl.engines.types import SAME_TIME


@dataclass(frozen=True)
class Stretch:
    """A stretch of the run without a jump; times in seconds, `stamp` from the recording's first time stamp."""

    start: float
    end: float  # infinite for the last one
    stamp: float | None  # of its start; None if no event says it

    @property
    def stamps(self) -> tuple[float, float]:
        """Its span on the recording's own time stamps; everywhere if unknown."""
        return (-math.inf, math.inf) if self.stamp is None else (self.stamp, self.stamp + self.end - self.start)


def stretches_of(events: Iterable[EventEntry], duration: float) -> list[Stretch]:
    """The stretches of a run of `duration` seconds, in order of time; one if its time stamps never jumped."""
    jumps = [(0.0, 0.0), *((one["time"], one.get("stamp")) for one in events if one["kind"] == "rebase")]
    ends = [time for time, _ in jumps[1:]] + [max(duration, jumps[-1][0])]
    return [Stretch(start, end, stamp) for (start, stamp), end in zip(jumps, ends, strict=True)]


def own_span(start: float, end: float, stretches: Sequence[Stretch]) -> tuple[float, float] | None:
    """The span in seconds from the recording's first time stamp; of one across a jump its longest part.

    None if another place of the recording has the same time stamps, or if they are unknown.
    """
    if len(stretches) == 1:
        return start, end
    parts = [(max(start, one.start), min(end, one.end), one) for one in stretches]
    begin, stop, stretch = max(parts, key=lambda part: part[1] - part[0])
    if stretch.stamp is None or stop <= begin:
        return None
    first = begin - stretch.start + stretch.stamp
    last = stop - stretch.start + stretch.stamp
    others = (one.stamps for one in stretches if one is not stretch)
    if first < -SAME_TIME or any(before < last - SAME_TIME and first < after - SAME_TIME for before, after in others):
        return None
    return max(first, 0.0), last
