"""Tau-b against SciPy's and worked out by hand."""

import math

import numpy as np
import pytest

from kuaihl.models.evaluation.rank_correlation import kendall_tau_b

stats = pytest.importorskip("scipy.stats", reason="the reference needs SciPy")

SIZES = [(2, 5), (3, 1), (10, 4), (100, 10), (500, 1000)]


@pytest.mark.parametrize(("number", "levels"), SIZES)
def test_tau_b_is_that_of_scipy(number: int, levels: int) -> None:
    draw = np.random.default_rng(number)
    for _ in range(20):
        scores, labels = draw.integers(-levels, levels, (2, number)) / levels
        expected = stats.kendalltau(scores, labels).statistic
        assert kendall_tau_b(scores, labels) == pytest.approx(expected, nan_ok=True)


def test_tau_b_by_hand() -> None:
    """Of 6 pairs 4 are concordant, one has equal scores, one equal labels: 4 / √(5 · 5)."""
    assert kendall_tau_b([1, 1, 2, 3], [1, 2, 2, 3]) == pytest.approx(0.8)
    assert kendall_tau_b([3, 1, 2], [1, 2, 3]) == pytest.approx(-1 / 3)  # 1 concordant, 2 discordant


def test_the_ends_of_the_scale() -> None:
    ranks = np.arange(50.0)
    assert kendall_tau_b(ranks, ranks) == 1
    assert kendall_tau_b(-ranks, ranks) == -1
    assert math.isnan(kendall_tau_b(np.ones(50), ranks))
    assert math.isnan(kendall_tau_b([], []))
    assert math.isnan(kendall_tau_b([1.0], [2.0]))


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        kendall_tau_b([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="finite"):
        kendall_tau_b([1.0, math.nan], [1.0, 2.0])


def test_a_hundred_thousand_labels_take_no_quadratic_time() -> None:
    draw = np.random.default_rng(0)
    scores = draw.normal(size=100_000)
    labels = scores + draw.normal(size=100_000)
    assert kendall_tau_b(scores, labels) == pytest.approx(0.5, abs=0.01)  # (2 / π) asin(1 / √2)
