"""What the encoders make of one segment, and what the network reads: the contract between `engines` and `models`."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.signals import unknown_values

Float16 = NDArray[np.float16]


@dataclass(frozen=True)
class SegmentFeatures:
    """Features of one segment: patch tokens of its frames, one vector of its words (paper, eq. 2), and its signals."""

    visual: Float16  # [P, d_v]
    text: Float16  # [d_t]
    signals: NDArray[np.float32] = field(default_factory=unknown_values)  # [SIGNALS] values, NaN where unknown
