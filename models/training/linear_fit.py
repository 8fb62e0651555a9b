"""The linear model's weights: labelled rooms in, a model fitted in closed form out.

Two passes over the rooms. The first finds means, deviations and the principal components of pictures and of words.
Without these, a few thousand columns would make sums of gigabytes. The second sums the moments of the last L segments
for ridge regression. Memory does not grow with the number of rooms.

Features and labels are fitted less their means in the room (a fixed effect per room). Rooms differ in level above all
by their streamer, which the model does not read. Only the order within a room matters.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from kuaihl.models.dims import NetworkDims
from kuaihl.models.network.linear import FARTHEST, LaggedLinear
from kuaihl.models.training.ridge import Moments, RidgeFit, fit_ridge, moments_of

_GROUPS = 5  # of the rooms, or of parts of each room if there are fewer; each is left out once, to choose the penalty
_CONSTANT = 1e-6  # a smaller deviation counts as zero
_LEAST_SPREAD = 0.01  # of a rate's variance, so that labels that are all alike do not divide by zero

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LabelledRoom:
    """A room of S segments. A missing label is NaN; no array is changed."""

    visual: NDArray[np.floating] | None  # [S, P, d_v]
    text: NDArray[np.floating] | None  # [S, d_t]
    signals: NDArray[np.floating] | None  # [S, k]
    score: NDArray[np.floating]  # [S] in [0, 1], labels of the next segment
    interest: NDArray[np.floating] | None = None  # [S] in [0, 1], of the segment itself

    def blocks(self, dims: NetworkDims) -> dict[str, Floats]:
        """The model's inputs by reader, [S, columns] each."""
        found = {
            "visual": self.visual if dims.use_visual else None,
            "text": self.text if dims.use_text else None,
            "signals": self.signals if dims.signals else None,
        }
        read = {name: part for name, part in found.items() if part is not None}
        if "visual" in read:  # summed as stored: widened, a long room's patches would not fit into memory
            read["visual"] = read["visual"].mean(axis=1, dtype=np.float64)
        return {name: np.asarray(part, np.float64) for name, part in read.items()}


@dataclass
class _Spread:
    """Sums over the rows of one block, without rows of zeros: they stand for no input."""

    rows: int
    total: Floats  # [k]
    products: Floats  # [k, k]

    def add(self, block: Floats) -> None:
        there = block[(block != 0).any(axis=1)]
        self.rows += len(there)
        self.total += there.sum(axis=0)
        self.products += there.T @ there


@dataclass(frozen=True)
class _Standardiser:
    """A block's columns as standard scores, turned onto its components; their total variance is 1 or less."""

    mean: Floats  # [k]
    scale: Floats  # [k], 1 / deviation; 0 for a column that never changes
    turn: Floats  # [k, c]

    def __call__(self, block: Floats) -> Floats:
        """[S, k] -> [S, c], as `linear.Reader` does."""
        there = (block != 0).any(axis=1, keepdims=True)
        scores = np.clip((block - self.mean) * self.scale, -FARTHEST, FARTHEST) * there
        turned: Floats = scores @ self.turn
        return turned


def fit_linear(rooms: Iterable[LabelledRoom], dims: NetworkDims) -> tuple[LaggedLinear, dict[str, RidgeFit]]:
    """The model of dims from `linear_dims`, and the fit of each answer. It reads `rooms` twice.

    Raises ValueError if an answer has too few labels to leave some out.
    """
    standardisers, count = _standardisers_of(rooms, dims)
    answers = ("score", "interest") if dims.interest else ("score",)
    moments: dict[str, list[Moments | None]] = {answer: [None] * _GROUPS for answer in answers}
    totals, counts = dict.fromkeys(answers, 0.0), dict.fromkeys(answers, 0.0)
    parts = _GROUPS if count < _GROUPS else 1
    for number, room in enumerate(rooms):
        turned = np.concatenate([standardisers[name](block) for name, block in room.blocks(dims).items()], axis=1)
        features = past_of(turned, dims.window)
        for answer in answers:
            labels = np.asarray(getattr(room, answer), np.float64)
            counted = np.isfinite(labels)
            if not counted.any():
                continue
            counts[answer] += counted.sum()
            totals[answer] += labels[counted].sum()
            x, y = features - features[counted].mean(axis=0), labels - labels[counted].mean()
            for part, rows in enumerate(np.array_split(np.arange(len(y)), parts)):
                found, group = moments_of(x[rows], y[rows]), (number + part) % _GROUPS
                before = moments[answer][group]
                moments[answer][group] = found if before is None else before + found
    fits = {answer: fit_ridge([group for group in moments[answer] if group is not None]) for answer in answers}
    levels = [float(totals[answer] / counts[answer]) for answer in answers]
    return _model_of(dims, standardisers, [fits[answer] for answer in answers], levels), fits


def _standardisers_of(rooms: Iterable[LabelledRoom], dims: NetworkDims) -> tuple[dict[str, _Standardiser], int]:
    """One per block that is read, and the number of rooms. Signals, which are few, are not turned."""
    spreads: dict[str, _Spread] = {}
    count = 0
    for room in rooms:
        count += 1
        for name, block in room.blocks(dims).items():
            width = block.shape[1]
            spreads.setdefault(name, _Spread(0, np.zeros(width), np.zeros((width, width)))).add(block)
    return {
        name: _standardiser_of(spread, None if name == "signals" else dims.width) for name, spread in spreads.items()
    }, count


def _standardiser_of(spread: _Spread, components: int | None) -> _Standardiser:
    """From a block's sums. The total variance of its columns is 1 before the turn, so one penalty suits all."""
    rows = max(spread.rows, 1)
    mean = spread.total / rows
    covariance = spread.products / rows - np.outer(mean, mean)
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    varied = deviation > _CONSTANT
    scale = np.where(varied, 1 / np.maximum(deviation, _CONSTANT), 0.0)
    turn = np.eye(len(mean))
    if components is not None and components < len(mean):
        turn = np.linalg.eigh(covariance * np.outer(scale, scale))[1][:, ::-1][:, :components]
    return _Standardiser(mean, scale, turn / np.sqrt(max(int(varied.sum()), 1)))


def past_of(rows: Floats, lags: int) -> Floats:
    """[S, c] -> [S, L * c]: each segment's own row, then those before it, zeros before the first."""
    padded = np.concatenate([np.zeros((lags - 1, rows.shape[1])), rows])
    return np.concatenate([padded[lags - 1 - lag : len(padded) - lag] for lag in range(lags)], axis=1)


def _model_of(
    dims: NetworkDims, standardisers: dict[str, _Standardiser], fits: list[RidgeFit], levels: list[float]
) -> LaggedLinear:
    """The weights in place, with the turns folded in; `levels` are the mean labels.

    A rate fitted as d above the mean label m becomes its tangent on the logit at m: ln(m / (1 − m)) + d / (m (1 − m)).
    It rises with d, so the order stays the same, and its sigmoid is in (0, 1).
    """
    model = LaggedLinear(dims)
    spreads = [max(level * (1 - level), _LEAST_SPREAD) for level in levels]
    widths = [each.turn.shape[1] for each in standardisers.values()]
    by_answer = [(fit.weights / spread).reshape(dims.window, -1) for fit, spread in zip(fits, spreads, strict=True)]
    by_block = np.split(np.stack(by_answer, axis=-1), np.cumsum(widths)[:-1], axis=1)  # [L, c, Q] each
    with torch.no_grad():
        for (name, each), weights in zip(standardisers.items(), by_block, strict=True):
            reader = getattr(model, name)
            reader.mean.copy_(torch.from_numpy(each.mean))
            reader.scale.copy_(torch.from_numpy(each.scale))
            folded = np.einsum("kc,lcq->klq", each.turn, weights)
            reader.weight.copy_(torch.from_numpy(folded.reshape(len(folded), -1)))
        for place, (fit, level, spread) in enumerate(zip(fits, levels, spreads, strict=True)):
            inside = float(np.clip(level, _LEAST_SPREAD, 1 - _LEAST_SPREAD))
            model.bias[place] = np.log(inside / (1 - inside)) + fit.intercept / spread
    return model.eval()
