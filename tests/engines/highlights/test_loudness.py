"""Boundaries go where it gets loud and quiet again, a segment away at most."""

import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import pytest
from support.curves import random_stream, scored_stream, with_loudness

from kuaihl.engines.highlights.curve import gap_edges
from kuaihl.engines.highlights.loudness import fit_to_loudness, measure_seconds
from kuaihl.engines.highlights.offline import find_highlights
from kuaihl.engines.highlights.snapping import snap_highlights
from kuaihl.engines.types import Highlight, ScoredSegment

QUIET, USUAL, LOUD = -33.0, -30.0, -18.0  # dBFS


def loud_from(start: float, end: float, around: float = QUIET) -> Callable[[float], float]:
    """Loud in a span, `around` it quieter than usual, and elsewhere as usual."""
    return lambda time: LOUD if start <= time < end else around if 60 <= time < 240 else USUAL


def level_at(edges: Sequence[float], levels: Sequence[float], time: float) -> float:
    return levels[bisect_left(edges, time)]


def fit(stream: Sequence[ScoredSegment], *spans: tuple[float, float], most: float = 120.0) -> list[tuple[float, float]]:
    highlights = [Highlight(start, end, 0.8, ()) for start, end in spans]
    fitted = fit_to_loudness(highlights, stream, min_seconds=10.0, max_seconds=most)
    return [(one.start, one.end) for one in fitted]


@pytest.mark.parametrize("loud", [(130, 145), (110, 145), (130, 170), (105, 165)])
def test_a_highlight_begins_and_ends_with_what_is_loud_give_or_take_a_few_seconds(loud: tuple[float, float]) -> None:
    stream = with_loudness(scored_stream([0.5] * 20), loud_from(*loud))
    ((start, end),) = fit(stream, (120.0, 150.0))
    assert loud[0] - 5.0 <= start <= loud[0] and loud[1] <= end <= loud[1] + 5.0


def test_sentences_may_move_it_on_to_a_segment_at_most() -> None:
    stream = with_loudness(scored_stream([0.5] * 20), loud_from(60, 200))
    assert fit(stream, (120.0, 150.0)) == [(95.0, 175.0)]


def test_it_needs_to_be_twice_as_loud_as_usual_and_loudness_must_be_known() -> None:
    stream = with_loudness(scored_stream([0.5] * 10), lambda time: USUAL + (2.5 if 110 <= time < 145 else 0.0))
    assert fit(stream, (120.0, 150.0)) == [(120.0, 150.0)]
    assert measure_seconds(scored_stream([0.5] * 10)) is None
    assert fit(scored_stream([0.5] * 10), (120.0, 150.0)) == [(120.0, 150.0)]
    assert fit([]) == []


def test_what_was_chosen_stays_unless_quieter_than_usual_and_what_was_not_must_reach_half_the_level() -> None:
    stream = [0.5] * 20
    assert fit(with_loudness(scored_stream(stream), loud_from(130, 145, QUIET)), (120.0, 150.0)) == [(126.0, 148.0)]
    assert fit(with_loudness(scored_stream(stream), loud_from(130, 145, USUAL)), (120.0, 150.0)) == [(120.0, 150.0)]
    assert fit(with_loudness(scored_stream(stream), loud_from(130, 145, -25.0)), (120.0, 150.0)) == [(120.0, 150.0)]
    assert fit(with_loudness(scored_stream(stream), loud_from(130, 145, -23.0)), (120.0, 150.0)) == [(95.0, 175.0)]


def test_words_and_segments_follow() -> None:
    stream = with_loudness(scored_stream([0.5] * 20), loud_from(100, 145))
    (one,) = fit_to_loudness([Highlight(120.0, 150.0, 0.8, (4,), "old")], stream, min_seconds=10.0, max_seconds=120.0)
    assert (one.start, one.end, one.segments, one.score) == (98.0, 148.0, (3, 4), 0.8)
    assert one.text == "words of 3 words of 4"


def test_neighbours_do_not_come_to_overlap_and_gaps_are_not_crossed() -> None:
    stream = with_loudness(scored_stream([0.5] * 20), loud_from(100, 200))
    first, second = fit(stream, (90.0, 120.0), (120.0, 180.0))
    assert first[1] <= second[0]
    stream = with_loudness(scored_stream([0.5] * 20, gaps=[4]), loud_from(100, 200))
    assert fit(stream, (120.0, 180.0))[0][0] == 120.0


def test_the_limits_of_length_hold() -> None:
    stream = with_loudness(scored_stream([0.5] * 20), loud_from(60, 200))
    ((start, end),) = fit(stream, (120.0, 150.0), most=40.0)
    assert end - start == 40.0
    stream = with_loudness(scored_stream([0.5] * 20), loud_from(134, 142))
    (one,) = fit_to_loudness([Highlight(120.0, 150.0, 0.8, ())], stream, min_seconds=25.0, max_seconds=120.0)
    assert one.end - one.start == 25.0


def test_it_keeps_every_promise_of_the_detector() -> None:
    some = moved = 0
    for seed in range(200):
        chance = random.Random(seed)
        stream = random_stream(seed)
        if not stream:
            continue
        edges = sorted(chance.uniform(0.0, stream[-1].end) for _ in range(20))
        levels = [chance.uniform(-45.0, -10.0) for _ in range(21)]
        stream = with_loudness(stream, partial(level_at, edges, levels))
        found = find_highlights(stream, min_seconds=10.0, max_seconds=90.0, top=10)
        fitted = fit_to_loudness(found, stream, min_seconds=10.0, max_seconds=90.0)
        fitted = snap_highlights(fitted, stream, min_seconds=10.0, max_seconds=90.0)
        length, gaps = max(one.end - one.start for one in stream), gap_edges(stream)
        some += len(found)
        assert len(fitted) == len(found)
        for before, after in zip(found, fitted, strict=True):
            assert 10.0 - 0.002 <= after.end - after.start <= 90.0 + 0.002
            assert max(abs(after.start - before.start), abs(after.end - before.end)) <= max(length, 5.0) + 1e-6
            assert stream[0].start <= after.start < after.end <= max(one.end for one in stream)
            assert not any(after.start < gap < after.end for gap in gaps)
            moved += after.start != before.start or after.end != before.end
        for one, two in pairwise(fitted):
            assert one.end <= two.start
    assert some > 300
    assert moved > 50
