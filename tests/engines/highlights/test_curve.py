"""The curve that highlights are chosen from, and the media that is missing in it."""

import random
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from support.curves import scored_stream

from kuaihl.engines.highlights.choice import Choice
from kuaihl.engines.highlights.choose import choose_highlights
from kuaihl.engines.highlights.curve import barriers_around, is_missing, missing_spans, own_curve
from kuaihl.engines.types import Event, ScoredSegment


def with_gaps(gaps: Sequence[tuple[float, float]], length: int = 20) -> list[ScoredSegment]:
    """Segments of 30 s, with an event for each gap in the segment in which it begins."""
    stream = scored_stream([0.5] * length)
    return [
        replace(one, events=tuple(Event("gap", *gap[:1], "", gap[1]) for gap in gaps if one.start <= gap[0] < one.end))
        for one in stream
    ]


def test_gaps_that_overlap_are_one() -> None:
    gaps = [(40.0, 100.0), (50.0, 60.0), (95.0, 130.0), (130.0, 131.0), (200.0, 200.0)]
    assert missing_spans(with_gaps(gaps)) == [(40.0, 131.0), (200.0, 200.0)]


@pytest.mark.parametrize("seed", range(30))
def test_the_curve_has_all_media_but_the_missing(seed: int) -> None:
    chance = random.Random(seed)
    starts = [chance.randrange(600) for _ in range(chance.randrange(30))]
    gaps = [(float(start), float(start + chance.choice([0, 1, 5, 40, 90]))) for start in starts]
    stream = with_gaps(gaps)
    missing, curve = missing_spans(stream), own_curve(stream, [0.5] * len(stream))
    for tenth in range(6000):
        at = tenth / 10 + 0.05
        lacks = any(start <= at <= end for start, end in gaps)
        assert is_missing(missing, at) == lacks
        assert any(one.start <= at < one.end for one in curve) != lacks
    marked = {one.start for one in curve if one.after_gap}
    assert marked == {one.start for one in curve if any(abs(end - one.start) < 1e-9 for _, end in missing)}


def test_a_barrier_is_the_nearest_on_either_side() -> None:
    assert barriers_around([0.0, 10.0, 20.0, 90.0], 15.0, 40.0) == (10.0, 90.0)
    assert barriers_around([0.0, 10.0, 20.0], 10.0, 20.0) == (10.0, 20.0)
    assert barriers_around([], 15.0, 40.0) == (15.0, 40.0)


def test_a_day_of_gaps_costs_little_more_than_a_day_without() -> None:
    chance, took = random.Random(0), []
    scores = [chance.gauss(0.4, 0.05) for _ in range(4000)]
    for gaps in ((), range(4000)):
        stream, tries = scored_stream(scores, interests=scores, gaps=gaps), []
        for _ in range(3):  # other work on the machine makes one of them slow, and hardly all
            began = time.process_time()
            choose_highlights(stream, Choice(padding=(1.0, 1.0)))
            tries.append(time.process_time() - began)
        took.append(min(tries))
    assert took[1] < 8 * took[0]
