"""Ranking by a margin, a loss of several of the systems: the better of two segments should lead by the margin."""

from torch import Tensor


def margin_loss(scores: Tensor, labels: Tensor, valid: Tensor, margin: float) -> Tensor:
    """Mean of max(0, margin - (s_i - s_j)) over pairs of one sample with y_i > y_j, 0 without pairs. All are [B, S]."""
    scores, labels = scores.float(), labels.float().masked_fill(~valid, 0.0)
    lead = scores.unsqueeze(2) - scores.unsqueeze(1)  # [B, S, S]
    counts = (labels.unsqueeze(2) > labels.unsqueeze(1)) & valid.unsqueeze(2) & valid.unsqueeze(1)
    return (margin - lead).clamp(min=0.0).masked_fill(~counts, 0.0).sum() / counts.sum().clamp(min=1)
