"""PAC-Net: Wang et al., PAC-Net: Highlight Your Video via History Preference Modeling, ECCV 2022; compact.

Neither its text nor its code was available. Only the supplement of KuaiHL describes it: a Decision Boundary Customizer
(DBC) and a Mini-History mechanism (Mi-Hi) "to capture more fine-grained user-specific preferences".

Our reading: the history moves a common classifier, so the decision boundary is the user's own. There are several, each
from a part of the history, and their scores are averaged.

Our choices: every fourth highlight, in order, goes to one part; a part is the mean of its highlights; the loss is
cross-entropy. Live rooms have no history, so pieces made of the streamer's vector stand in. Their parts differ by
learning and not by observation.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from kuaihl.models.baselines.context_block import ContextBlock
from kuaihl.models.baselines.segment_inputs import SegmentInputs
from kuaihl.models.batch import Batch
from kuaihl.models.dims import NetworkDims
from kuaihl.models.losses.objective import LossTerms, Objective, point_alone

_PARTS = 4  # mini-histories
_PIECES = 8  # pieces that stand in for a history on live rooms


class PACNet(nn.Module):
    """Features of segments against boundaries that parts of the history have moved."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.dims, d = dims, dims.width
        self.inputs = SegmentInputs(dims, personal=True, pieces=_PIECES)
        self.context = ContextBlock(dims)
        self.common = nn.Parameter(torch.zeros(d))
        self.customiser = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, d), nn.GELU(), nn.Linear(d, d + 1))

    def forward(self, visual: Tensor, text: Tensor, streamer: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits [B, S]; see `architectures`."""
        x = self.context(self.inputs.segments(visual, text), valid)  # [B, S, d]
        parts, there = mini_histories(*self.inputs.liked(streamer))  # [B, K, d], [B, K]
        moved = self.customiser(parts)  # [B, K, d + 1]
        weight, bias = self.common + moved[..., :-1], moved[..., -1]
        logits = x @ weight.mT * x.shape[-1] ** -0.5 + bias.unsqueeze(1)  # [B, S, K]
        return average_logits(logits, there)

    def training_losses(self, objective: Objective, batch: Batch) -> LossTerms:
        """Cross-entropy."""
        return point_alone(self(batch.visual, batch.text, batch.streamer, batch.segment_valid), batch)


def mini_histories(liked: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Means [B, PARTS, d] of parts of the highlights [B, H, d] that are `there` [B, H], and which parts have any."""
    part = (there.cumsum(dim=1) - 1) % _PARTS  # [B, H]
    member = (part.unsqueeze(1) == torch.arange(_PARTS, device=liked.device).view(1, -1, 1)) & there.unsqueeze(1)
    share = member.to(liked.dtype)  # [B, PARTS, H]
    return share @ liked / share.sum(dim=-1, keepdim=True).clamp(min=1.0), member.any(dim=-1)


def average_logits(logits: Tensor, there: Tensor) -> Tensor:
    """The logit [B, S] of the mean probability of logits [B, S, K] from the classifiers that are `there` [B, K]."""
    hidden = ~there.unsqueeze(1)
    yes, no = (
        functional.logsigmoid(sign * logits).masked_fill(hidden, float("-inf")).logsumexp(dim=-1) for sign in (1, -1)
    )
    return yes - no
