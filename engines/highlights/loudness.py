"""Highlights' boundaries, moved by loudness: onto where it gets loud, and where it is quiet again.

A segment of 30 s tells that something happened in it, and not when. Voices and crowds get louder with what happens, so
loudness (mean over 5 s, in dB above the recording's median) tells more exactly. A highlight's level is the mean of its
louder half. Its boundaries maximise

    the sum over its seconds of (loudness − bar)

The bar is half the level outside the chosen segments, and 0 inside them: what was chosen needs a reason to go, and what
was not needs one to come. Half the level divides two normal distributions, one around the level and one around usual
loudness. No second counts for more than the level, either way. A boundary that moves leaves a margin of two seconds.

A highlight that is hardly louder than the recording stays as it is. Comments move nothing: they come late, and by how
much differs (docs/benchmarks.md has the measurements).
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.highlights.curve import barriers_around, gap_edges, segments_in, words_in
from kuaihl.engines.highlights.snapping import REACH
from kuaihl.engines.types import SAME_TIME, Highlight, ScoredSegment

_SMOOTHED = 5  # seconds: longer than a pause between two sentences
_MARGIN = 2.0  # seconds, half of that: by so much a rise or a fall may be misplaced
_STANDS_OUT = 3.0  # dB: a level of twice the usual power
_OUTSIDE_BAR = 0.5  # of the level
_ROUNDING = 1e-6  # dB; sums that differ by less are equal

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LoudSeconds:
    """How loud a recording is: T steps in order of time, which are seconds unless it is told otherwise."""

    starts: _Floats  # [T] seconds
    levels: _Floats  # [T] dB above the recording's median


def fit_to_loudness(
    highlights: Sequence[Highlight], scored: Sequence[ScoredSegment], *, min_seconds: float, max_seconds: float
) -> list[Highlight]:
    """The highlights (in order of time) with boundaries moved by loudness; as they are if a segment has none.

    With the REACH of sentences and keyframes, a boundary moves by a segment at most. Highlights still neither overlap
    nor cross a gap, and stay within the limits of length if they were before.
    """
    heard = measure_seconds(scored)
    if heard is None or not highlights:
        return list(highlights)
    reach = median(one.end - one.start for one in scored) - REACH - _MARGIN
    barriers = sorted([scored[0].start, *gap_edges(scored), max(one.end for one in scored)])
    fitted: list[Highlight] = []
    for index, one in enumerate(highlights):
        floor, ceiling = barriers_around(barriers, one.start, one.end)
        if fitted:
            floor = max(floor, fitted[-1].end)
        if index + 1 < len(highlights):
            ceiling = min(ceiling, highlights[index + 1].start)
        length = one.end - one.start
        shortest, longest = min(min_seconds, length), max(max_seconds, length)
        start, end = fit_span(heard, (one.start, one.end), (floor, ceiling), reach, (shortest, longest))
        if (start, end) == (one.start, one.end):
            fitted.append(one)
            continue
        words = words_in(scored, start, end) or one.text
        fitted.append(replace(one, start=start, end=end, segments=segments_in(scored, start, end), text=words))
    return fitted


def measure_seconds(scored: Sequence[ScoredSegment]) -> LoudSeconds | None:
    """The loudness of every second, smoothed; None if a segment has none."""
    if not scored or not all(one.loudness for one in scored):
        return None
    starts: list[float] = []
    values: list[float] = []
    for one in scored:
        known = one.loudness[: max(math.ceil(one.end - one.start), 1)]
        starts += [one.start + second for second in range(len(known))]
        values += known
    return above_usual(np.array(starts), np.array(values), _SMOOTHED)


def above_usual(starts: _Floats, values: _Floats, smoothed: int) -> LoudSeconds:
    """The mean over `smoothed` steps around each of T [T], less the median of all; steps in order of time."""
    window = np.ones(min(smoothed, len(values)))
    levels = np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")
    return LoudSeconds(starts, levels - np.median(levels))


def fit_span(
    heard: LoudSeconds,
    chosen: tuple[float, float],
    within: tuple[float, float],
    reach: float,
    length: tuple[float, float],
) -> tuple[float, float]:
    """The best start and end for a chosen span; all in seconds.

    They lie in `within`, and move by `reach` and the margin at most. Their distance stays in the limits of `length`, if
    it was there. The loudest second of the chosen span stays inside.
    """
    first, last = np.searchsorted(heard.starts, chosen)
    if reach <= 0.0 or last <= first:
        return chosen
    inside = heard.levels[first:last]
    level = float(np.sort(inside)[len(inside) // 2 :].mean())
    if level < _STANDS_OUT:
        return chosen
    loudest = int(first + np.argmax(inside))
    after_loudest = float(heard.starts[loudest + 1]) if loudest + 1 < len(heard.starts) else chosen[1]
    kept = (heard.starts >= chosen[0]) & (heard.starts < chosen[1])
    over_bar = np.clip(heard.levels, -level, level) - np.where(kept, 0.0, _OUTSIDE_BAR * level)
    before = np.concatenate([[0.0], np.cumsum(over_bar)])  # [T + 1], the sum of all earlier steps
    (start, end), (floor, ceiling), (shortest, longest) = chosen, within, length
    latest = min(end + reach, ceiling, start + longest)
    if (best := _best(heard.starts, before, end, max(end - reach, after_loudest), latest)) != end:
        end = min(best + _MARGIN, ceiling, start + longest)
    earliest = max(start - reach, floor, end - longest)
    if (best := _best(heard.starts, -before, start, earliest, min(start + reach, heard.starts[loudest]))) != start:
        start = max(best - _MARGIN, floor, end - longest)
    if end - start < shortest:
        end = min(start + shortest, ceiling)
        start = min(start, end - shortest)
    return start, end


def _best(starts: _Floats, gains: _Floats, now: float, earliest: float, latest: float) -> float:
    """The step's start in [earliest, latest] with the highest gain; `now`, if none is higher than there."""
    low, high = bisect_left(starts, earliest), bisect_left(starts, latest + SAME_TIME)
    here = gains[bisect_left(starts, now)]
    if low >= high:
        return now
    top = low + int(np.argmax(gains[low:high]))
    return float(starts[top]) if gains[top] > here + _ROUNDING else now
