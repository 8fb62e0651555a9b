"""Highlights' boundaries, moved a little to better cuts: between sentences, and onto keyframes.

A start goes onto a keyframe, so that a clip can begin there without re-encoding; an end goes to a sentence's end.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kuaihl.engines.highlights.curve import barriers_around, gap_edges, segments_in, words_in
from kuaihl.engines.types import Highlight, ScoredSegment, Sentence

REACH = 5.0  # seconds that a boundary may move
_BREATH = 0.3  # seconds; a shorter pause does not separate two stretches of speech …
_SENTENCE_ENDS = tuple(".!?…。！？")  # … unless the first ends like a sentence
_TOUCH = 0.05  # seconds; a cut this close to its edge does not cut into a sentence


@dataclass(frozen=True)
class Surroundings:
    """The points to cut at that a stream offers; times in seconds, in order."""

    speech: tuple[Sentence, ...]
    keyframes: tuple[float, ...]
    barriers: tuple[float, ...]  # gaps, and the stream's two ends: no boundary may cross one


def snap_highlights(
    highlights: Sequence[Highlight],
    scored: Sequence[ScoredSegment],
    *,
    min_seconds: float = 10.0,
    max_seconds: float = 120.0,
    reach: float = REACH,
) -> list[Highlight]:
    """The highlights (in order of time) with boundaries moved by `reach` seconds at most.

    They still neither overlap nor cross a gap, and stay within the limits of length if they were before.
    """
    offered = collect_surroundings(scored)
    snapped: list[Highlight] = []
    for index, highlight in enumerate(highlights):
        floor, ceiling = barriers_around(offered.barriers, highlight.start, highlight.end)
        if snapped:
            floor = max(floor, snapped[-1].end)
        if index + 1 < len(highlights):
            ceiling = min(ceiling, highlights[index + 1].start)
        length = highlight.end - highlight.start
        shortest, longest = min(min_seconds, length), max(max_seconds, length)
        start = _snapped_start(offered, highlight, max(floor, highlight.start - reach), shortest, reach)
        end = _snapped_end(offered, highlight, start + shortest, min(ceiling, start + longest), reach)
        snapped.append(
            replace(
                highlight,
                start=start,
                end=end,
                segments=segments_in(scored, start, end),
                text=words_in(scored, start, end) or highlight.text,
            )
        )
    return snapped


def collect_surroundings(scored: Sequence[ScoredSegment]) -> Surroundings:
    """The points to cut at that a stream offers; a sentence that runs on into the next segment counts as one."""
    speech: list[Sentence] = []
    for said in sorted((said for one in scored for said in one.sentences), key=lambda said: said.start):
        last = speech[-1] if speech else None
        if last and said.start - last.end <= _BREATH and not last.text.rstrip().endswith(_SENTENCE_ENDS):
            speech[-1] = Sentence(last.start, max(last.end, said.end), f"{last.text} {said.text}")
        else:
            speech.append(said)
    keyframes = sorted({time for one in scored for time in one.keyframe_times})
    ends = [scored[0].start, max(one.end for one in scored)] if scored else []
    return Surroundings(tuple(speech), tuple(keyframes), tuple(sorted([*gap_edges(scored), *ends])))


def sentence_at(offered: Surroundings, time: float) -> Sentence | None:
    """The speech that a cut at `time` would cut into, or None."""
    last = bisect_right(offered.speech, time, key=lambda said: said.start) - 1
    if last < 0:
        return None
    said = offered.speech[last]
    return said if said.start + _TOUCH < time < said.end - _TOUCH else None


def _snapped_start(
    offered: Surroundings, highlight: Highlight, earliest: float, shortest: float, reach: float
) -> float:
    """A keyframe near the start, outside speech and not after it if that can be; without keyframes, a pause."""
    start = max(highlight.start, earliest)
    latest = min(start + reach, highlight.end - shortest)
    first = bisect_left(offered.keyframes, earliest)
    choices = list(offered.keyframes[first : bisect_right(offered.keyframes, latest, lo=first)])
    if not choices:
        said = sentence_at(offered, start)
        choices = [time for time in (start, *((said.start, said.end) if said else ())) if earliest <= time <= latest]
    if not choices:
        return start
    return min(choices, key=lambda time: (sentence_at(offered, time) is not None, time > start, abs(time - start)))


def _snapped_end(offered: Surroundings, highlight: Highlight, earliest: float, latest: float, reach: float) -> float:
    """The end of the sentence that the end falls into, or its beginning if that end is too far."""
    end = max(min(highlight.end, latest), min(earliest, latest))
    said = sentence_at(offered, end)
    if said is None:
        return end
    for time in (said.end, said.start):
        if abs(time - highlight.end) <= reach and earliest <= time <= latest:
            return time
    return end
