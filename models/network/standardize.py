"""Standardised inputs of a network: the first layers take over the data's means and deviations."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.features import Float16

if TYPE_CHECKING:
    from torch.nn import Module


def read_standardised(reader: "Module", features: "Float16 | NDArray[np.float32]") -> None:
    """Start a reader's first layer so that it reads each feature minus its mean, divided by its deviation.

    E5's vectors all point nearly the same way: without this, their differences are lost in their common part.
    """
    import torch

    first = reader[0]  # type: ignore[index]
    rows = torch.from_numpy(features.reshape(-1, features.shape[-1])).float()
    rows = rows[rows.abs().sum(dim=1) > 0]
    if len(rows) < 2:  # an input that the data lack has no spread to measure
        return
    mean, deviation = rows.mean(dim=0), rows.std(dim=0)
    deviation = deviation.clamp(min=max(0.1 * float(deviation.mean()), 1e-3))
    with torch.no_grad():
        first.weight /= deviation
        first.bias -= first.weight @ mean
