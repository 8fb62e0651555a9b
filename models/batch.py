"""A training batch as tensors, from which every network of `architectures` learns."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """B stretches of S segments each; a label stands at the segment before the one it measures."""

    visual: Tensor  # [B, S, P, d_v] float
    text: Tensor  # [B, S, d_t] float
    streamer: Tensor  # [B] long, 0 unknown; or histories [B, HISTORY_ITEMS, history_width]
    labels: Tensor  # [B, S] in [0, 1]; arbitrary if not valid
    label_valid: Tensor  # [B, S] bool, True if enough views are behind the label
    segment_valid: Tensor  # [B, S] bool, False for padding
    sparse: Tensor | None = None  # [B, S, 10] int, for a network that reads counts (`segment_counts`)
    signals: Tensor | None = None  # [B, S, k] float, for a network that reads them (`signals`)
    interest: Tensor | None = None  # [B, S] labels of the segments themselves, for a network with that output
    interest_valid: Tensor | None = None  # [B, S] bool
