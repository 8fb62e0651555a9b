"""Tau with intervals over rooms, against tau-b of the very segments that a draw of rooms holds."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from kuaihl.models.evaluation.bootstrap import Evaluation, difference, draw_rooms, evaluate, is_above, mean_estimate
from kuaihl.models.evaluation.rank_correlation import kendall_tau_b
from kuaihl.models.evaluation.room_pairs import room_pairs
from kuaihl.models.evaluation.room_scores import ScoredRoom
from kuaihl.models.facts import RoomRecord

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rooms:
    """Rooms of several lengths, with ties in scores and labels."""

    scores: list[Floats]
    labels: list[Floats]


@pytest.fixture(scope="module")
def rooms() -> Rooms:
    random = np.random.default_rng(3)
    labels = [np.round(random.random(size), 1) for size in (30, 1, 0, 50, 12)]
    scores = [np.round(0.6 * label + 0.4 * random.random(len(label)), 2) for label in labels]
    return Rooms(scores, labels)


def scored(scores: Floats, labels: Floats, valid: Floats | None = None) -> ScoredRoom:
    counts = np.ones(len(labels), np.bool_) if valid is None else valid.astype(np.bool_)
    return ScoredRoom(RoomRecord("room", "somebody", len(labels), "test"), scores, labels, counts)


METRIC_LABELS = np.array([0.0, 0.1, 0.3, 0.5, 0.7, 0.9])
METRIC_SCORES = np.array([0.6, 0.9, 0.3, 0.2, 0.5, 0.4])


@pytest.mark.parametrize(
    ("threshold", "segments", "expected"),
    [
        (0.0, 5, -0.2),  # 0.1 0.3 0.5 0.7 0.9, scored 0.9 0.3 0.2 0.5 0.4: 4 pairs concordant, 6 discordant
        (0.2, 4, 1 / 3),  # 0.3 0.2 0.5 0.4: 4 and 2
        (0.4, 3, 1 / 3),  # 0.2 0.5 0.4: 2 and 1
        (0.6, 2, -1.0),  # 0.5 0.4: 0 and 1
    ],
)
def test_the_metric_is_tau_over_the_segments_whose_true_lvtr_is_above_the_threshold(
    threshold: float, segments: int, expected: float
) -> None:
    """All pairs of those segments count, however close their labels; LVTR 0 is not above Δ = 0."""
    halves = [scored(METRIC_SCORES[::2], METRIC_LABELS[::2]), scored(METRIC_SCORES[1::2], METRIC_LABELS[1::2])]
    for rooms in ([scored(METRIC_SCORES, METRIC_LABELS)], halves):
        found = evaluate(rooms, draws=0)
        assert found.labels == 6
        assert found.labels_above[threshold] == segments
        assert found.tau[threshold].value == pytest.approx(expected)


def test_the_metric_a_room_is_over_its_own_segments_above_the_threshold_if_they_are_ten() -> None:
    """20 labels 0.05 … 1; those up to 0.5 are scored in reverse."""
    labels = np.arange(1, 21) / 20
    found = evaluate([scored(np.where(labels <= 0.5, -labels, labels), labels)], draws=0)
    assert found.tau_per_room[0.0].value == pytest.approx(100 / 190)  # 20 segments, 45 of 190 pairs discordant
    assert found.tau_per_room[0.2].value == pytest.approx(90 / 120)  # 16, of which 6 in reverse: 15 of 120
    assert found.tau_per_room[0.4].value == pytest.approx(64 / 66)  # 12, of which 2: 1 of 66
    assert math.isnan(found.tau_per_room[0.6].value)  # 8 are too few
    assert found.tau[0.6].value == 1.0
    assert found.rooms_counted == {0.0: 1, 0.2: 1, 0.4: 1, 0.6: 0}


def test_the_metric_leaves_out_a_label_that_is_just_the_threshold() -> None:
    """12 of 60, 24 of 60 and 36 of 60 are 0.2, 0.4 and 0.6, also as data sets hold them: in single precision."""
    counted = np.array([12, 24, 36], dtype=np.float64) / 60
    stored = counted.astype(np.float32).astype(np.float64)  # each a little more than the decimal
    for labels in (counted, stored):
        assert is_above(labels, 0.2).tolist() == [False, True, True]
        assert is_above(labels, 0.4).tolist() == [False, False, True]
        assert is_above(labels, 0.6).tolist() == [False, False, False]
    assert is_above(np.array([0.0, 1 / 30_000, 13 / 60]), 0.0).tolist() == [False, True, True]


def test_a_draw_of_rooms_has_the_tau_of_its_segments_written_out(rooms: Rooms) -> None:
    pairs = room_pairs(rooms.scores, rooms.labels)
    for draw in ([1, 1, 1, 1, 1], [2, 1, 0, 0, 3], [0, 4, 1, 2, 0]):
        scores, labels = (
            np.concatenate([np.tile(room, times) for room, times in zip(of, draw, strict=True)])
            for of in (rooms.scores, rooms.labels)
        )
        found = pairs.tau(np.array([draw], float))[0]
        assert found == pytest.approx(kendall_tau_b(scores, labels), abs=1e-12)


def test_a_room_has_the_tau_that_it_has_alone(rooms: Rooms) -> None:
    found = room_pairs(rooms.scores, rooms.labels).tau_each()
    for number in (0, 3, 4):
        alone = kendall_tau_b(rooms.scores[number], rooms.labels[number])
        assert found[number] == pytest.approx(alone, abs=1e-12)
    assert np.isnan(found[[1, 2]]).all()  # of one segment, and of none


def test_scores_that_are_all_alike_earn_nothing_rather_than_being_left_out() -> None:
    pairs = room_pairs([np.ones(20), np.arange(20.0)], [np.arange(20.0), np.arange(20.0)])
    assert pairs.tau_each().tolist() == [0.0, 1.0]
    found = evaluate([scored(np.ones(20), np.arange(20) / 20), scored(np.arange(20.0), np.arange(20) / 20)], draws=0)
    assert found.tau_per_room[0.0].value == pytest.approx(0.5)
    assert evaluate([scored(np.ones(20), np.arange(20) / 20)], draws=0).tau[0.0].value == 0.0


def test_segments_whose_label_does_not_count_are_not_looked_at() -> None:
    labels = np.arange(20) / 20
    valid = np.arange(20) % 2 == 0
    wrong_elsewhere = np.where(valid, labels, -labels)
    found = evaluate([scored(wrong_elsewhere, labels, valid)], draws=0)
    assert found.labels == 10
    assert found.tau[0.0].value == 1.0


def test_a_room_of_few_labels_counts_in_the_whole_and_not_in_the_mean_of_rooms() -> None:
    labels = np.arange(20) / 20
    found = evaluate([scored(labels, labels), scored(-labels[:5], labels[:5])], draws=0)
    assert found.rooms == 2
    assert found.rooms_counted[0.0] == 1
    assert found.tau_per_room[0.0].value == 1.0
    assert found.tau[0.0].value < 1.0


def test_where_no_label_is_above_the_threshold_there_is_no_figure() -> None:
    labels = np.arange(20) / 100
    found = evaluate([scored(labels, labels)], draws=50)
    assert math.isnan(found.tau[0.4].value)
    assert math.isnan(found.tau_per_room[0.4].low)
    assert found.rooms_counted[0.4] == 0


def test_nothing_to_measure_on_gives_no_figure() -> None:
    found = evaluate([], draws=10)
    assert (found.rooms, found.labels) == (0, 0)
    assert math.isnan(found.tau[0.0].value)


def many(rooms: int, noise: float, seed: int = 0) -> Evaluation:
    random = np.random.default_rng(seed)
    labels = [random.random(40) for _ in range(rooms)]
    return evaluate([scored(label + noise * random.normal(size=40), label) for label in labels], (0.0,), draws=400)


def test_the_interval_holds_the_figure_and_narrows_with_more_rooms() -> None:
    few, more = many(8, 1.0), many(128, 1.0)
    for found in (few, more):
        for estimate in (found.tau[0.0], found.tau_per_room[0.0]):
            assert estimate.low < estimate.value < estimate.high
    width = [found.tau_per_room[0.0].high - found.tau_per_room[0.0].low for found in (few, more)]
    assert width[1] == pytest.approx(width[0] / 4, rel=0.5)


def test_intervals_of_the_mean_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    drawn = draw_rooms(40, 300, 0)
    estimates = [mean_estimate(random.normal(0.3, 0.1, size=40), drawn) for _ in range(400)]
    held = sum(one.low < 0.3 < one.high for one in estimates)
    assert 0.91 < held / 400 < 0.97  # 95% promised; percentile intervals of 40 rooms are a little narrow


def test_a_difference_on_the_same_rooms_is_surer_than_two_intervals_apart() -> None:
    random = np.random.default_rng(5)
    worse, better = [], []
    for _ in range(40):
        labels, noise = random.random(40), random.normal(size=40) * random.uniform(0.1, 3)  # rooms of unlike hardness
        worse.append(scored(labels + 1.1 * noise, labels))
        better.append(scored(labels + noise, labels))
    first, second = (evaluate(rooms, (0.0,)).tau_per_room[0.0] for rooms in (worse, better))
    more = difference(second, first)
    assert more.value == pytest.approx(second.value - first.value)
    assert second.low < first.high
    assert more.low > 0


def test_one_seed_draws_the_same_rooms_for_every_system() -> None:
    again = many(16, 1.0)
    assert many(16, 1.0).tau[0.0].draws.tolist() == again.tau[0.0].draws.tolist()
    assert draw_rooms(9, 5, seed=0).tolist() != draw_rooms(9, 5, seed=1).tolist()
    assert (draw_rooms(9, 5, seed=0).sum(axis=1) == 9).all()


def test_rooms_that_are_bootstrapped_cost_no_new_counting(rooms: Rooms) -> None:
    """400 rooms of 40 segments, four thresholds, 1,000 draws: seconds on one core, hours if each draw were counted."""
    from time import perf_counter

    random = np.random.default_rng(0)
    large = [scored(random.random(40), random.random(40)) for _ in range(400)]
    began = perf_counter()
    evaluate(large, draws=1000)
    assert perf_counter() - began < 30


@pytest.mark.parametrize(
    ("scores", "labels", "what"),
    [([np.zeros(2)], [np.zeros(3)], "as many"), ([np.array([math.nan, 0.0])], [np.zeros(2)], "finite")],
)
def test_rooms_that_cannot_be_counted_are_refused(scores: list[Floats], labels: list[Floats], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        room_pairs(scores, labels)
