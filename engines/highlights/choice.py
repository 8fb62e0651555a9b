"""Which highlights are wanted."""

import math
from dataclasses import dataclass
from typing import Literal

from kuaihl.models.errors import UsageError

BoundariesName = Literal["loudness", "sentences", "segments"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which highlights are wanted, and how long. Raises UsageError for values that no highlight can meet."""

    top: int | None = None  # at most this many highlights
    min_score: float | None = None  # the lowest score of a highlight
    length: tuple[float, float] = (10.0, 120.0)  # least and most seconds, without padding
    padding: tuple[float, float] = (0.0, 0.0)  # seconds added before and after a highlight
    per_hour: float | None = None  # at most this many per hour of scored media, and one in any case
    overlap: bool = True  # padded highlights may share seconds
    boundaries: BoundariesName = "sentences"  # what moves start and end; nothing does with "segments"

    def __post_init__(self) -> None:
        least, most = self.length
        if not 0.0 <= least <= most < math.inf or most == 0.0:
            raise UsageError(f"not from a least to a most length: {least:g} s to {most:g} s", setting="length")
        if not all(0.0 <= seconds < math.inf for seconds in self.padding):
            raise UsageError("not two times of 0 s or more: {:g} s and {:g} s".format(*self.padding), setting="padding")
        if self.per_hour is not None and not 0.0 < self.per_hour < math.inf:
            raise UsageError("not a number above 0", setting="per_hour", value=self.per_hour)
