"""AntPivot: Zhao et al., Livestream Highlight Detection via Hierarchical Attention Mechanism, 2022.

Kept: attention in two levels, first inside a chunk around a learned pivot, then among chunks; a highlight probability a
chunk, trained with cross-entropy. Adapted: a chunk is a segment and its tokens take the frames' place; the upper level
sees the look-back window alone, where the original sees the whole stream; the dynamic programme that then cuts spans is
the detector's task here. It knows no streamer.
"""

from typing import cast

import torch
from torch import Tensor, nn

from kuaihl.models.baselines.context_block import ContextBlock
from kuaihl.models.baselines.segment_inputs import SegmentInputs
from kuaihl.models.batch import Batch
from kuaihl.models.network_dims import NetworkDims
from kuaihl.models.objective import LossTerms, Objective, point_alone

BLOCKS = 2  # of the upper level: with them a score depends on 2n - 1 segments, as KuaiHL's does


class AntPivot(nn.Module):
    """Tokens to pivots, pivots among one another."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.dims = dims
        self.inputs = SegmentInputs(dims, personal=False)
        self.pivot = nn.Parameter(torch.randn(1, 1, dims.width) * dims.width**-0.5)
        self.inside = nn.MultiheadAttention(dims.width, dims.heads, dropout=dims.dropout, batch_first=True)
        self.inside_norm = nn.LayerNorm(dims.width)
        self.among = nn.ModuleList(ContextBlock(dims) for _ in range(BLOCKS))
        self.head = nn.Sequential(nn.LayerNorm(dims.width), nn.Linear(dims.width, 1))

    def forward(self, visual: Tensor, text: Tensor, streamer: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits [B, S]; see `architectures`."""
        tokens = self.inputs.tokens(visual, text)  # [B, S, T, d]
        rows = tokens.flatten(0, 1)  # [B*S, T, d]
        pivot = self.pivot.expand(len(rows), -1, -1)
        gathered = self.inside(pivot, rows, rows, need_weights=False)[0]  # [B*S, 1, d]
        x = self.inside_norm(pivot + gathered).view(*tokens.shape[:2], -1)  # [B, S, d]
        for block in self.among:
            x = block(x, valid)
        return cast(Tensor, self.head(x).squeeze(-1))

    def training_losses(self, objective: Objective, batch: Batch) -> LossTerms:
        """Cross-entropy."""
        return point_alone(self(batch.visual, batch.text, batch.streamer, batch.segment_valid), batch)
