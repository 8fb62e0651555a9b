"""What a segment was worth, said afterwards: its interest, and what nobody foresaw of the segments after it."""

import math
import random

import pytest
from support.curves import scored_stream

from kuaihl.engines.highlights.hindsight import hindsight_rates, interests_of


def rate(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value))


def logits(rates: list[float]) -> list[float]:
    return [math.log(one / (1.0 - one)) for one in rates]


def hindsight(forecasts: list[float], estimates: list[float], gaps: tuple[int, ...] = ()) -> list[float]:
    """Logits in, logits out; forecasts[i] was made of segment i, so the score of the segment before it."""
    scores = [*forecasts[1:], 0.0]
    follows = [index not in gaps for index in range(len(estimates))]
    return logits(hindsight_rates([rate(one) for one in scores], [rate(one) for one in estimates], follows))


# Of the twelve pairs the forecasts' mean and the outcomes' is 0, their variances 1 and 2, their covariance 1: so the
# slope is 1, the persistence 1/√2, and half of that is carried back.
FORECASTS = [0.0, *[1.0, 1.0, -1.0, -1.0] * 3]
ESTIMATES = [0.0, *[2.0, 0.0, 0.0, -2.0] * 3]
CARRIED = 0.5 / math.sqrt(2.0)


def test_each_segment_gains_its_share_of_what_was_not_foreseen_of_the_next() -> None:
    found = hindsight(FORECASTS, ESTIMATES)
    last = -2.0
    before = 0.0 + CARRIED * (last - -1.0)
    third = 0.0 + CARRIED * (before - -1.0)
    assert found[-3:] == pytest.approx([third, before, last])
    assert found[0] == pytest.approx(CARRIED * (found[1] - 1.0))


def test_nothing_is_carried_over_missing_media() -> None:
    # The gap's own pair does not count, so another twelve follow it.
    found = hindsight([*FORECASTS, *FORECASTS], [*ESTIMATES, *ESTIMATES], gaps=(len(ESTIMATES),))
    assert found[len(ESTIMATES) - 1] == pytest.approx(ESTIMATES[-1])
    assert found[: len(ESTIMATES)] == pytest.approx(hindsight(FORECASTS, ESTIMATES))


def test_what_was_foreseen_changes_nothing() -> None:
    assert hindsight(ESTIMATES, ESTIMATES) == pytest.approx(ESTIMATES)


@pytest.mark.parametrize(
    "forecasts",
    [[0.7] * 12, [-1.0, -1.0, 1.0, 1.0] * 3, [1.0, -1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0]],
    ids=["always the same", "the opposite", "at chance"],
)
def test_forecasts_that_do_not_come_true_leave_interest_alone(forecasts: list[float]) -> None:
    estimates = [0.0, *[1.0, 1.0, -1.0, -1.0] * 3]
    assert hindsight([0.0, *forecasts], estimates) == pytest.approx(estimates)


def test_few_segments_do_not_tell_whether_forecasts_come_true() -> None:
    assert hindsight(FORECASTS[:12], ESTIMATES[:12]) == pytest.approx(ESTIMATES[:12])
    assert hindsight_rates([], [], []) == []


def test_how_forecasts_are_calibrated_does_not_matter() -> None:
    assert hindsight([5.0 + 0.1 * one for one in FORECASTS], ESTIMATES) == pytest.approx(
        hindsight(FORECASTS, ESTIMATES)
    )


def test_rates_of_0_and_1_stay_rates() -> None:
    scores, interests = [0.0, 1.0] * 20, [1.0, 0.0] * 20
    assert all(0.0 < one < 1.0 for one in hindsight_rates(scores, interests, [True] * 40))


def test_a_filters_estimates_come_nearer_to_the_truth_with_hindsight() -> None:
    # A first-order process seen through noise as strong as itself, and its Kalman filter: the ideal network.
    chance, persistence, noise = random.Random(0), 0.7, 1.0
    truth, forecasts, estimates = [], [], []
    level, forecast, variance = 0.0, 0.0, 1.0
    for _ in range(4000):
        level = persistence * level + math.sqrt(1 - persistence**2) * chance.gauss(0.0, 1.0)
        gain = variance / (variance + noise)
        estimate = forecast + gain * (level + math.sqrt(noise) * chance.gauss(0.0, 1.0) - forecast)
        truth.append(level)
        forecasts.append(forecast)
        estimates.append(estimate)
        forecast, variance = persistence * estimate, persistence**2 * (1 - gain) * variance + 1 - persistence**2

    def error(values: list[float]) -> float:
        return sum((one - true) ** 2 for one, true in zip(values, truth, strict=True)) / len(truth)

    # Steady state: P⁻ = 0.49 P + 0.51 and P = P⁻ / (P⁻ + 1), so P⁻ = 0.714 and P = 0.417. The best smoother has
    # C = 0.7 P / P⁻ = 0.408 and an error of (P − C² P⁻) / (1 − C²) = 0.357; ours, C = 0.35, is close to it.
    assert error(forecasts) == pytest.approx(0.714, abs=0.03)
    assert error(estimates) == pytest.approx(0.417, abs=0.02)
    assert error(hindsight(forecasts, estimates)) == pytest.approx(0.357, abs=0.02)


def test_interest_counts_if_all_segments_have_it() -> None:
    assert interests_of(scored_stream([0.5, 0.5], interests=[0.1, 0.2])) == [0.1, 0.2]
    assert interests_of(scored_stream([0.5, 0.5])) is None
    assert interests_of([*scored_stream([0.5], interests=[0.1]), *scored_stream([0.5])]) is None
    assert interests_of([]) is None


def test_scores_and_interests_are_of_the_same_segments() -> None:
    with pytest.raises(ValueError, match="same segments"):
        hindsight_rates([0.5], [0.5, 0.5], [True, True])


def test_a_regression_that_reaches_far_beyond_all_rates_still_gives_rates() -> None:
    # Forecasts that hardly differ, and are right, but for one wild one: the slope carries that far below any rate.
    hardly = [0.001 * (-1) ** index for index in range(20_000)]
    forecasts = [0.0, *hardly, -0.14]
    scores = [rate(one) for one in [*forecasts[1:], 0.0]]
    interests = [rate(13_000.0 * min(max(one, -0.001), 0.001)) for one in forecasts]
    assert all(0.0 < one < 1.0 for one in hindsight_rates(scores, interests, [True] * len(scores)))
