"""What the encoders make of one segment, and what the network reads: the contract between `engines` and `models`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float16 = NDArray[np.float16]


@dataclass(frozen=True)
class SegmentFeatures:
    """Features of one segment (paper, eq. 2): patch tokens of its frames, one vector of its words."""

    visual: Float16  # [P, d_v]
    text: Float16  # [d_t]
