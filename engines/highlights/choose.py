"""The highlights of a finished stream that meet a choice."""

import math
from collections.abc import Sequence

from kuaihl.engines.highlights.choice import Choice
from kuaihl.engines.highlights.loudness import fit_to_loudness
from kuaihl.engines.highlights.offline import find_highlights
from kuaihl.engines.highlights.padding import pad_highlights
from kuaihl.engines.highlights.snapping import snap_highlights
from kuaihl.engines.types import Highlight, ScoredSegment

_HOUR = 3600.0


def choose_highlights(scored: Sequence[ScoredSegment], choice: Choice) -> list[Highlight]:
    """The wanted highlights of a finished stream, in order of time, their boundaries moved to better cuts."""
    least, most = choice.length
    found = find_highlights(
        scored, top=_most_highlights(scored, choice), min_score=choice.min_score, min_seconds=least, max_seconds=most
    )
    if choice.boundaries == "loudness":
        found = fit_to_loudness(found, scored, min_seconds=least, max_seconds=most)
    if choice.boundaries != "segments":
        found = snap_highlights(found, scored, min_seconds=least, max_seconds=most)
    return pad_highlights(found, scored, choice.padding, overlap=choice.overlap)


def _most_highlights(scored: Sequence[ScoredSegment], choice: Choice) -> int | None:
    """The number of highlights that `top` and `per_hour` both allow; None if neither is set."""
    if choice.per_hour is None:
        return choice.top
    hours = sum(one.end - one.start for one in scored) / _HOUR
    allowed = max(1, math.floor(choice.per_hour * hours + 0.5))
    return allowed if choice.top is None else min(choice.top, allowed)
