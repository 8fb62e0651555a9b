"""Rates over media time: scored segments in, a curve of stretches out, split at gaps; also the contents of a span."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from kuaihl.engines.highlights.hindsight import hindsight_rates, interests_of
from kuaihl.engines.types import SAME_TIME, ScoredSegment

Spans = Sequence[tuple[float, float]]  # start and end in seconds, in order of time, apart from each other


@dataclass(frozen=True)
class Stretch:
    """A stretch of media and the rate that a score, or hindsight, gives it."""

    start: float
    end: float
    score: float
    after_gap: bool  # media is missing right before it: no highlight may reach across


def curve_of(scored: Sequence[ScoredSegment]) -> list[Stretch]:
    """The curve that highlights are chosen from: with hindsight if all segments have `interest`, else the scores."""
    interests = interests_of(scored)
    return predicted_curve(scored) if interests is None else hindsight_curve(scored, interests)


def hindsight_curve(scored: Sequence[ScoredSegment], interests: Sequence[float]) -> list[Stretch]:
    """The rate of each segment [S] with hindsight, from scores and interests, placed at the segment itself."""
    missing = missing_spans(scored)
    follows = [not is_missing(missing, one.start) for one in scored]
    return own_curve(scored, hindsight_rates([one.score for one in scored], interests, follows))


def own_curve(scored: Sequence[ScoredSegment], rates: Sequence[float]) -> list[Stretch]:
    """A rate per segment [S], placed at the media of the segment itself."""
    missing = missing_spans(scored)
    return [
        stretch
        for one, rate in zip(scored, rates, strict=True)
        for stretch in _present_stretches(missing, one.start, one.end, rate)
    ]


def predicted_curve(scored: Sequence[ScoredSegment], duration: float | None = None) -> list[Stretch]:
    """The scores at the media that they predict, in order of time, without missing media and cut at the stream's end.

    The score made after segment i goes to the media of segment i+1. The last one predicts time after the end, and is
    left out unless the stream goes on according to `duration`.
    """
    stream_end = duration if duration is not None else max((one.end for one in scored), default=0.0)
    missing = missing_spans(scored)
    curve = []
    for index, one in enumerate(scored):
        following = scored[index + 1] if index + 1 < len(scored) else None
        if following is None:
            start, end = one.predicts_start, one.predicts_end
        elif following.segment == one.segment + 1:
            start, end = following.start, following.end
        else:  # the segment that this score predicts is missing
            continue
        curve += _present_stretches(missing, start, min(end, stream_end), one.score)
    return curve


def _present_stretches(missing: Spans, start: float, end: float, score: float) -> list[Stretch]:
    """The stretches of [start, end) of which there is media."""
    stretches, after_gap = [], False
    first = _first_until(missing, start)
    last = bisect_right(missing, end, lo=first, key=lambda span: span[0])
    for gap_start, gap_end in (*missing[first:last], (end, end)):
        if gap_start > start + SAME_TIME:
            stretches.append(Stretch(start, gap_start, score, after_gap))
        start, after_gap = max(start, gap_end), True
    return stretches


def missing_spans(scored: Sequence[ScoredSegment]) -> list[tuple[float, float]]:
    """Where media is missing, in order of time: from the events, and wherever a segment does not follow the last.

    A span without length marks missing media of which only the place is known.
    """
    gaps = [event for one in scored for event in one.events if event.kind == "gap"]
    spans = [(gap.time, max(gap.time, gap.until or 0.0)) for gap in gaps]
    spans += [(min(one.end, after.start), after.start) for one, after in pairwise(scored) if _jumps(one, after)]
    known = _joined(spans)
    # The flag stays up while the gap is in the look-back window: media is missing only where it goes up.
    unexplained = [
        (after.start, after.start)
        for before, after in pairwise(scored)
        if after.gap and not before.gap and not any(event.kind == "gap" for event in after.events)
        if not is_missing(known, after.start)
    ]
    return _joined([*known, *unexplained])


def _jumps(before: ScoredSegment, after: ScoredSegment) -> bool:
    return abs(after.start - before.end) > SAME_TIME or after.segment != before.segment + 1


def _joined(spans: Spans) -> list[tuple[float, float]]:
    """The same time in spans that do not touch."""
    joined: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _first_until(missing: Spans, time: float) -> int:
    """The first span that does not end before a time."""
    return bisect_left(missing, time - SAME_TIME, key=lambda span: span[1])


def gap_edges(scored: Sequence[ScoredSegment]) -> list[float]:
    """The two ends of each span of missing media, in order; no highlight may reach across one."""
    return sorted({time for span in missing_spans(scored) for time in span})


def barriers_around(barriers: Sequence[float], start: float, end: float) -> tuple[float, float]:
    """The nearest barriers (in order) on both sides of a span; its own start or end if there is none."""
    before, after = bisect_right(barriers, start), bisect_left(barriers, end)
    return (
        barriers[before - 1] if before else start,
        barriers[after] if after < len(barriers) else end,
    )


def is_missing(missing: Spans, time: float) -> bool:
    """Whether media is missing at a time, or right before it."""
    first = _first_until(missing, time)
    return first < len(missing) and missing[first][0] - SAME_TIME <= time


def segments_in(scored: Sequence[ScoredSegment], start: float, end: float) -> tuple[int, ...]:
    """The segments (in order of time) whose media overlaps [start, end)."""
    return tuple(one.segment for one in _overlapping(scored, start, end))


def _overlapping(scored: Sequence[ScoredSegment], start: float, end: float) -> Sequence[ScoredSegment]:
    first = bisect_right(scored, start, key=lambda one: one.end)
    return scored[first : bisect_left(scored, end, lo=first, key=lambda one: one.start)]


def words_in(scored: Sequence[ScoredSegment], start: float, end: float) -> str:
    """The words spoken in [start, end), in order.

    A sentence counts if its middle is inside; a segment whose sentences have no times counts as a whole.
    """
    words = []
    for one in _overlapping(scored, start, end):
        if one.sentences:
            words += [said.text for said in one.sentences if start <= (said.start + said.end) / 2 < end]
        elif start <= (one.start + one.end) / 2 < end:
            words.append(one.text)
    return " ".join(filter(None, (word.strip() for word in words)))
