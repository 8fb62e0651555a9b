"""AntPivot's spans: its boundary head's targets, and the dynamic programming that cuts highlights out of its heads.

The programme follows `dynamic_programming` of the authors' metrics.py. It only cuts spans: it changes no score, and so
no tau. Three things are ours. A stream may not begin inside a highlight; the original would report an end without a
start. A constant head counts nothing; the original would divide by zero. If two paths have the same sum, the one that
stays outside is taken.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_START, _END, _INSIDE, _OUTSIDE = range(4)
_BEFORE = {_START: (_OUTSIDE, _END), _END: (_START, _INSIDE), _INSIDE: (_START, _INSIDE), _OUTSIDE: (_OUTSIDE, _END)}


def cut_spans(boundary: Sequence[float], inside: Sequence[float]) -> list[tuple[int, int]]:
    """First and last segment of each highlight, from probabilities [L] of an end and of being inside, L >= 1.

    A segment is a start, an end, inside or outside. The permitted path with the highest sum is taken. Starts and ends
    count `boundary`, inside counts inside x (1 - boundary), and outside counts (1 - inside) x (1 - boundary). All four
    factors are stretched to [0, 1] over the stream. A highlight has at least two segments.
    """
    ends, within = np.asarray(boundary, np.float64), np.asarray(inside, np.float64)
    no_end = _stretch_to_unit(1 - ends)
    value = np.stack(
        [_stretch_to_unit(ends)] * 2 + [_stretch_to_unit(within) * no_end, _stretch_to_unit(1 - within) * no_end],
        axis=1,
    )
    best = np.full(value.shape, -np.inf)  # [L, 4], of the paths that lead there
    came = np.zeros(value.shape, np.int64)
    best[0, [_START, _OUTSIDE]] = value[0, [_START, _OUTSIDE]]
    for i in range(1, len(value)):
        for state, (one, other) in _BEFORE.items():
            came[i, state] = one if best[i - 1, one] >= best[i - 1, other] else other
            best[i, state] = best[i - 1, came[i, state]] + value[i, state]
    state = _OUTSIDE if best[-1, _OUTSIDE] >= best[-1, _END] else _END
    path = [state]
    for i in range(len(value) - 1, 0, -1):
        path.append(int(came[i, path[-1]]))
    path.reverse()
    starts, stops = ([i for i, state in enumerate(path) if state == which] for which in (_START, _END))
    return list(zip(starts, stops, strict=True))


def _stretch_to_unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values stretched so that the lowest is 0 and the highest is 1."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def find_boundaries(labels: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """Begin and end of spans [B, S] float, and where they are known [B, S]: both neighbours' labels count.

    A span is a run of labels above the mean of its sample; with labels 0 and 1, it is a run of 1.
    """
    shown = labels.float().masked_fill(~counted, 0.0)
    mean = shown.sum(dim=1, keepdim=True) / counted.sum(dim=1, keepdim=True).clamp(min=1)
    high = (shown > mean) & counted
    neighbours = torch.zeros_like(counted)
    neighbours[:, 1:-1] = counted[:, :-2] & counted[:, 2:]
    ends = torch.zeros_like(high)
    ends[:, 1:-1] = high[:, 1:-1] & ~(high[:, :-2] & high[:, 2:])
    return ends.float(), neighbours & counted
