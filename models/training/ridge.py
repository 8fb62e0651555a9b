"""Ridge regression in closed form, over sums: rows never have to be in memory together.

`Moments` of several groups of rows (rooms, or parts of one) are added up. A group's squared error, by weights that have
not seen it, also follows from its moments. So choosing the penalty takes no second pass over the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PENALTIES = tuple(
    10.0 ** (power / 2) for power in range(-4, 11)
)  # 0.01 … 100,000, of features in groups of variance 1

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Sums over N rows of k features and one target."""

    rows: float
    features: Floats  # [k]
    target: float
    products: Floats  # [k, k], features with features
    onto: Floats  # [k], features with the target
    squares: float  # of the target

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    def __sub__(self, other: "Moments") -> "Moments":
        return Moments(*(getattr(self, name) - getattr(other, name) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class RidgeFit:
    """Fitted values are `features @ weights + intercept`."""

    weights: Floats  # [k]
    intercept: float
    penalty: float  # one of those tried
    left_out_error: float  # mean squared, over rows that the weights had not seen


def moments_of(features: Floats, target: Floats) -> Moments:
    """Of features [N, k] and targets [N]; rows with a NaN target are left out."""
    counted = np.isfinite(target)
    x, y = features[counted], target[counted]
    return Moments(float(len(y)), x.sum(axis=0), float(y.sum()), x.T @ x, x.T @ y, float(y @ y))


def fit_ridge(groups: Sequence[Moments], penalties: Sequence[float] = _PENALTIES) -> RidgeFit:
    """The weights of all groups, at the penalty with the least error on each group by weights of the others.

    Features should come in groups of variance 1, whatever their width, because they share one penalty. The intercept
    has none. Raises ValueError if fewer than two groups have rows, because then nothing can be left out.
    """
    told = [group for group in groups if group.rows]
    if len(told) < 2:
        raise ValueError("ridge regression needs labels in two groups of rows, to choose its penalty on one left out")
    everything = told[0]
    for group in told[1:]:
        everything = everything + group
    errors = np.zeros(len(penalties))
    for group in told:
        for i, (weights, intercept) in enumerate(solve(everything - group, penalties)):
            errors[i] += squared_error(group, weights, intercept)
    best = int(errors.argmin())
    ((weights, intercept),) = solve(everything, [penalties[best]])
    return RidgeFit(weights, intercept, penalties[best], float(errors[best] / everything.rows))


def solve(moments: Moments, penalties: Sequence[float]) -> list[tuple[Floats, float]]:
    """Weights and intercept at each penalty, from one decomposition."""
    mean, level = moments.features / moments.rows, moments.target / moments.rows
    centred = moments.products - moments.rows * np.outer(mean, mean)
    onto = moments.onto - moments.features * level
    values, vectors = np.linalg.eigh(centred)
    turned = vectors.T @ onto
    found = [vectors @ (turned / (np.maximum(values, 0.0) + penalty)) for penalty in penalties]
    return [(weights, float(level - mean @ weights)) for weights in found]


def squared_error(moments: Moments, weights: Floats, intercept: float) -> float:
    """Sum over the rows of (target − fitted value)²."""
    fitted = weights @ moments.products @ weights + 2 * intercept * (weights @ moments.features)
    return float(
        moments.squares
        - 2 * (weights @ moments.onto + intercept * moments.target)
        + fitted
        + moments.rows * intercept**2
    )
