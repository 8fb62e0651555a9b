"""Equations 9 to 12 as printed: L_pair against loops over pairs in double precision, in every part and on both borders.

Part 1: s_i − s_j ≤ 0. Part 2: 0 < s_i − s_j < y_i − y_j. Part 3: y_i − y_j < s_i − s_j.
"""

from math import exp, log

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kuaihl.models.losses.pairwise import PAIR_MEANS, PAIR_VARIANTS, PairMean, PairVariant, pairwise_loss

Floats = NDArray[np.float64]
SIGMA = 10.0


def counts(variant: PairVariant, si: float, sj: float, yi: float, yj: float) -> bool:
    """The condition printed behind the sum of each equation."""
    if variant == "pair0":
        return True  # (9)
    if variant == "pair1":
        return (yi - yj) - (si - sj) >= 0  # (10)
    if variant == "pair2":
        return si - sj <= 0  # (11)
    return yi - yj > si - sj > 0  # (12)


def equation(
    variant: PairVariant, mean: PairMean, logits: Floats, labels: Floats, valid: NDArray[np.bool_]
) -> tuple[float, Floats]:
    """The sum over y_i > y_j, divided, and its gradient over the logits.

    d log(1 + e^(−σd)) / dd = −σ / (1 + e^(σd)), and ds/dlogit = s (1 − s).
    """
    total, slope, counted, ordered = 0.0, np.zeros_like(logits), 0, 0
    scores = 1 / (1 + np.exp(-logits))
    for room, (s, y) in enumerate(zip(scores, labels, strict=True)):
        for i in range(len(s)):
            for j in range(len(s)):
                if not (valid[room, i] and valid[room, j] and y[i] > y[j]):
                    continue
                ordered += 1
                if not counts(variant, s[i], s[j], y[i], y[j]):
                    continue
                counted += 1
                total += log(1 + exp(-SIGMA * (s[i] - s[j])))
                push = -SIGMA / (1 + exp(SIGMA * (s[i] - s[j])))
                slope[room, i] += push * s[i] * (1 - s[i])
                slope[room, j] -= push * s[j] * (1 - s[j])
    pairs = max(counted if mean == "counted" else ordered, 1)
    return total / pairs, slope / pairs


def ours(
    variant: PairVariant, mean: PairMean, logits: Floats, labels: Floats, valid: NDArray[np.bool_]
) -> tuple[float, Floats]:
    at = torch.from_numpy(logits).requires_grad_()
    value = pairwise_loss(at, torch.from_numpy(labels), torch.from_numpy(valid), variant, mean=mean, sigma=SIGMA)
    return float(value.detach()), torch.autograd.grad(value, at)[0].numpy()


def logit(score: float) -> float:
    return log(score / (1 - score))


IN_ORDER = (0.7, 0.5)  # y_i, y_j of the pairs that are not on the border
CASES = [
    pytest.param((0.4, 0.5), IN_ORDER, log(1 + exp(1)), {"pair0", "pair1", "pair2"}, id="Part 1"),
    pytest.param((0.5, 0.5), IN_ORDER, log(2), {"pair0", "pair1", "pair2"}, id="border of Parts 1 and 2"),
    pytest.param((0.6, 0.5), IN_ORDER, log(1 + exp(-1)), {"pair0", "pair1", "pair3"}, id="Part 2"),
    pytest.param((1.0, 0.5), (0.75, 0.25), log(1 + exp(-5)), {"pair0", "pair1"}, id="border of Parts 2 and 3"),
    pytest.param((0.8, 0.5), IN_ORDER, log(1 + exp(-3)), {"pair0"}, id="Part 3"),
]


@pytest.mark.parametrize(("scores", "labels", "value", "counted_by"), CASES)
def test_each_equation_counts_one_pair_in_its_parts_and_on_its_borders(
    scores: tuple[float, float], labels: tuple[float, float], value: float, counted_by: set[str]
) -> None:
    logits = np.array([[40.0 if score == 1 else logit(score) for score in scores]])  # sigmoid(40) is 1 exactly
    valid = np.ones((1, 2), np.bool_)
    push = -SIGMA / (1 + exp(SIGMA * (scores[0] - scores[1])))
    slope = np.array([[push * scores[0] * (1 - scores[0]), -push * scores[1] * (1 - scores[1])]])
    for variant in PAIR_VARIANTS:
        there = variant in counted_by
        found = ours(variant, "counted", logits, np.array([labels]), valid)
        assert found[0] == pytest.approx(value if there else 0.0, rel=1e-5)
        np.testing.assert_allclose(found[1], slope * there, rtol=1e-4, atol=1e-7)


def sample(seed: int) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Logits, labels and which of them count, [3, 8]; some labels and some scores are tied."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 1, (3, 8))
    logits[:, :2] = 0.0
    return logits, draw.integers(0, 9, (3, 8)) / 8, draw.random((3, 8)) > 0.2


@pytest.mark.parametrize("mean", PAIR_MEANS)
@pytest.mark.parametrize("variant", PAIR_VARIANTS)
@pytest.mark.parametrize("seed", range(4))
def test_values_and_gradients_are_those_of_the_equation(variant: PairVariant, mean: PairMean, seed: int) -> None:
    logits, labels, valid = sample(seed)
    value, slope = ours(variant, mean, logits, labels, valid)
    expected, expected_slope = equation(variant, mean, logits, labels, valid)
    assert expected > 0
    assert value == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("variant", PAIR_VARIANTS)
def test_the_gradient_of_the_equation_is_that_of_finite_differences(variant: PairVariant) -> None:
    logits, labels, valid = sample(5)
    logits[:, :2] += [0.1, -0.1]  # off the border, on which a step would change what counts
    slope, step = equation(variant, "counted", logits, labels, valid)[1], 1e-6
    for place in np.ndindex(logits.shape):
        up, down = logits.copy(), logits.copy()
        up[place] += step
        down[place] -= step
        values = [equation(variant, "counted", at, labels, valid)[0] for at in (up, down)]
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(slope[place], abs=1e-6)


def test_the_equations_parts_add_up_if_all_are_means_over_the_same_pairs() -> None:
    """Eq. 10 is eq. 11 and 12 together (no pair of these is on the outer border), if none divides by its own pairs."""
    logits, labels, valid = sample(1)
    pair1, pair2, pair3 = (ours(variant, "all", logits, labels, valid)[0] for variant in ("pair1", "pair2", "pair3"))
    assert pair1 == pytest.approx(pair2 + pair3, rel=1e-5)
    assert ours("pair2", "counted", logits, labels, valid)[0] > 1.5 * pair2  # over the pairs in the wrong order alone
