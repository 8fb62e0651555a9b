"""PR-Net: Chen et al., PR-Net: Preference Reasoning for Personalized Video Highlight Detection, ICCV 2021.

Kept: for every piece of video its own preference is reasoned out of the user's history, for what the user likes and for
what the user passes over, each joined with a general one; the score says which of the two is nearer; a contrastive loss
in both directions. Adapted: the history's entries are made of the streamer's vector; the loss runs over pairs of
segments of unequal LVTR, next to cross-entropy, since there is no set of yes and no.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from kuaihl.models.baselines.context_block import ContextBlock
from kuaihl.models.baselines.margin_loss import margin_loss
from kuaihl.models.baselines.segment_inputs import SegmentInputs
from kuaihl.models.batch import Batch
from kuaihl.models.network_dims import NetworkDims
from kuaihl.models.objective import LossTerms, Objective
from kuaihl.models.point_loss import point_loss

HISTORY = 8  # entries
SHARPNESS = 5.0  # of the difference of two cosines, which lies in [-2, 2], as a logit
MARGIN = 0.2


class PRNet(nn.Module):
    """Nearness to what is liked less nearness to what is passed over."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.dims = dims
        d = dims.width
        self.inputs = SegmentInputs(dims, personal=True)
        self.context = ContextBlock(dims)
        self.history = nn.Linear(d, 2 * HISTORY * d)  # entries liked, and passed over
        self.general = nn.Parameter(torch.randn(2, d) * d**-0.5)
        self.trust = nn.Linear(2 * d, 1)  # of the personal preference against the general one
        self.bias = nn.Parameter(torch.zeros(()))

    def nearness(self, visual: Tensor, text: Tensor, streamer: Tensor, valid: Tensor | None) -> Tensor:
        """Cosines [B, S, 2] to the preference for what is liked and for what is passed over."""
        x = self.context(self.inputs.segments(visual, text), valid)  # [B, S, d]
        history = self.history(self.inputs.user(streamer)).view(len(x), 2, HISTORY, -1)  # [B, 2, H, d]
        weights = torch.einsum("bsd,bkhd->bskh", x, history) * x.shape[-1] ** -0.5
        personal = torch.einsum("bskh,bkhd->bskd", weights.softmax(dim=-1), history)  # [B, S, 2, d]
        each = x.unsqueeze(2).expand_as(personal)
        trust = torch.sigmoid(self.trust(torch.cat([each, personal], dim=-1)))  # [B, S, 2, 1]
        preference = trust * personal + (1 - trust) * self.general
        return functional.cosine_similarity(each, preference, dim=-1)

    def logits(self, nearness: Tensor) -> Tensor:
        return SHARPNESS * (nearness[..., 0] - nearness[..., 1]) + self.bias

    def forward(self, visual: Tensor, text: Tensor, streamer: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits [B, S]; see `architectures`."""
        return self.logits(self.nearness(visual, text, streamer, valid))

    def training_losses(self, objective: Objective, batch: Batch) -> LossTerms:
        """Cross-entropy, and better segments nearer to what is liked, worse ones to what is passed over."""
        nearness = self.nearness(batch.visual, batch.text, batch.streamer, batch.segment_valid)
        logits, counted = self.logits(nearness), batch.label_valid & batch.segment_valid
        point = point_loss(logits, batch.labels, counted)
        pair = margin_loss(nearness[..., 0], batch.labels, counted, MARGIN)
        pair = pair + margin_loss(-nearness[..., 1], batch.labels, counted, MARGIN)
        return LossTerms(point + pair, point, pair, logits.float().sum() * 0.0, logits)
