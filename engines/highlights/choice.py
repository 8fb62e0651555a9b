"""Which highlights are wanted: a choice, and the highlights of a finished stream that meet it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kuaihl.engines.highlights.offline import find_highlights
from kuaihl.engines.highlights.padding import pad_highlights
from kuaihl.engines.highlights.snapping import snap_highlights
from kuaihl.engines.types import Highlight, ScoredSegment
from kuaihl.models.errors import UsageError

_HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which highlights are wanted, and how long. Raises UsageError for values that no highlight can meet."""

    top: int | None = None  # at most this many highlights
    min_score: float | None = None  # the lowest score of a highlight
    length: tuple[float, float] = (10.0, 120.0)  # least and most seconds, without padding
    padding: tuple[float, float] = (0.0, 0.0)  # seconds added before and after a highlight
    per_hour: float | None = None  # at most this many per hour of scored media, and one in any case
    overlap: bool = True  # padded highlights may share seconds

    def __post_init__(self) -> None:
        least, most = self.length
        if not 0.0 <= least <= most < math.inf or most == 0.0:
            raise UsageError(f"not from a least to a most length: {least:g} s to {most:g} s", setting="length")
        if not all(0.0 <= seconds < math.inf for seconds in self.padding):
            raise UsageError("not two times of 0 s or more: {:g} s and {:g} s".format(*self.padding), setting="padding")
        if self.per_hour is not None and not 0.0 < self.per_hour < math.inf:
            raise UsageError("not a number above 0", setting="per_hour", value=self.per_hour)


def choose_highlights(scored: Sequence[ScoredSegment], choice: Choice) -> list[Highlight]:
    """The wanted highlights of a finished stream, in order of time, their boundaries moved to better cuts."""
    least, most = choice.length
    found = find_highlights(
        scored, top=_most_highlights(scored, choice), min_score=choice.min_score, min_seconds=least, max_seconds=most
    )
    snapped = snap_highlights(found, scored, min_seconds=least, max_seconds=most)
    return pad_highlights(snapped, scored, choice.padding, overlap=choice.overlap)


def _most_highlights(scored: Sequence[ScoredSegment], choice: Choice) -> int | None:
    """The number of highlights that `top` and `per_hour` both allow; None if neither is set."""
    if choice.per_hour is None:
        return choice.top
    hours = sum(one.end - one.start for one in scored) / _HOUR
    allowed = max(1, math.floor(choice.per_hour * hours + 0.5))
    return allowed if choice.top is None else min(choice.top, allowed)
