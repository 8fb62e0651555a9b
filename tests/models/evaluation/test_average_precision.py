"""Average precision against figures worked out by hand and against a literal reading of its definition."""

import math

import numpy as np
import pytest

from kuaihl.models.evaluation.average_precision import average_precision, interpolated_precision


def test_it_is_the_mean_precision_at_the_highlights() -> None:
    scores = [0.9, 0.8, 0.7, 0.6, 0.5]
    assert average_precision(scores, [1, 0, 1, 0, 0]) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert average_precision(scores, [0, 0, 0, 0, 1]) == pytest.approx(1 / 5)


def test_highlights_at_the_top_reach_one() -> None:
    assert average_precision([0.1, 0.9, 0.8, 0.2], [0, 1, 1, 0]) == 1.0


def test_the_protocol_gives_each_recall_the_best_precision_at_or_beyond_it() -> None:
    scores, labels = [5, 4, 3, 2, 1], [0, 1, 1, 1, 0]  # precision 1/2, 2/3, 3/4 at the highlights
    assert average_precision(scores, labels) == pytest.approx((1 / 2 + 2 / 3 + 3 / 4) / 3)
    assert interpolated_precision(scores, labels) == pytest.approx(3 / 4)


def test_the_protocol_counts_each_distinct_score_that_adds_a_highlight_once() -> None:
    # Scores 3: 1 of 1 is a highlight; 2: 4 of 5, three more; 1: none is added; 0: 5 of 7, one more.
    scores, labels = [3, 2, 2, 2, 2, 1, 0], [1, 1, 1, 1, 0, 0, 1]
    assert interpolated_precision(scores, labels) == pytest.approx((1 + 4 / 5 + 5 / 7) / 3)
    assert average_precision(scores, labels) == pytest.approx((1 + 3 * 4 / 5 + 5 / 7) / 5)


def test_the_protocol_has_one_for_highlights_throughout_and_nothing_for_none() -> None:
    assert interpolated_precision([0.2, 0.1], [1, 1]) == 1.0
    assert math.isnan(interpolated_precision([0.2, 0.1], [0, 0]))


def test_equal_scores_are_taken_together_in_whatever_order_they_stand() -> None:
    labels = np.array([1, 0, 0, 1, 0, 0])
    assert average_precision(np.ones(6), labels) == pytest.approx(1 / 3)
    assert average_precision(np.ones(6), labels[::-1]) == pytest.approx(1 / 3)


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_the_area_of_steps_under_precision_by_recall(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores, labels = random.integers(0, 12, 60) / 12, random.random(60) < 0.2
    area, recall = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        chosen = scores >= threshold
        reached = (labels & chosen).sum() / labels.sum()
        area += (reached - recall) * (labels & chosen).sum() / chosen.sum()
        recall = reached
    assert average_precision(scores, labels) == pytest.approx(area)


def test_a_video_without_highlights_has_no_precision() -> None:
    assert math.isnan(average_precision([0.1, 0.2], [0, 0]))


@pytest.mark.parametrize(
    ("scores", "labels", "what"),
    [([0.1], [0, 1], "one length"), ([math.nan, 0.1], [0, 1], "finite"), ([0.1, 0.2], [0.5, 1], "0 or 1")],
)
def test_what_cannot_be_measured_is_refused(scores: list[float], labels: list[float], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        average_precision(scores, labels)
