"""Highlights while the stream runs: scores go in one by one, openings and closings come out.

Hysteresis over a running quantile. A highlight opens when a score reaches a high quantile of earlier scores, and closes
when one falls below a lower quantile. If the network also outputs interest, a highlight that no score
foresaw can open at the present segment's start. It opens when the interest reaches the same quantile of earlier
interests; the score decides whether it goes on. Each decision reads only the past, in a window of fixed length, so a
step costs the same at hour 40 as at minute 20.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from kuaihl.engines.highlights.curve import segments_in, words_in
from kuaihl.engines.types import SAME_TIME, Highlight, ScoredSegment
from kuaihl.models.errors import UsageError

Reason = Literal["gap", "end", "short"]
Output = Literal["score", "interest"]


@dataclass(frozen=True)
class OnlineSettings:
    """How a highlight opens and closes; the scores are predicted LVTR, in (0, 1)."""

    open_quantile: float = 0.9  # of the past scores: at or above it a highlight opens …
    close_quantile: float = 0.7  # … and below it, it closes
    min_rise: float = 0.02  # least rise above the past median to open: noise on a flat curve does not count
    warm_up: int = 6  # scores, or interests, needed before anything opens: 3 min of 30 s segments
    window: int = 240  # past values that are remembered: 2 h of 30 s segments
    min_seconds: float = 10.0
    max_seconds: float = 120.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.close_quantile <= self.open_quantile <= 1.0:
            raise UsageError("quantiles must keep to 0 ≤ close ≤ open ≤ 1")
        if not 0.0 <= self.min_seconds <= self.max_seconds or self.max_seconds == 0.0:
            raise UsageError("a highlight's minimum length cannot be above its maximum length")
        if not 1 <= self.warm_up <= self.window:
            raise UsageError("the warm-up must be at least one score and fit into the window")


@dataclass(frozen=True)
class HighlightOpened:
    """A highlight begins at `start`: not yet on air if a score foresaw it, one segment ago if interest shows it."""

    segment: int  # after which it opened
    start: float
    score: float  # or the interest
    threshold: float  # that it had to reach
    known_by: Output = "score"


@dataclass(frozen=True)
class HighlightClosed:
    """A highlight is over; its media has passed."""

    segment: int
    highlight: Highlight


@dataclass(frozen=True)
class HighlightDropped:
    """An opened highlight came to nothing: a gap, a short segment or the stream's end left it too short."""

    segment: int
    start: float
    reason: Reason


HighlightEvent = HighlightOpened | HighlightClosed | HighlightDropped


@dataclass
class OpenHighlight:
    """A highlight that is open; `end` moves on as scores stay high."""

    start: float
    end: float
    peak: float
    segments: list[int] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


@dataclass
class Recent:
    """The last values of one output, and their quantiles."""

    values: list[float] = field(default_factory=list)  # oldest first
    ordered: list[float] = field(default_factory=list)  # the same, sorted by value

    def remember(self, value: float, window: int) -> None:
        self.values.append(value)
        insort(self.ordered, value)
        if len(self.values) > window:
            oldest = self.values.pop(0)
            del self.ordered[bisect_left(self.ordered, oldest)]

    def quantile(self, q: float) -> float:
        """The quantile by linear interpolation; minus infinity before the first value."""
        if not self.ordered:
            return -math.inf
        position = q * (len(self.ordered) - 1)
        below = math.floor(position)
        above = min(below + 1, len(self.ordered) - 1)
        return self.ordered[below] + (position - below) * (self.ordered[above] - self.ordered[below])


@dataclass
class OnlineState:
    """The detector's whole state of a stream: small, plain, and the same size at any hour."""

    scores: Recent = field(default_factory=Recent)
    interests: Recent = field(default_factory=Recent)  # empty if the network lacks that output
    armed: bool = True  # false from a close at the maximum length until the scores have fallen
    predicted: float | None = None  # where the last score's span begins: the next segment should start there
    ended: float = 0.0  # end of the last segment, seconds
    segment: int = -1  # the last segment
    gap: bool = False  # the last segment's flag
    resumes: float = 0.0  # where the media goes on after the latest gap; nothing opens before
    current: OpenHighlight | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        current = values["current"]
        return cls(
            **{
                **values,
                "scores": Recent(**values["scores"]),
                "interests": Recent(**values["interests"]),
                "current": OpenHighlight(**current) if current else None,
            }
        )


class OnlineDetector:
    """Turns scores, in order, into openings and closings of highlights."""

    def __init__(self, settings: OnlineSettings | None = None, state: OnlineState | None = None) -> None:
        self.settings = settings or OnlineSettings()
        self.state = state or OnlineState()

    def push(self, scored: ScoredSegment) -> list[HighlightEvent]:
        """The events of the score made after this segment; the segment's own media has passed by now."""
        state, settings = self.state, self.settings
        happened: list[HighlightEvent] = []
        broken = self.gap_in(scored)
        ends = [event.until or event.time for event in scored.events if event.kind == "gap"]
        state.resumes = max([state.resumes, *ends, broken or 0.0])
        if state.current:
            state.current.end = min(state.current.end, scored.end if broken is None else broken)
            self.observe(scored)
            if broken is not None:
                happened.append(self.close(scored.segment, "gap"))
        high = scored.score >= state.scores.quantile(settings.close_quantile)
        state.armed = state.armed or not high
        if state.current:
            happened += self.go_on(scored, high)
        elif (
            scored.interest is not None
            and (threshold := self.opens(scored.interest, state.interests, scored.end)) is not None
        ):
            start = max(scored.start, state.resumes)
            state.current = OpenHighlight(start, min(scored.end, start + settings.max_seconds), scored.interest)
            self.observe(scored)
            happened.append(HighlightOpened(scored.segment, start, scored.interest, threshold, "interest"))
            happened += self.go_on(scored, high)
        elif (threshold := self.opens(scored.score, state.scores, scored.predicts_end)) is not None:
            start = max(scored.predicts_start, state.resumes)
            state.current = OpenHighlight(start, min(scored.predicts_end, start + settings.max_seconds), scored.score)
            happened.append(HighlightOpened(scored.segment, start, scored.score, threshold))
        self.remember(scored)
        return happened

    def go_on(self, scored: ScoredSegment, high: bool) -> list[HighlightEvent]:
        """Take the predicted segment into the open highlight if its score is high, else close it."""
        state, settings = self.state, self.settings
        assert state.current is not None
        limit = state.current.start + settings.max_seconds
        if state.current.end - state.current.start < settings.min_seconds - SAME_TIME:
            # Too short so far: it goes on at any score.
            state.current.end = min(scored.predicts_end, limit)
        elif high and scored.predicts_end <= limit + SAME_TIME:
            state.current.end = scored.predicts_end
        else:
            state.armed = not high
            return [self.close(scored.segment, "short")]
        state.current.peak = max(state.current.peak, scored.score)
        return []

    def finish(self) -> list[HighlightEvent]:
        """End the stream: an open highlight closes where the stream stops."""
        if self.state.current is None:
            return []
        self.state.current.end = min(self.state.current.end, self.state.ended)
        return [self.close(self.state.segment, "end")]

    def opens(self, value: float, past: Recent, end: float) -> float | None:
        """The threshold that a score or an interest reached among those before it, or None if it opens nothing.

        Nothing opens if there is no media before `end`, the end of the segment that the value is of.
        """
        settings = self.settings
        if not self.state.armed or len(past.values) < settings.warm_up or self.state.resumes >= end - SAME_TIME:
            return None
        threshold = max(past.quantile(settings.open_quantile), past.quantile(0.5) + settings.min_rise)
        return threshold if value >= threshold else None

    def gap_in(self, scored: ScoredSegment) -> float | None:
        """The time of missing media between the last segment's end and this one's, or None."""
        state = self.state
        if state.predicted is not None and abs(scored.start - state.predicted) > SAME_TIME:
            return state.ended
        times = [event.time for event in scored.events if event.kind == "gap"]
        if times:
            return max(scored.start, min(times))
        # The flag stays up while the gap is in the look-back window: media is missing only where it goes up.
        return scored.start if scored.gap and not state.gap else None

    def observe(self, scored: ScoredSegment) -> None:
        """Keep the words of the open highlight's segment as it passes."""
        current = self.state.current
        assert current is not None
        if segments_in([scored], current.start, current.end):
            current.segments.append(scored.segment)
            current.words.append(words_in([scored], current.start, current.end))

    def close(self, segment: int, reason: Reason) -> HighlightEvent:
        current = self.state.current
        assert current is not None
        self.state.current = None
        if current.end - current.start < max(self.settings.min_seconds - SAME_TIME, SAME_TIME):
            return HighlightDropped(segment, current.start, reason)
        words = " ".join(filter(None, current.words))
        covered = tuple(current.segments)
        return HighlightClosed(segment, Highlight(current.start, current.end, current.peak, covered, words))

    def remember(self, scored: ScoredSegment) -> None:
        state = self.state
        state.scores.remember(scored.score, self.settings.window)
        if scored.interest is not None:
            state.interests.remember(scored.interest, self.settings.window)
        state.predicted, state.ended = scored.predicts_start, scored.end
        state.segment, state.gap = scored.segment, scored.gap
