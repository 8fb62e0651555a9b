"""PAC-Net: Wang et al., PAC-Net: Highlight Your Video via History Preference Modeling, ECCV 2022.

Kept: the decision boundary is the user's own: a common classifier plus what the user's history adds to it;
mini-history, by which training shows random parts of the history, so that users with little are served too;
cross-entropy.
Adapted: the history is the streamer's vector and what has been on air within the look-back window.
"""

from typing import cast

import torch
from torch import Tensor, nn

from kuaihl.models.attention import WindowedAttention
from kuaihl.models.baselines.context_block import ContextBlock
from kuaihl.models.baselines.segment_inputs import SegmentInputs
from kuaihl.models.batch import Batch
from kuaihl.models.network_dims import NetworkDims
from kuaihl.models.objective import LossTerms, Objective, point_alone

SHOWN = 0.5  # of the history in each training step


class PACNet(nn.Module):
    """Features of segments against a boundary that the streamer and the past have moved."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.dims = dims
        d = dims.width
        self.inputs = SegmentInputs(dims, personal=True)
        self.context = ContextBlock(dims)
        self.common = nn.Parameter(torch.zeros(d))
        self.customiser = WindowedAttention(d, dims.heads, dims.window, causal=dims.causal)
        self.boundary = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, d), nn.GELU(), nn.Linear(d, d + 1))

    def forward(self, visual: Tensor, text: Tensor, streamer: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits [B, S]; see `architectures`."""
        x = self.inputs.segments(visual, text)  # [B, S, d]
        u = self.inputs.user(streamer).unsqueeze(1).expand_as(x)  # [B, S, d]
        history = self.customiser(u, self.customiser.keys_and_values(x), self.shown(x, valid))
        moved = self.boundary(u + history)  # [B, S, d + 1]
        weight, bias = self.common + moved[..., :-1], moved[..., -1]
        inner = (self.context(x, valid) * weight).sum(dim=-1)
        return cast(Tensor, inner * x.shape[-1] ** -0.5 + bias)

    def shown(self, x: Tensor, valid: Tensor | None) -> Tensor | None:
        """The part of the history that a training step shows [B, S]; outside of training all that is there."""
        if not self.training:
            return valid
        some = torch.rand(x.shape[:2], device=x.device) < SHOWN
        return some if valid is None else some & valid

    def training_losses(self, objective: Objective, batch: Batch) -> LossTerms:
        """Cross-entropy."""
        return point_alone(self(batch.visual, batch.text, batch.streamer, batch.segment_valid), batch)
