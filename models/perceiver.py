"""Perceiver: one latent a segment gathers what the window shows (paper, section III-B; DESIGN section 5).

In go the latents and the tokens of every segment, out come the latents. As printed every latent sees all n segments,
and with them the segment whose label it is to predict; here the attention is block-causal.

The paper's keys are e and n copies of u; here u stands once, with a learned bias a head, which can make up for the
copies: n of them weigh as one with log n on its logit. Layers 2 to L see e and u again, beside what has become of the
latents; the authors' released layers see e and the latents of the layer before in place of u.
"""

from typing import cast

from torch import Tensor, nn

from kuaihl.models.attention import WindowedAttention, feed_forward
from kuaihl.models.network_dims import HISTORY_ITEMS, NetworkDims
from kuaihl.models.partial_attention import PartialAttention


class PerceiverLayer(nn.Module):
    """Cross-attention from latent i to the tokens of its window and of who is on air, then feed-forward."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dims.width)  # of the latents; tokens come normalised
        who = HISTORY_ITEMS if dims.history_width else 1
        self.attention = WindowedAttention(
            dims.width, dims.heads, dims.window, causal=dims.causal, tokens=dims.tokens, timeless=who
        )
        self.dropout = nn.Dropout(dims.dropout)
        self.feed_forward = feed_forward(dims.width, dims.feed_forward, dims.dropout)

    def forward(
        self, latents: Tensor, tokens: Tensor, valid: Tensor | None = None, known: Tensor | None = None
    ) -> Tensor:
        """`latents` [B, S, d]; `tokens` [B, 1 + S*T, d], the streamer's vector first -> latents [B, S, d].

        Of a user it is [B, H + S*T, d], the history's tokens first; `known` [B, H] says which of them are there.
        """
        memory = self.attention.keys_and_values(tokens)
        return self._mix(latents, self.attention(self.norm(latents), memory, valid, known))

    def newest(self, latent: Tensor, own: Tensor, ring: Tensor, distance: Tensor, streamer: Tensor) -> Tensor:
        """The same for the newest segment alone: latent and `streamer` [B, 1, d], the others as the attention's."""
        return self._mix(latent, self.attention.newest(self.norm(latent), own, ring, distance, streamer))

    def newest_of_means(
        self, latent: Tensor, own: Tensor, means: Tensor, weights: Tensor, distance: Tensor
    ) -> tuple[Tensor, PartialAttention]:
        """The same in the first layer, whose every latent is the streamer's vector."""
        seen, part = self.attention.newest_of_means(self.norm(latent), own, means, weights, distance, latent)
        return self._mix(latent, seen), part

    def _mix(self, latents: Tensor, seen: Tensor) -> Tensor:
        latents = latents + self.dropout(seen)
        return cast(Tensor, latents + self.feed_forward(latents))
