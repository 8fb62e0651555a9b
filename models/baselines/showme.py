"""ShowMe: Bhattacharya et al., Show Me What I Like: Detecting User-Specific Video Highlights Using Content-Based
Multi-Head Attention, ACM Multimedia 2022; compact.

It follows the original's abstract and the caption of its figure 2 (no code was found). Attention heads weigh the user's
liked clips by their content and fuse them into one feature of the user. The video has layers of its own. A fully
connected network turns scaled products of the two into a segment's score.

Differences: one stream of features, where the original has objects and poses in two. The score sees the segment's own
feature beside the products. On live rooms, pieces made of the streamer's vector stand in for liked clips. Segments are
ranked by a margin over pairs with unequal labels in a sample; the original's own loss could not be looked up. The label
is regressed, too, as it must be if scores are compared over rooms: a margin inside samples never sees two streamers.
"""

from typing import cast

import torch
from torch import Tensor, nn

from kuaihl.models.baselines.context_block import ContextBlock
from kuaihl.models.baselines.segment_inputs import SegmentInputs
from kuaihl.models.batch import Batch
from kuaihl.models.dims import NetworkDims
from kuaihl.models.losses.margin import margin_loss
from kuaihl.models.losses.objective import LossTerms, Objective
from kuaihl.models.losses.point import point_loss

_LIKED = 8  # pieces that stand in for liked clips on live rooms
_MARGIN = 1.0  # of logits


class ShowMe(nn.Module):
    """A user's one feature, fused from the liked clips, compared with each segment's."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.dims, d = dims, dims.width
        self.inputs = SegmentInputs(dims, personal=True, pieces=_LIKED)
        self.compare = nn.MultiheadAttention(d, dims.heads, dropout=dims.dropout, batch_first=True)
        self.weigh = nn.Linear(d, 1)
        self.user = nn.Linear(d, d)
        self.context = ContextBlock(dims)
        self.head = nn.Sequential(nn.Linear(dims.heads + d, d), nn.GELU(), nn.Linear(d, 1))

    def forward(self, visual: Tensor, text: Tensor, streamer: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits [B, S]; see `architectures`."""
        user = self.fuse(*self.inputs.liked(streamer))  # [B, d]
        x = self.context(self.inputs.tokens(visual, text).mean(dim=2), valid)  # [B, S, d]
        alike = (x * user.unsqueeze(1)).unflatten(-1, (self.dims.heads, -1))  # [B, S, h, d_h]
        products = alike.sum(dim=-1) * alike.shape[-1] ** -0.5
        return cast(Tensor, self.head(torch.cat([products, x], dim=-1)).squeeze(-1))

    def fuse(self, liked: Tensor, there: Tensor) -> Tensor:
        """The user's feature [B, d], from the liked pieces [B, K, d] that are `there` [B, K]."""
        mixed = liked + self.compare(liked, liked, liked, key_padding_mask=~there, need_weights=False)[0]
        shares = self.weigh(mixed).squeeze(-1).masked_fill(~there, float("-inf")).softmax(dim=-1)
        return cast(Tensor, self.user((shares.unsqueeze(-1) * mixed).sum(dim=1)))

    def training_losses(self, objective: Objective, batch: Batch) -> LossTerms:
        """Cross-entropy, and ranking by a margin."""
        logits = self(batch.visual, batch.text, batch.streamer, batch.segment_valid)
        counted = batch.label_valid & batch.segment_valid
        point = point_loss(logits, batch.labels, counted)
        pair = margin_loss(logits, batch.labels, counted, _MARGIN)
        nothing = logits.float().sum() * 0.0
        return LossTerms(point + pair, point, pair, nothing, nothing, logits)
