"""Decoder: latents look back at the latents of their window, and each becomes one logit (paper, section III-B, eq. 3).

The paper prints the mask upside down; here, as in the authors' code, latent i sees latents i-n+1 … i.
It is one layer: the paper does not say how many.
"""

from typing import cast

from torch import Tensor, nn

from kuaihl.models.attention import WindowedAttention, feed_forward
from kuaihl.models.network_dims import NetworkDims


class Decoder(nn.Module):
    """Causal self-attention over the latents within the window, feed-forward, linear."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dims.width)
        self.attention = WindowedAttention(dims.width, dims.heads, dims.window, causal=dims.causal)
        self.dropout = nn.Dropout(dims.dropout)
        self.feed_forward = feed_forward(dims.width, dims.feed_forward, dims.dropout)
        self.head = nn.Sequential(nn.LayerNorm(dims.width), nn.Linear(dims.width, 1))
        if dims.interest:
            self.interest = nn.Sequential(nn.LayerNorm(dims.width), nn.Linear(dims.width, 1))
        self.has_interest = dims.interest

    def forward(self, latents: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """`latents` [B, S, d] -> logits [B, S] of the next segment, and of the present one if there is that output."""
        normed = self.norm(latents)
        return self._logits(latents, self.attention(normed, self.attention.keys_and_values(normed), valid))

    def newest(self, latent: Tensor, ring: Tensor, distance: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """The newest latent [B, 1, d], the `ring` [B, n, d] of those before -> logits [B, 1], its place in the ring.

        `distance` [B, n] as in `WindowedAttention.newest`. The ring holds latents as the attention reads them, normed.
        """
        normed = self.norm(latent)  # [B, 1, d]
        return *self._logits(latent, self.attention.newest(normed, normed, ring.unsqueeze(2), distance)), normed

    def _logits(self, latents: Tensor, seen: Tensor) -> tuple[Tensor, Tensor | None]:
        latents = latents + self.dropout(seen)
        latents = latents + self.feed_forward(latents)
        present = cast(Tensor, self.interest(latents).squeeze(-1)) if self.has_interest else None
        return cast(Tensor, self.head(latents).squeeze(-1)), present
