"""The label shift: a score predicts the LVTR of the next segment (eq. 1), and a room's last segment has none."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value", bound=np.generic)


def next_of(values: NDArray[Value]) -> NDArray[Value]:  # [S] -> [S]
    """The next segment's value at each segment; 0, or False, at the last."""
    return np.append(values[1:], np.zeros(1, values.dtype))
