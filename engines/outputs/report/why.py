"""Why a highlight stands out: the same curve from the answers without a part of the input, at the highlight's peak."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from kuaihl.engines.highlights.curve import Stretch, curve_of
from kuaihl.engines.outputs.evidence_jsonl import PARTS, Part, SegmentEvidence
from kuaihl.engines.outputs.highlights_json import HighlightEntry
from kuaihl.engines.outputs.report.page import Effect, Why
from kuaihl.engines.types import SAME_TIME, ScoredSegment

_WORDS: Mapping[Part, str] = {
    "pictures": "the pictures",
    "words": "the words",
    "comments": "the comments",
    "sound": "the sound",
    "signals": "counts and levels",
}
_DECIDES = 0.25  # share of a lift that goes with a part which decides


@dataclass(frozen=True)
class Curve:
    """A curve with what a single point of it is compared with."""

    stretches: Sequence[Stretch]
    starts: Sequence[float]  # of the stretches, in order
    usual: float  # its median
    ordered: Sequence[float]  # its scores, lowest first

    def above(self, score: float) -> float:
        """The share of the curve, in percent, that is lower than a score."""
        return 100.0 * bisect_left(self.ordered, score) / max(1, len(self.ordered))

    def peak(self, start: float, end: float) -> Stretch | None:
        """The highest stretch within a span; None if the span has none."""
        first = max(0, bisect_right(self.starts, start) - 1)
        inside = self.stretches[first : bisect_left(self.starts, end - SAME_TIME)]
        inside = [one for one in inside if start < one.end - SAME_TIME]
        return max(inside, key=lambda one: (one.score, -one.start), default=None)

    def at(self, time: float) -> float | None:
        """The score of the stretch that begins at a time."""
        place = bisect_left(self.starts, time - SAME_TIME)
        found = self.stretches[place] if place < len(self.starts) else None
        return found.score if found is not None and found.start <= time + SAME_TIME else None


def curve_with(scored: Sequence[ScoredSegment]) -> Curve:
    """The curve of a recording."""
    stretches = curve_of(scored)
    ordered = sorted(one.score for one in stretches)
    return Curve(stretches, [one.start for one in stretches], median(ordered) if ordered else 0.0, ordered)


def curves_without(scored: Sequence[ScoredSegment], evidence: Mapping[int, SegmentEvidence]) -> dict[Part, Curve]:
    """The recording's curve without each part; empty unless every segment has answers without it."""
    answers = [evidence[one.segment].without if one.segment in evidence else {} for one in scored]
    return {
        part: curve_with(
            [
                replace(one, score=answer[part].score, interest=answer[part].interest)
                for one, answer in zip(scored, answers, strict=True)
            ]
        )
        for part in PARTS
        if all(part in answer for answer in answers)
    }


def explain(highlight: HighlightEntry, curve: Curve, without: Mapping[Part, Curve]) -> Why | None:
    """Why a highlight stands out; None if nothing is known without a part."""
    peak = curve.peak(highlight["start"], highlight["end"])
    if peak is None or not without:
        return None
    lift = peak.score - curve.usual
    found = [(part, other, score) for part, other in without.items() if (score := other.at(peak.start)) is not None]
    widest = max([lift, *(score - other.usual for _, other, score in found), 1e-6])
    effects = tuple(_effect(_WORDS[part], score, other, widest) for part, other, score in found)
    lost: dict[Part, float] = {part: lift - (score - other.usual) for part, other, score in found if part != "signals"}
    return Why(_sentence(lift, lost), _effect("with everything", peak.score, curve, widest), effects)


def _effect(part: str, score: float, curve: Curve, widest: float) -> Effect:
    lift = score - curve.usual
    return Effect(part, score, lift, round(max(0.0, 100.0 * lift / widest), 2), curve.above(score))


def _sentence(lift: float, lost: Mapping[Part, float]) -> str:
    """The part whose absence takes most of the lift, if one does."""
    if lift <= 0.0 or not lost:
        return "It hardly stands above this recording's median."
    parts = sorted(lost, key=lambda part: -lost[part])
    first = parts[0]
    if lost[first] < _DECIDES * lift:
        return "No single part decides: it stands out whichever one is left out."
    said = _WORDS[first]
    if lost[first] >= lift:
        return f"It is {said}: without {_them(first)} it would not stand above the recording's median."
    second = parts[1] if len(parts) > 1 and lost[parts[1]] >= _DECIDES * lift else None
    if second is not None:
        return f"Mostly {said}, then {_WORDS[second]}."
    return f"Mostly {said}: without {_them(first)} {lost[first] / lift:.0%} of its height above the median is gone."


def _them(part: Part) -> str:
    return "it" if part == "sound" else "them"
