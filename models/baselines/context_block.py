"""A transformer block over segments that sees the look-back window alone, as all systems must on a live stream."""

from typing import cast

from torch import Tensor, nn

from kuaihl.models.dims import NetworkDims
from kuaihl.models.network.attention import WindowedAttention, feed_forward


class ContextBlock(nn.Module):
    """Self-attention within the window, then feed-forward; [B, S, d] to [B, S, d]."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dims.width)
        self.attention = WindowedAttention(dims.width, dims.heads, dims.window, causal=dims.causal)
        self.dropout = nn.Dropout(dims.dropout)
        self.feed_forward = feed_forward(dims.width, dims.feed_forward, dims.dropout)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        normed = self.norm(x)
        x = x + self.dropout(self.attention(normed, self.attention.keys_and_values(normed), valid))
        return cast(Tensor, x + self.feed_forward(x))
