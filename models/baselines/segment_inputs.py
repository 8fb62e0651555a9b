"""The inputs of every baseline: a segment's features as one vector x, and the user's highlights as a few more.

KuaiHL's own projections stand in for each paper's feature extractors, so that Table I compares only the later stages.
"""

from typing import cast

import torch
from torch import Tensor, nn

from kuaihl.models.dims import NetworkDims
from kuaihl.models.network.history_tokens import HistoryTokens
from kuaihl.models.network.kuaihl import streamer_source, streamer_vector, text_projection


class SegmentInputs(nn.Module):
    """Projections of both modalities, and the user's highlights if the system is `personal`.

    On live rooms, `pieces` made of the streamer's vector stand in for the highlights.
    """

    def __init__(self, dims: NetworkDims, *, personal: bool, pieces: int = 1) -> None:
        super().__init__()
        self.dims = dims
        d = dims.width
        if dims.use_visual:
            self.visual = nn.Sequential(nn.Linear(dims.visual_width, d), nn.LayerNorm(d))
        if dims.use_text:
            self.text = text_projection(dims)
        if personal:
            if dims.history_width:
                self.history = HistoryTokens(dims)
            else:
                self.streamer = streamer_source(dims)
                self.pieces = nn.Linear(d, pieces * d) if pieces > 1 else nn.Identity()
            self.streamer_norm = nn.LayerNorm(d)

    def tokens(self, visual: Tensor, text: Tensor) -> Tensor:
        """[B, S, T, d]: visual tokens first, the text token last."""
        parts = [self.visual(visual)] if self.dims.use_visual else []  # [B, S, P, d]
        if self.dims.use_text:
            parts.append(self.text(text).unsqueeze(2))  # [B, S, 1, d]
        return torch.cat(parts, dim=2)

    def segments(self, visual: Tensor, text: Tensor) -> Tensor:
        """x [B, S, d]: the mean of the pictures, plus the words."""
        parts = [self.visual(visual).mean(dim=2)] if self.dims.use_visual else []
        if self.dims.use_text:
            parts.append(self.text(text))
        return torch.stack(parts).sum(dim=0)

    def liked(self, streamer: Tensor) -> tuple[Tensor, Tensor]:
        """Highlights of the history or their stand-ins, [B, K, d], and a mask [B, K] of those that are there."""
        if self.dims.history_width:
            found, there = self.history(streamer)
            return self.streamer_norm(found), there
        u = self.user(streamer)
        found = self.pieces(u).unflatten(-1, (-1, u.shape[-1]))
        return found, torch.ones(found.shape[:2], dtype=torch.bool, device=found.device)

    def user(self, streamer: Tensor) -> Tensor:
        """The streamer's vector u [B, d]."""
        found = streamer_vector(self.dims, self.streamer, streamer, training=self.training)
        return cast(Tensor, self.streamer_norm(found))
