"""ShowMe: Bhattacharya et al., Show Me What I Like: Detecting User-Specific Video Highlights Using Content-Based
Multi-Head Attention, ACM Multimedia 2022.

Kept: heads of attention compare the content of the video with the content of what the user liked, and the comparison is
scored against the video's own context; segments are ranked by a margin. Adapted: the liked content is made of the
streamer's vector, the heads read the tokens of pictures and words where the original reads objects and poses, and the
margin runs over pairs of unequal LVTR. Its scores rank; as rates they mean nothing.
"""

from typing import cast

import torch
from torch import Tensor, nn

from kuaihl.models.baselines.context_block import ContextBlock
from kuaihl.models.baselines.margin_loss import margin_loss
from kuaihl.models.baselines.segment_inputs import SegmentInputs
from kuaihl.models.batch import Batch
from kuaihl.models.network_dims import NetworkDims
from kuaihl.models.objective import LossTerms, Objective

LIKED = 8  # pieces of liked content
MARGIN = 1.0  # of logits


class ShowMe(nn.Module):
    """Content against liked content, then against its context."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.dims = dims
        d = dims.width
        self.inputs = SegmentInputs(dims, personal=True)
        self.liked = nn.Linear(d, LIKED * d)
        self.compare = nn.MultiheadAttention(d, dims.heads, dropout=dims.dropout, batch_first=True)
        self.context = ContextBlock(dims)
        self.head = nn.Sequential(nn.LayerNorm(2 * d), nn.Linear(2 * d, d), nn.GELU(), nn.Linear(d, 1))

    def forward(self, visual: Tensor, text: Tensor, streamer: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits [B, S]; see `architectures`."""
        tokens = self.inputs.tokens(visual, text)  # [B, S, T, d]
        liked = self.liked(self.inputs.user(streamer)).view(len(tokens), LIKED, -1)  # [B, K, d]
        content = tokens.flatten(1, 2)  # [B, S*T, d]
        alike = self.compare(content, liked, liked, need_weights=False)[0].view_as(tokens).mean(dim=2)  # [B, S, d]
        around = self.context(tokens.mean(dim=2), valid)
        return cast(Tensor, self.head(torch.cat([alike, around], dim=-1)).squeeze(-1))

    def training_losses(self, objective: Objective, batch: Batch) -> LossTerms:
        """Ranking by a margin."""
        logits = self(batch.visual, batch.text, batch.streamer, batch.segment_valid)
        pair = margin_loss(logits, batch.labels, batch.label_valid & batch.segment_valid, MARGIN)
        nothing = logits.float().sum() * 0.0
        return LossTerms(pair, nothing, pair, nothing, logits)
