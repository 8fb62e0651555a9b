"""Peaks that were nearly highlights: a choice and its highlights in, the best peaks beside them out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kuaihl.engines.highlights.choice import Choice
from kuaihl.engines.highlights.choose import choose_highlights
from kuaihl.engines.types import Highlight, ScoredSegment

_LOWEST = 0.0  # a lowest score that every peak reaches


@dataclass(frozen=True)
class NearMiss:
    """A peak that is no highlight, and the reason in words."""

    peak: Highlight
    reason: str


def near_misses(
    scored: Sequence[ScoredSegment], highlights: Sequence[Highlight], choice: Choice, *, most: int = 5
) -> list[NearMiss]:
    """The best peaks outside the highlights, at most so many, best first."""
    every = choose_highlights(scored, replace(choice, top=None, per_hour=None, min_score=_LOWEST, padding=(0.0, 0.0)))
    free = [one for one in every if not any(one.start < taken.end and taken.start < one.end for taken in highlights)]
    free.sort(key=lambda one: (-one.score, one.start))
    return [NearMiss(one, _reason(one, choice)) for one in free[:most]]


def _reason(peak: Highlight, choice: Choice) -> str:
    if choice.min_score is not None and peak.score < choice.min_score:
        return f"below the lowest score asked for, {choice.min_score:.3f}"
    if choice.top is not None or choice.per_hour is not None:
        return "only the best were asked for, and this is not among them"
    return "stands out too little from this recording's own ups and downs"
