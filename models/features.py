"""The encoders' output for one segment, which the network reads: the contract between `engines` and `models`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.signals import SignalGroup, unknown_values

Float16 = NDArray[np.float16]
TextSource = Literal["both", "speech", "comments"]
# Signals that would reveal the part that the text leaves out: they are 0, as in a room where they are unknown.
UNREAD: Mapping[str, tuple[SignalGroup, ...]] = {"both": (), "speech": ("comments",), "comments": ("sound", "speech")}


@dataclass(frozen=True)
class SegmentFeatures:
    """Features of one segment: patch tokens of its frames, one vector for its words (paper, eq. 2), and its signals."""

    visual: Float16  # [P, d_v]
    text: Float16  # [d_t]
    signals: NDArray[np.float32] = field(default_factory=unknown_values)  # [SIGNALS] values, NaN where unknown
