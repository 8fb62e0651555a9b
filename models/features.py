"""What the encoders make of one segment, and what the network reads: the contract between `engines` and `models`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.signals import SignalGroup, unknown_values

Float16 = NDArray[np.float16]
TextSource = Literal["both", "speech", "comments"]
# Signals that would tell what the text leaves out: they are 0, as of a room where they are not known.
UNREAD: Mapping[str, tuple[SignalGroup, ...]] = {"both": (), "speech": ("comments",), "comments": ("sound", "speech")}


@dataclass(frozen=True)
class SegmentFeatures:
    """Features of one segment: patch tokens of its frames, one vector of its words (paper, eq. 2), and its signals."""

    visual: Float16  # [P, d_v]
    text: Float16  # [d_t]
    signals: NDArray[np.float32] = field(default_factory=unknown_values)  # [SIGNALS] values, NaN where unknown
