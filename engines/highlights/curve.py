"""Rates over media time: scored segments in, a curve of stretches out, split at gaps; also the contents of a span."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kuaihl.engines.highlights.hindsight import hindsight_rates
from kuaihl.engines.types import SAME_TIME, ScoredSegment


@dataclass(frozen=True)
class Stretch:
    """A stretch of media and the rate that a score, or hindsight, gives it."""

    start: float
    end: float
    score: float
    after_gap: bool  # media is missing right before it: no highlight may reach across


def hindsight_curve(scored: Sequence[ScoredSegment], interests: Sequence[float]) -> list[Stretch]:
    """The rate of each segment [S] with hindsight, from scores and interests, placed at the segment itself."""
    breaks = gap_times(scored)
    follows = [not any(abs(time - one.start) <= SAME_TIME for time in breaks) for one in scored]
    return own_curve(scored, hindsight_rates([one.score for one in scored], interests, follows))


def own_curve(scored: Sequence[ScoredSegment], rates: Sequence[float]) -> list[Stretch]:
    """A rate per segment [S], placed at the segment itself, split at gaps."""
    breaks = gap_times(scored)
    curve = []
    for one, rate in zip(scored, rates, strict=True):
        after_gap = any(abs(time - one.start) <= SAME_TIME for time in breaks)
        curve += _split_at(breaks, one.start, one.end, rate, after_gap=after_gap)
    return curve


def predicted_curve(scored: Sequence[ScoredSegment], duration: float | None = None) -> list[Stretch]:
    """The scores at the media that they predict, in order of time, split at gaps and cut at the stream's end.

    The score made after segment i goes to the media of segment i+1. The last one predicts time after the end, and is
    left out unless the stream goes on according to `duration`.
    """
    stream_end = duration if duration is not None else max((one.end for one in scored), default=0.0)
    breaks = gap_times(scored)
    curve = []
    for index, one in enumerate(scored):
        following = scored[index + 1] if index + 1 < len(scored) else None
        if following is None:
            start, end = one.predicts_start, one.predicts_end
        elif following.segment == one.segment + 1:
            start, end = following.start, following.end
        else:  # the segment that this score predicts is missing
            continue
        end = min(end, stream_end)
        after_gap = any(abs(time - start) <= SAME_TIME for time in breaks)
        curve += _split_at(breaks, start, end, one.score, after_gap=after_gap)
    return curve


def _split_at(breaks: Sequence[float], start: float, end: float, score: float, *, after_gap: bool) -> list[Stretch]:
    """A stretch [start, end], split if media is missing inside it."""
    inside = [time for time in breaks if start + SAME_TIME < time < end - SAME_TIME]
    return [
        Stretch(piece_start, piece_end, score, after_gap or piece_start > start)
        for piece_start, piece_end in pairwise([start, *inside, end])
        if piece_end > piece_start + SAME_TIME
    ]


def gap_times(scored: Sequence[ScoredSegment]) -> list[float]:
    """The times of missing media: from the events, and wherever one segment does not directly follow the last."""
    times = {event.time for one in scored for event in one.events if event.kind == "gap"}
    for before, after in pairwise(scored):
        jumped = abs(after.start - before.end) > SAME_TIME or after.segment != before.segment + 1
        # The flag stays up while the gap is in the look-back window: media is missing only where it goes up.
        unexplained = after.gap and not before.gap and not any(event.kind == "gap" for event in after.events)
        if jumped or unexplained:
            times.add(after.start)
    return sorted(times)


def segments_in(scored: Iterable[ScoredSegment], start: float, end: float) -> tuple[int, ...]:
    """The segments whose media overlaps [start, end)."""
    return tuple(one.segment for one in scored if one.start < end and one.end > start)


def words_in(scored: Iterable[ScoredSegment], start: float, end: float) -> str:
    """The words spoken in [start, end), in order.

    A sentence counts if its middle is inside; a segment whose sentences have no times counts as a whole.
    """
    words = []
    for one in scored:
        if one.start >= end or one.end <= start:
            continue
        if one.sentences:
            words += [said.text for said in one.sentences if start <= (said.start + said.end) / 2 < end]
        elif start <= (one.start + one.end) / 2 < end:
            words.append(one.text)
    return " ".join(filter(None, (word.strip() for word in words)))
