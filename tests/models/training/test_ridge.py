"""Ridge regression from sums: what the rows themselves would give, worked out here from the rows."""

import numpy as np
import pytest

from kuaihl.models.training.ridge import fit_ridge, moments_of, solve, squared_error


def test_one_feature_by_hand() -> None:
    """x = −1, 0, 1 and y = −2, 1, 4: slope 6 / (2 + penalty), the intercept is the mean, 1."""
    moments = moments_of(np.array([[-1.0], [0.0], [1.0]]), np.array([-2.0, 1.0, 4.0]))
    (free, level), (shrunk, same) = solve(moments, [0.0, 1.0])
    assert (free[0], level) == pytest.approx((3.0, 1.0))
    assert (shrunk[0], same) == pytest.approx((2.0, 1.0))
    assert squared_error(moments, shrunk, same) == pytest.approx(1 + 0 + 1)


def test_rows_without_a_label_count_for_nothing() -> None:
    draw = np.random.default_rng(0)
    features, target = draw.normal(size=(20, 3)), draw.normal(size=20)
    target[5:] = np.nan
    assert moments_of(features, target).rows == 5
    np.testing.assert_allclose(moments_of(features, target).products, moments_of(features[:5], target[:5]).products)


def test_sums_of_groups_add_up_to_those_of_all_rows() -> None:
    draw = np.random.default_rng(1)
    features, target = draw.normal(size=(20, 3)), draw.normal(size=20)
    added = moments_of(features[:8], target[:8]) + moments_of(features[8:], target[8:])
    whole = moments_of(features, target)
    for ours, theirs in zip(solve(added, [2.0])[0], solve(whole, [2.0])[0], strict=True):
        np.testing.assert_allclose(ours, theirs)
    expected = np.linalg.solve(
        (features - features.mean(0)).T @ (features - features.mean(0)) + 2 * np.eye(3),
        (features - features.mean(0)).T @ (target - target.mean()),
    )
    np.testing.assert_allclose(solve(whole, [2.0])[0][0], expected)


def test_the_penalty_is_the_one_that_tells_rows_left_out_best() -> None:
    draw = np.random.default_rng(2)
    features = draw.normal(size=(4, 30, 25))
    target = features[:, :, 0] + draw.normal(size=(4, 30))
    penalties = (0.01, 30.0, 1e6)
    errors = []
    for penalty in penalties:
        total = 0.0
        for group in range(4):
            others = [i for i in range(4) if i != group]
            weights, level = solve(
                moments_of(np.concatenate(features[others]), np.concatenate(target[others])), [penalty]
            )[0]
            total += float(np.square(features[group] @ weights + level - target[group]).sum())
        errors.append(total / 120)
    fit = fit_ridge([moments_of(*rows) for rows in zip(features, target, strict=True)], penalties)
    assert fit.penalty == penalties[int(np.argmin(errors))] == 30.0
    assert fit.left_out_error == pytest.approx(min(errors))


def test_one_group_leaves_nothing_to_choose_by() -> None:
    rows = np.ones((3, 1)), np.zeros(3)
    nothing = np.ones((3, 1)), np.full(3, np.nan)
    with pytest.raises(ValueError, match="two groups"):
        fit_ridge([moments_of(*rows), moments_of(*nothing)])
