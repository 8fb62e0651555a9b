"""The rates of a finished recording's segments with hindsight, from both outputs of the network.

For segment i, `interest` i is the estimate made when it was complete, and `score` i−1 the forecast made before it
began. Later segments are evidence too, because interest persists. If segment i+1 turned out better than forecast from
segment i, then segment i was better than it looked. This is the backward pass of Rauch, Tung and Striebel (1965) over
a filter's estimates b and forecasts a, here logits of rates:

    s_i = b_i + C (s_{i+1} − a_{i+1}),   C = φ (1 − K)

φ, the persistence, equals the correlation of a_i with b_i in a steady filter, so it is measured in the recording.
Forecasts that came true carry far; forecasts at chance carry nothing, which leaves interest alone. K is the share of a
forecast's error that the segment itself resolves. The outputs do not determine it, so it is set to a half. A linear
regression first puts a on the scale of b, so neither output needs to be calibrated against the other.
"""

import math
from collections.abc import Sequence
from statistics import fmean

from kuaihl.engines.types import ScoredSegment

_RESOLVED = 0.5  # K above
_FORECASTS_NEEDED = 12  # fewer pairs of forecast and outcome do not show whether forecasts come true
_SMALLEST_RATE = 1e-6  # its logit is still finite


def interests_of(scored: Sequence[ScoredSegment]) -> list[float] | None:
    """Every segment's interest [S], or None if a segment has none: then only scores can choose."""
    interests = [one.interest for one in scored if one.interest is not None]
    return interests if interests and len(interests) == len(scored) else None


def hindsight_rates(scores: Sequence[float], interests: Sequence[float], follows: Sequence[bool]) -> list[float]:
    """The rate of each segment [S], in (0, 1), with hindsight; its own interest if other segments add nothing.

    scores, interests [S]: rates in [0, 1]; score i predicts segment i+1. follows [S]: whether segment i begins where
    segment i−1 ends; nothing is carried over missing media. Raises ValueError for different lengths.
    """
    estimates = [logit(rate) for rate in interests]
    forecasts = [logit(rate) for rate in scores]
    pairs = [
        (forecasts[index - 1], estimate)
        for index, (estimate, joined) in enumerate(zip(estimates, follows, strict=True))
        if joined and index
    ]
    if len(scores) != len(interests):
        raise ValueError(f"{len(scores)} scores and {len(interests)} interests are not of the same segments")
    persistence, slope, offset = _regress(pairs)
    carried = persistence * (1.0 - _RESOLVED)
    smoothed = list(estimates)
    for index in range(len(estimates) - 2, -1, -1):
        if follows[index + 1]:
            unforeseen = smoothed[index + 1] - (offset + slope * forecasts[index])
            smoothed[index] += carried * unforeseen
    return [_rate_of(value) for value in smoothed]


def _regress(pairs: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Correlation of forecasts with outcomes, and slope and offset of the outcomes' regression on them.

    All are 0 if there are too few pairs, if either is constant, or if forecasts were worse than no forecast.
    """
    if len(pairs) < _FORECASTS_NEEDED:
        return 0.0, 0.0, 0.0
    mean_a, mean_b = (fmean(column) for column in zip(*pairs, strict=True))
    var_a = sum((a - mean_a) ** 2 for a, _ in pairs)
    var_b = sum((b - mean_b) ** 2 for _, b in pairs)
    shared = sum((a - mean_a) * (b - mean_b) for a, b in pairs)
    if min(var_a, var_b) < len(pairs) * 1e-12 or shared <= 0.0:
        return 0.0, 0.0, 0.0
    slope = shared / var_a
    return shared / math.sqrt(var_a * var_b), slope, mean_b - slope * mean_a


def logit(rate: float) -> float:
    inside = min(1.0 - _SMALLEST_RATE, max(_SMALLEST_RATE, rate))
    return math.log(inside / (1.0 - inside))


def _rate_of(value: float) -> float:
    """The rate of a logit, kept as far from 0 and 1 as `logit` does: a regression may go beyond."""
    farthest = -logit(0.0)
    return 1.0 / (1.0 + math.exp(-min(farthest, max(-farthest, value))))
