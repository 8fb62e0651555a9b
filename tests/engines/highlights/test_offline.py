"""Highlights of a finished stream are the spans that stand out, where the scores say they are."""

import random
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from support.curves import random_stream, scored_stream

from kuaihl.engines.highlights.curve import gap_edges, predicted_curve
from kuaihl.engines.highlights.offline import (
    chosen_from,
    find_highlights,
    find_on_curve,
    peak_prominences,
    rank_highlights,
)
from kuaihl.engines.highlights.snapping import snap_highlights
from kuaihl.engines.types import Event, Highlight, ScoredSegment
from kuaihl.models.errors import UsageError


def spans(highlights: list[Highlight]) -> list[tuple[float, float]]:
    return [(one.start, one.end) for one in highlights]


def predicted_highlights(stream: list[ScoredSegment], duration: float | None = None, **limits: Any) -> list[Highlight]:
    """The spans that stand out of what the scores predicted, without a lead-in."""
    return find_on_curve(predicted_curve(stream, duration), stream, **limits)


def quiet(length: int, seed: int = 0, noise: float = 0.01) -> list[float]:
    chance = random.Random(seed)
    return [0.4 + chance.gauss(0.0, noise) for _ in range(length)]


def test_a_highlight_lies_where_the_score_points_to_one_segment_later() -> None:
    scores = quiet(40)
    scores[10] = scores[11] = 0.8  # said after segments 10 and 11, of segments 11 and 12
    (highlight,) = predicted_highlights(scored_stream(scores))
    assert (highlight.start, highlight.end) == (330.0, 390.0)
    assert highlight.segments == (11, 12)
    assert highlight.score == 0.8
    assert highlight.text == "words of 11 words of 12"


def test_chosen_from_scores_alone_a_highlight_begins_with_the_segment_after_which_the_score_rose() -> None:
    scores = quiet(40)
    scores[10] = scores[11] = 0.8
    (highlight,) = find_highlights(scored_stream(scores))
    assert (highlight.start, highlight.end) == (300.0, 390.0)
    assert highlight.segments == (10, 11, 12)
    assert highlight.text == "words of 10 words of 11 words of 12"
    assert chosen_from(scored_stream(scores)) == ("score",)


def test_a_lead_in_may_be_the_first_segment() -> None:
    assert spans(find_highlights(scored_stream([0.8, 0.4, 0.4, 0.4]))) == [(0.0, 60.0)]


@pytest.mark.parametrize("seed", range(40))
def test_a_lead_in_crosses_no_gap_no_other_highlight_and_no_maximum_length(seed: int) -> None:
    stream = random_stream(seed)
    plain, led = predicted_highlights(stream), find_highlights(stream)
    assert [(one.end, one.score) for one in led] == [(one.end, one.score) for one in plain]
    for before, one in zip(plain, led, strict=True):
        assert one.start <= before.start
        assert one.end - one.start <= 120.001
        assert not any(one.start < gap < before.start + 0.001 for gap in gap_edges(stream) if gap > one.start + 0.001)
    assert all(first.end <= second.start + 0.001 for first, second in pairwise(led))


def test_with_interest_a_highlight_lies_at_the_segments_that_were_interesting_with_no_lead_in() -> None:
    interests = quiet(40)
    interests[10] = interests[11] = 0.8
    stream = scored_stream(quiet(40, seed=1), interests=interests)
    (highlight,) = find_highlights(stream)
    assert (highlight.start, highlight.end) == (300.0, 360.0)
    assert highlight.segments == (10, 11)
    assert chosen_from(stream) == ("score", "interest")


def test_with_interest_the_first_and_the_last_segment_may_be_highlights() -> None:
    interests = [0.8, *[0.4] * 8, 0.8]
    assert spans(find_highlights(scored_stream([0.4] * 10, interests=interests))) == [(0.0, 30.0), (270.0, 300.0)]


def test_with_interest_a_forecast_that_nothing_came_of_is_no_highlight() -> None:
    scores = quiet(40)
    scores[20] = 0.9
    assert find_highlights(scored_stream(scores, interests=[0.5] * 40)) == []


def test_one_segment_without_interest_leaves_the_choice_to_the_scores() -> None:
    scores = quiet(40)
    scores[10] = scores[11] = 0.8
    stream = scored_stream(scores, interests=quiet(40, seed=1))
    stream[3] = replace(stream[3], interest=None)
    assert spans(find_highlights(stream)) == [(300.0, 390.0)]
    assert chosen_from(stream) == ("score",)
    assert chosen_from([]) == ("score",)


def test_of_two_equal_segments_the_one_after_which_it_went_on_is_the_better() -> None:
    interests = [0.4, 0.5, 0.4, 0.5] * 10  # what is forecast comes true: 0.4 after 0.5, and the other way round
    scores = [0.5, 0.4, 0.5, 0.4] * 10
    interests[8], interests[9], interests[30] = 0.7, 0.7, 0.7
    best = find_highlights(scored_stream(scores, interests=interests), top=1)
    assert spans(best) == [(240.0, 300.0)]


@pytest.mark.parametrize("seed", range(100))
def test_highlights_chosen_from_both_overlap_no_other_no_gap_and_keep_to_their_limits(seed: int) -> None:
    stream = random_stream(seed, interest=True)
    for before, after in pairwise(find_highlights(stream, top=50)):
        assert before.end <= after.start
    for one in find_highlights(stream, top=50):
        assert 9.999 <= one.end - one.start <= 120.001
        assert stream[0].start <= one.start < one.end <= stream[-1].end
        assert not any(one.start < gap < one.end for gap in gap_edges(stream))
        assert one.segments == tuple(two.segment for two in stream if two.start < one.end and two.end > one.start)
        assert 0.0 < one.score < 1.0


def test_a_peak_takes_no_neighbour_that_is_nearer_to_the_usual_score_than_to_its_own() -> None:
    scores = [0.46, 0.47, 0.48, 0.57, 0.33, 0.34, 0.60, 0.46, 0.44]  # the deep after the peak lowers its saddle
    assert spans(predicted_highlights(scored_stream(scores), min_score=0.5)) == [(120.0, 150.0), (210.0, 240.0)]


def test_an_ordinary_stretch_before_a_lull_is_no_highlight_unless_asked_for() -> None:
    scores = [0.421, 0.415, 0.396, 0.380, 0.288, 0.340, 0.613, 0.429, 0.487]  # of the demo, by the bundle of its time
    assert spans(predicted_highlights(scored_stream(scores))) == [(210.0, 240.0)]
    assert len(predicted_highlights(scored_stream(scores), top=2)) == 2


def test_nobody_predicted_the_first_segment() -> None:
    scores = [0.9, 0.4, 0.4, 0.4]  # the first score is of the second segment
    assert spans(predicted_highlights(scored_stream(scores))) == [(30.0, 60.0)]
    assert predicted_highlights(scored_stream([0.9])) == []


def test_the_last_score_speaks_of_time_after_the_end() -> None:
    assert predicted_highlights(scored_stream([0.4, 0.4, 0.4, 0.9])) == []
    assert spans(predicted_highlights(scored_stream([0.4, 0.4, 0.4, 0.9]), duration=150.0)) == [(120.0, 150.0)]


def test_a_highlight_is_cut_at_the_end_of_the_stream() -> None:
    assert spans(predicted_highlights(scored_stream([0.4, 0.4, 0.9, 0.9], last_seconds=12.0))) == [(90.0, 102.0)]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 50, 480])
def test_equal_scores_give_no_highlight(length: int) -> None:
    assert predicted_highlights(scored_stream([0.7] * length)) == []
    assert predicted_highlights(scored_stream([0.7] * length), top=5, min_score=0.1) == []


@pytest.mark.parametrize("length", [3, 20, 480])
def test_noise_within_two_points_gives_no_highlight(length: int) -> None:
    chance = random.Random(length)
    assert predicted_highlights(scored_stream([0.5 + chance.uniform(-0.0099, 0.0099) for _ in range(length)])) == []


def test_pure_noise_of_any_strength_rarely_gives_a_highlight() -> None:
    found = [len(predicted_highlights(scored_stream(quiet(240, seed, noise=0.1)))) for seed in range(40)]
    assert sum(found) / len(found) < 3  # in two hours


def test_a_short_stream_gives_its_best_part_if_that_stands_out() -> None:
    assert spans(predicted_highlights(scored_stream([0.4, 0.6, 0.5]))) == [(60.0, 90.0)]
    assert spans(predicted_highlights(scored_stream([0.6, 0.4, 0.5]))) == [(30.0, 60.0)]


def test_bursts_are_found_and_little_else() -> None:
    found = hits = bursts = 0
    for seed in range(20):
        chance = random.Random(seed)
        scores = quiet(240, seed, noise=0.03)
        places = [20 + 60 * k + chance.randrange(30) for k in range(4)]
        for place in places:
            for index in range(place, place + 3):
                scores[index] += 0.25
        highlights = predicted_highlights(scored_stream(scores))
        bursts += len(places)
        found += len(highlights)
        hits += sum(any((place + 1) * 30 <= one.start < (place + 4) * 30 for place in places) for one in highlights)
    assert hits >= 0.9 * bursts
    assert hits >= 0.9 * found


def test_whoever_asks_for_the_best_five_gets_five_even_of_a_restless_curve() -> None:
    stream = scored_stream(quiet(240, noise=0.1))
    assert len(predicted_highlights(stream)) < 5
    best = predicted_highlights(stream, top=5)
    assert len(best) == 5
    assert spans(best) == sorted(spans(best))
    assert max(one.score for one in best) == max(one.score for one in stream[:-1])


def test_top_keeps_the_highest_scores_in_order_of_time_and_ranks_them() -> None:
    scores = quiet(120)
    for place, height in ((10, 0.6), (40, 0.9), (70, 0.5), (100, 0.8)):
        scores[place] = height
    best = predicted_highlights(scored_stream(scores), top=3)
    assert [one.score for one in best] == [0.6, 0.9, 0.8]
    assert rank_highlights(best) == [3, 1, 2]


def test_min_score_leaves_lower_ones_out() -> None:
    scores = quiet(120)
    scores[10], scores[40], scores[70] = 0.6, 0.9, 0.75
    assert [one.score for one in predicted_highlights(scored_stream(scores), min_score=0.7)] == [0.9, 0.75]
    assert predicted_highlights(scored_stream(scores), min_score=0.95) == []


def test_a_plateau_is_one_highlight_of_the_maximum_length_not_many() -> None:
    scores = [0.4] * 20 + [0.8] * 12 + [0.4] * 20  # six minutes of the same height
    (highlight,) = predicted_highlights(scored_stream(scores), max_seconds=120.0)
    assert highlight.end - highlight.start == 120.0
    assert highlight.start >= 630.0 and highlight.end <= 990.0


def test_two_peaks_side_by_side_are_one_highlight() -> None:
    scores = [0.4] * 10 + [0.8, 0.75, 0.8] + [0.4] * 10
    assert spans(predicted_highlights(scored_stream(scores))) == [(330.0, 420.0)]


def test_a_highlight_grows_to_the_minimum_length_and_is_left_out_where_there_is_no_room() -> None:
    stream = scored_stream([0.4, 0.4, 0.8, 0.5, 0.4, 0.4], seconds=5.0)
    assert spans(predicted_highlights(stream, min_seconds=5.0)) == [(15.0, 20.0)]
    assert spans(predicted_highlights(stream, min_seconds=10.0)) == [(15.0, 25.0)]
    assert predicted_highlights(stream, min_seconds=60.0, max_seconds=90.0) == []


def test_a_segment_longer_than_the_maximum_is_cut() -> None:
    (highlight,) = predicted_highlights(scored_stream([0.4, 0.8, 0.4, 0.4]), min_seconds=5.0, max_seconds=12.0)
    assert (highlight.start, highlight.end) == (60.0, 72.0)


def test_no_highlight_spans_a_gap() -> None:
    scores = [0.4] * 10 + [0.8, 0.8, 0.8, 0.9] + [0.4] * 10
    assert spans(predicted_highlights(scored_stream(scores))) == [(330.0, 450.0)]
    assert spans(predicted_highlights(scored_stream(scores, gaps=[13]))) == [(390.0, 450.0)]


def test_a_gap_inside_a_segment_cuts_the_highlight_there() -> None:
    stream = scored_stream([0.4] * 5 + [0.8] + [0.4] * 5)
    stream[6] = replace(stream[6], gap=True, events=(Event("gap", 195.0, "media is missing"),))
    (highlight,) = predicted_highlights(stream)
    assert (highlight.start, highlight.end) == (195.0, 210.0) or (highlight.start, highlight.end) == (180.0, 195.0)


@pytest.mark.parametrize("with_interest", [True, False])
@pytest.mark.parametrize("hole", [(195.0, 225.0), (180.0, 240.0), (187.0, 189.5), (209.0, 301.0)])
def test_no_highlight_holds_missing_media(hole: tuple[float, float], with_interest: bool) -> None:
    scores = [*quiet(5), 0.8, 0.82, 0.84, 0.83, 0.81, 0.8, *quiet(9, seed=1)]
    stream = scored_stream(scores, interests=scores if with_interest else None)
    index = next(one.segment for one in stream if one.end > hole[0])
    gap = Event("gap", hole[0], "media is missing", hole[1])
    stream[index] = replace(stream[index], gap=True, events=(gap,), keyframe_times=(hole[1] - 1.0, hole[1] + 1.0))
    found = find_highlights(stream, top=9)
    snapped = snap_highlights(found, stream)
    assert len(found) == len(snapped) >= 1
    for one in [*found, *snapped]:
        assert one.end <= hole[0] + 0.001 or one.start >= hole[1] - 0.001, one
        assert one.end - one.start >= 9.999


def test_a_jump_between_segments_is_a_gap_even_if_nobody_said_so() -> None:
    stream = scored_stream([0.4, 0.8, 0.8, 0.8, 0.4, 0.4])
    late = [replace(one, start=one.start + 40, end=one.end + 40) for one in stream[3:]]
    assert gap_edges([*stream[:3], *late]) == [90.0, 130.0]
    for highlight in predicted_highlights([*stream[:3], *late]):
        assert highlight.end <= 90.0 or highlight.start >= 130.0


def test_contradicting_limits_are_refused() -> None:
    for shortest, longest in ((60.0, 30.0), (0.0, 0.0), (-1.0, 5.0)):
        with pytest.raises(UsageError, match="minimum length"):
            predicted_highlights([], min_seconds=shortest, max_seconds=longest)


def test_highlights_never_overlap_nor_leave_the_stream_and_keep_to_their_limits() -> None:
    some = 0
    for seed in range(300):
        stream = random_stream(seed)
        chance = random.Random(seed)
        shortest = chance.choice([0.0, 5.0, 10.0, 40.0])
        longest = shortest + chance.choice([1.0, 30.0, 120.0])
        top = chance.choice([None, 1, 3, 50])
        found = predicted_highlights(stream, top=top, min_seconds=shortest, max_seconds=longest)
        some += len(found)
        assert top is None or len(found) <= top
        end = stream[-1].end if stream else 0.0
        gaps = gap_edges(stream)
        for one in found:
            assert shortest - 0.002 <= one.end - one.start <= longest + 0.002
            assert stream[0].end - 1e-9 <= one.start < one.end <= end
            assert not any(one.start < gap < one.end for gap in gaps)
            assert one.segments == tuple(two.segment for two in stream if two.start < one.end and two.end > one.start)
        for before, after in pairwise(found):
            assert before.end <= after.start
        assert sorted(rank_highlights(found)) == list(range(1, len(found) + 1))
    assert some > 300


def test_prominence_is_the_height_above_the_higher_saddle() -> None:
    #                          0    1    2    3    4    5    6    7
    assert peak_prominences([0.1, 0.5, 0.3, 0.9, 0.2, 0.6, 0.6, 0.4]) == pytest.approx({1: 0.2, 3: 0.8, 5: 0.4})
    assert peak_prominences([]) == peak_prominences([0.5]) == peak_prominences([0.5, 0.5]) == {}


def test_two_days_of_segments_give_as_many_as_were_asked_for() -> None:
    assert len(predicted_highlights(scored_stream(quiet(5760, noise=0.1)), top=50)) == 50
