"""The comparison of what chooses highlights: the same segments and the same number of them for every choice."""

import math
import sys

import numpy as np
import pytest
from support.paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks" / "real"))

from choices import BOTH, INTEREST, LED_IN, SCORE, Scored, choices, precision_of, recall_of

LN2 = math.log(2.0)  # the logit of 2/3


def test_a_score_speaks_of_the_next_segment_and_interest_of_its_own() -> None:
    found = choices(Scored(np.array([2 / 3, 0.5, 1 / 3]), np.array([0.5, 1 / 3, 2 / 3])))
    assert found[SCORE] == pytest.approx([math.nan, LN2, 0.0], nan_ok=True)
    assert found[LED_IN] == pytest.approx([math.nan, LN2, 0.0], nan_ok=True)
    assert found[INTEREST] == pytest.approx([math.nan, -LN2, LN2], nan_ok=True)
    assert found[BOTH] == pytest.approx(found[INTEREST], nan_ok=True)  # three segments tell nothing of forecasts


def test_a_lead_in_takes_the_segment_before_a_peak() -> None:
    found = choices(Scored(np.array([0.5, 0.5, 2 / 3, 0.5]), None))
    assert list(found) == [SCORE, LED_IN]
    assert found[SCORE] == pytest.approx([math.nan, 0.0, 0.0, LN2], nan_ok=True)
    assert found[LED_IN] == pytest.approx([math.nan, 0.0, LN2, LN2], nan_ok=True)


def test_precision_and_recall_are_of_the_highest_share() -> None:
    scores = np.array([0.9, 0.1, 0.8, 0.2, 0.3, 0.4, 0.5, 0.6, 0.15, 0.12])
    labels = np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    once = np.ones((1, 10))
    assert precision_of(0.2)(scores, labels, once) == pytest.approx([1 / 2])  # 0.9 and 0.8
    assert recall_of(0.2)(scores, labels, once) == pytest.approx([1 / 3])
    assert precision_of(0.01)(scores, labels, once) == pytest.approx([1.0])  # one at least
    assert recall_of(1.0)(scores, labels, once) == pytest.approx([1.0])


def test_a_draw_counts_a_segment_as_often_as_it_was_drawn() -> None:
    scores, labels = np.array([0.9, 0.8, 0.7, 0.6]), np.array([1.0, 0.0, 1.0, 0.0])
    draws = np.array([[2.0, 0.0, 1.0, 1.0], [0.0, 2.0, 1.0, 1.0]])
    assert precision_of(0.5)(scores, labels, draws) == pytest.approx([1.0, 0.0])
    assert recall_of(0.5)(scores, labels, draws) == pytest.approx([2 / 3, 0.0])


def test_equal_scores_share_the_room_that_is_left() -> None:
    scores, labels = np.array([0.9, 0.5, 0.5, 0.5]), np.array([0.0, 1.0, 1.0, 0.0])
    assert precision_of(0.5)(scores, labels, np.ones((1, 4))) == pytest.approx([(2 / 3) / 2])


def test_without_a_highlight_there_is_nothing_to_measure() -> None:
    scores, labels = np.array([0.9, 0.5]), np.zeros(2)
    assert np.isnan(precision_of(0.5)(scores, labels, np.ones((1, 2)))).all()
    assert np.isnan(recall_of(0.5)(scores, labels, np.ones((1, 2)))).all()


def test_where_interest_persists_both_choose_better_than_either() -> None:
    # A first-order process seen through noise, and its filter, which is what an ideal network's outputs are.
    random, persistence, found = np.random.default_rng(0), 0.7, dict.fromkeys((SCORE, INTEREST, BOTH), 0.0)
    for _ in range(40):
        level, forecast, variance = 0.0, 0.0, 1.0
        truth, forecasts, estimates = np.zeros(300), np.zeros(301), np.zeros(300)
        for i in range(300):
            level = persistence * level + math.sqrt(1 - persistence**2) * random.normal()
            gain = variance / (variance + 1.0)
            estimate = forecast + gain * (level + random.normal() - forecast)
            variance = persistence**2 * (1 - gain) * variance + 1 - persistence**2
            forecast = persistence * estimate
            truth[i], estimates[i], forecasts[i + 1] = level, estimate, forecast
        labels = (truth > np.quantile(truth, 0.85)).astype(float)
        says = choices(Scored(1 / (1 + np.exp(-forecasts[1:])), 1 / (1 + np.exp(-estimates))))
        for name in found:
            found[name] += precision_of(0.15)(says[name][1:], labels[1:], np.ones((1, 299)))[0] / 40
    assert found[SCORE] + 0.1 < found[INTEREST] < found[BOTH]
