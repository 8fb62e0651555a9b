"""PR-Net: Chen et al., PR-Net: Preference Reasoning for Personalized Video Highlight Detection, ICCV 2021; compact.

It follows the original's abstract and the caption of its figure 2 (no code was found). Each segment has its own
preference, the sum of the history's highlights weighed by their likeness to it. A second attention joins it with a
generic one. One learned embedding stands for segments that nobody prefers. The score says which of the two is nearer. A
contrastive loss works in both directions.

Differences: on live rooms, pieces made of the streamer's vector stand in for the history. Attention has one layer and
one head per stage. The contrast is a margin over pairs of segments with unequal labels, next to cross-entropy, since
live rooms have no set of yes and no.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from kuaihl.models.baselines.context_block import ContextBlock
from kuaihl.models.baselines.segment_inputs import SegmentInputs
from kuaihl.models.batch import Batch
from kuaihl.models.dims import NetworkDims
from kuaihl.models.losses.margin import margin_loss
from kuaihl.models.losses.objective import LossTerms, Objective
from kuaihl.models.losses.point import point_loss

_PIECES = 8  # pieces that stand in for a history on live rooms
_SHARPNESS = 5.0  # factor from the difference of two cosines, which lies in [-2, 2], to a logit
_MARGIN = 0.2


class PRNet(nn.Module):
    """Nearness to the user's preference at a segment, minus nearness to the embedding of no highlight."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.dims, d = dims, dims.width
        self.inputs = SegmentInputs(dims, personal=True, pieces=_PIECES)
        self.context = ContextBlock(dims)
        self.generic = nn.Parameter(torch.randn(d))
        self.no_highlight = nn.Parameter(torch.randn(d))
        self.bias = nn.Parameter(torch.zeros(()))

    def nearness(self, visual: Tensor, text: Tensor, streamer: Tensor, valid: Tensor | None) -> Tensor:
        """Cosines [B, S, 2] to the segment's preference and to the embedding of no highlight."""
        x = self.context(self.inputs.segments(visual, text), valid)  # [B, S, d]
        preference = self.preference(x, *self.inputs.liked(streamer))
        to_preference = functional.cosine_similarity(x, preference, dim=-1)
        return torch.stack([to_preference, functional.cosine_similarity(x, self.no_highlight, dim=-1)], dim=-1)

    def preference(self, x: Tensor, liked: Tensor, there: Tensor) -> Tensor:
        """The preference of each segment [B, S, d], from the highlights [B, K, d] that are `there` [B, K]."""
        scale = float(x.shape[-1] ** -0.5)
        alike = (x @ liked.mT * scale).masked_fill(~there.unsqueeze(1), float("-inf"))  # [B, S, K]
        personal = alike.softmax(dim=-1) @ liked  # [B, S, d]
        both = torch.stack([personal, self.generic.expand_as(personal)], dim=2)  # [B, S, 2, d]
        shares = ((both @ x.unsqueeze(-1)).squeeze(-1) * scale).softmax(dim=-1)  # [B, S, 2]
        return (shares.unsqueeze(-1) * both).sum(dim=2)

    def logits(self, nearness: Tensor) -> Tensor:
        return _SHARPNESS * (nearness[..., 0] - nearness[..., 1]) + self.bias

    def forward(self, visual: Tensor, text: Tensor, streamer: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits [B, S]; see `architectures`."""
        return self.logits(self.nearness(visual, text, streamer, valid))

    def training_losses(self, objective: Objective, batch: Batch) -> LossTerms:
        """Cross-entropy, and margins that move better segments to their preference and worse ones to no highlight."""
        nearness = self.nearness(batch.visual, batch.text, batch.streamer, batch.segment_valid)
        logits, counted = self.logits(nearness), batch.label_valid & batch.segment_valid
        point = point_loss(logits, batch.labels, counted)
        pair = margin_loss(nearness[..., 0], batch.labels, counted, _MARGIN)
        pair = pair + margin_loss(-nearness[..., 1], batch.labels, counted, _MARGIN)
        nothing = logits.float().sum() * 0.0
        return LossTerms(point + pair, point, pair, nothing, nothing, logits)
