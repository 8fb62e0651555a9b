"""A user's history as tokens: up to 20 highlights in place of the streamer's id (paper, supplement, section II)."""

import torch
from torch import Tensor, nn

from kuaihl.models.dims import NetworkDims


class HistoryTokens(nn.Module):
    """One token per history highlight; a user without highlights gets one learned vector, "unknown".

    In training a user becomes unknown with probability `dims.id_dropout`, as a streamer does.
    """

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.hidden = dims.id_dropout
        self.project = nn.Sequential(nn.Linear(dims.history_width, dims.width), nn.LayerNorm(dims.width))
        self.unknown = nn.Parameter(torch.randn(dims.width))

    def forward(self, history: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [B, H, d] of `history` [B, H, history_width], and a mask [B, H] of those present, at least one.

        A row of zeros is a missing highlight.
        """
        there = (history != 0).any(dim=-1)
        if self.training and self.hidden > 0:
            there = there & (torch.rand(len(history), 1, device=history.device) >= self.hidden)
        place = torch.arange(history.shape[1], device=history.device)
        nobody = ~there.any(dim=1, keepdim=True) & (place == 0)  # [B, H]
        tokens = torch.where(nobody.unsqueeze(-1), self.unknown, self.project(history))
        return tokens, there | nobody


def mean_token(tokens: Tensor, there: Tensor) -> Tensor:
    """The mean [B, d] of the tokens [B, H, d] that are `there` [B, H]; H may count anything."""
    weight = there.unsqueeze(-1).to(tokens.dtype)
    return (tokens * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)
