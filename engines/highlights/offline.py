"""Highlights of a finished stream: all scores in, the outstanding spans out, in order of time.

Peaks of a curve with enough prominence grow over their neighbours. Lesser peaks inside a taken span are suppressed, and
touching spans merge. If the network has both outputs, the curve is the rate of each segment with hindsight
(kuaihl.engines.highlights.hindsight), drawn at the segment itself.

Without `interest`, the curve is the score made after segment i, drawn at the segment i+1 that it predicts. In practice
it lags: recent events raise a score, and no output rates the present segment itself. So a highlight begins one segment
earlier, at the one after which the score was made.
"""

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, quantiles

from kuaihl.engines.highlights.curve import (
    Stretch,
    curve_of,
    missing_spans,
    segments_in,
    words_in,
)
from kuaihl.engines.highlights.hindsight import interests_of
from kuaihl.engines.types import SAME_TIME, Highlight, ScoredSegment
from kuaihl.models.errors import UsageError

_MIN_PROMINENCE = 0.02  # of predicted LVTR: a peak is at least two points above its surroundings and the median …
_RANGE_SHARE = 0.6  # … and at least this share of the curve's usual range, 10th to 90th percentile …
_JITTER_TIMES = 5.0  # … and at least this many standard deviations of its jitter from score to score,
_JITTER_NEEDS = 12  # which takes at least this many scores to measure
_GROWTH_SHARE = 0.5  # a neighbour belongs to a peak at or above this share of its height over saddle and median


@dataclass(frozen=True)
class _Span:
    """The stretches first … last (inclusive) and the score of the peak that they grew from."""

    first: int
    last: int
    score: float


def find_highlights(
    scored: Sequence[ScoredSegment],
    *,
    top: int | None = None,
    min_score: float | None = None,
    min_seconds: float = 10.0,
    max_seconds: float = 120.0,
) -> list[Highlight]:
    """The highlights of a finished stream, in order of time; none overlap, none spans a gap.

    scored: every segment, in order; if all have `interest`, both outputs choose, else the scores. top: at most this
    many, the highest. min_score: the lowest score allowed. Without both, only peaks that stand out from the curve's own
    ups and downs count. Lengths lie in [min_seconds, max_seconds]. A flat curve gives none.
    Raises UsageError if the limits contradict each other.
    """
    curve = curve_of(scored)
    found = find_on_curve(curve, scored, top=top, min_score=min_score, min_seconds=min_seconds, max_seconds=max_seconds)
    return _led_in(found, scored, max_seconds) if interests_of(scored) is None else found


def chosen_from(scored: Sequence[ScoredSegment]) -> tuple[str, ...]:
    """The outputs that `find_highlights` chooses from: "score", and "interest" too if all segments have it."""
    return ("score",) if interests_of(scored) is None else ("score", "interest")


def find_on_curve(
    curve: Sequence[Stretch],
    scored: Sequence[ScoredSegment],
    *,
    top: int | None = None,
    min_score: float | None = None,
    min_seconds: float = 10.0,
    max_seconds: float = 120.0,
) -> list[Highlight]:
    """The highlights of a curve over the segments `scored`; otherwise as `find_highlights`."""
    if not 0.0 <= min_seconds <= max_seconds or max_seconds == 0.0:
        raise UsageError("a highlight's minimum length cannot be above its maximum length")
    prominences = peak_prominences([one.score for one in curve])
    # A given number or lowest score sets the bar; then the curve's usual ups and downs do not matter.
    chosen = top is not None or min_score is not None
    needed = _MIN_PROMINENCE if chosen else _needed_prominence([one.score for one in curve])
    peaks = [peak for peak, prominence in prominences.items() if prominence >= needed]
    peaks.sort(key=lambda peak: (-curve[peak].score, peak))
    usual = median(one.score for one in curve) if curve else 0.0
    if not chosen:  # an ordinary stretch before a lull is prominent, but still ordinary
        peaks = [peak for peak in peaks if curve[peak].score >= usual + _MIN_PROMINENCE]
    spans: list[_Span] = []
    taken: set[int] = set()
    for peak in peaks:
        if peak in taken or (min_score is not None and curve[peak].score < min_score):
            continue
        height = min(prominences[peak], max(curve[peak].score - usual, _MIN_PROMINENCE))
        floor = curve[peak].score - (1.0 - _GROWTH_SHARE) * height
        span = _grow(curve, peak, floor, taken, min_seconds, max_seconds)
        if span is not None:
            spans.append(span)
            taken.update(range(span.first, span.last + 1))
    spans = _merge_touching(curve, sorted(spans, key=lambda span: span.first), max_seconds)
    best = sorted(spans, key=lambda span: (-span.score, span.first))[:top]
    return [
        _highlight_at(scored, *_limit_span(curve, span, max_seconds), span.score)
        for span in sorted(best, key=lambda span: span.first)
    ]


def _highlight_at(scored: Sequence[ScoredSegment], start: float, end: float, score: float) -> Highlight:
    """A highlight with the segments that it covers and the words spoken in it."""
    return Highlight(start, end, score, segments_in(scored, start, end), words_in(scored, start, end))


def peak_prominences(scores: Sequence[float]) -> dict[int, float]:
    """Index of each peak to its prominence: its height above the higher of the two saddles towards higher peaks.

    The highest peak has no higher one and rises from the lowest score. A plateau is one peak, at its middle. A flat
    curve has no peak.
    """
    if not scores or (bottom := min(scores)) == max(scores):
        return {}
    prominences = {}
    first = 0
    while first < len(scores):
        last = first
        while last + 1 < len(scores) and scores[last + 1] == scores[first]:
            last += 1
        left, right = range(first - 1, -1, -1), range(last + 1, len(scores))
        if all(not side or scores[side[0]] < scores[first] for side in (left, right)):
            saddles = [_find_saddle(scores, side, scores[first]) for side in (left, right)]
            lowest = max((low for low in saddles if low is not None), default=bottom)
            prominences[(first + last) // 2] = scores[first] - lowest
        first = last + 1
    return prominences


def _find_saddle(scores: Sequence[float], way: range, height: float) -> float | None:
    """The lowest score on the way to one above `height`, or None if there is no higher one on the way."""
    lowest = height
    for index in way:
        if scores[index] > height:
            return lowest
        lowest = min(lowest, scores[index])
    return None


def _needed_prominence(scores: Sequence[float]) -> float:
    """The prominence that a peak needs: more than the floor, the curve's usual ups and downs, and its jitter."""
    if len(scores) < 2:
        return _MIN_PROMINENCE
    deciles = quantiles(scores, n=10, method="inclusive")
    # The median step ignores bursts, which are few; 1.4826 makes it a standard deviation.
    jitter = 1.4826 / math.sqrt(2.0) * median(abs(after - before) for before, after in pairwise(scores))
    if len(scores) < _JITTER_NEEDS:
        jitter = 0.0
    return max(_MIN_PROMINENCE, _RANGE_SHARE * (deciles[-1] - deciles[0]), _JITTER_TIMES * jitter)


def _grow(
    curve: Sequence[Stretch],
    peak: int,
    floor: float,
    taken: AbstractSet[int],
    min_seconds: float,
    max_seconds: float,
) -> _Span | None:
    """The span of a peak: neighbours not below the floor, and also lower ones up to the minimum length.

    Spans that higher peaks took stay theirs. None if they, gaps and the stream's ends leave too little room.
    """
    first = last = peak
    while True:
        neighbours = []
        if first > 0 and not curve[first].after_gap and first - 1 not in taken:
            neighbours.append(first - 1)
        if last + 1 < len(curve) and not curve[last + 1].after_gap and last + 1 not in taken:
            neighbours.append(last + 1)
        if not neighbours:
            break
        best = max(neighbours, key=lambda index: curve[index].score)
        short = _measure_span(curve, first, last) < min_seconds - SAME_TIME
        longer = _measure_span(curve, min(first, best), max(last, best))
        if not short and (curve[best].score < floor or longer > max_seconds + SAME_TIME):
            break
        first, last = min(first, best), max(last, best)
    span = _Span(first, last, curve[peak].score)
    return span if _measure_span(curve, first, last) >= min_seconds - SAME_TIME else None


def _merge_touching(curve: Sequence[Stretch], spans: Sequence[_Span], max_seconds: float) -> list[_Span]:
    """Spans (in order), with touching ones joined if no gap lies between and the maximum length allows."""
    merged: list[_Span] = []
    for span in spans:
        before = merged[-1] if merged else None
        if (
            before is not None
            and before.last + 1 == span.first
            and not curve[span.first].after_gap
            and _measure_span(curve, before.first, span.last) <= max_seconds + SAME_TIME
        ):
            merged[-1] = _Span(before.first, span.last, max(before.score, span.score))
        else:
            merged.append(span)
    return merged


def _measure_span(curve: Sequence[Stretch], first: int, last: int) -> float:
    """Seconds from the start of stretch `first` to the end of stretch `last`."""
    return curve[last].end - curve[first].start


def _limit_span(curve: Sequence[Stretch], span: _Span, max_seconds: float) -> tuple[float, float]:
    """Start and end of a span; if its whole stretches exceed the maximum, the lower end is cut."""
    start, end = curve[span.first].start, curve[span.last].end
    if curve[span.first].score < curve[span.last].score:
        return max(start, end - max_seconds), end
    return start, min(end, start + max_seconds)


def _led_in(found: Sequence[Highlight], scored: Sequence[ScoredSegment], max_seconds: float) -> list[Highlight]:
    """Highlights begun one segment earlier, or at the end of a gap in it, if another highlight and the length allow."""
    missing = missing_spans(scored)
    highlights: list[Highlight] = []
    for one in found:
        free = max(highlights[-1].end if highlights else 0.0, one.end - max_seconds)
        before = next((two for two in scored if abs(two.end - one.start) <= SAME_TIME), None)
        resumed = max((end for _, end in missing if end <= one.start + SAME_TIME), default=0.0)
        start = one.start if before is None else max(before.start, resumed)
        if free - SAME_TIME <= start < one.start - SAME_TIME:
            highlights.append(_highlight_at(scored, start, one.end, one.score))
        else:
            highlights.append(one)
    return highlights


def rank_highlights(highlights: Sequence[Highlight]) -> list[int]:
    """The rank of each highlight, 1 for the highest score; the earlier of equals ranks higher."""
    order = sorted(range(len(highlights)), key=lambda index: (-highlights[index].score, highlights[index].start))
    rank_of = {index: rank for rank, index in enumerate(order, start=1)}
    return [rank_of[index] for index in range(len(highlights))]
