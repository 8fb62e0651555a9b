"""Multi-head attention of one query per segment to the tokens of the segments within its window.

A learned bias on the logits, one per head and segment distance, conveys order; the paper does not mention order.
Nothing depends on absolute position, so the same weights serve a window of 20, a whole room, and a stream that never
ends.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from kuaihl.models.network.attention_state import MASKED, AttentionState, attend, merge_states, softmax_state


class WindowedAttention(nn.Module):
    """Query i sees the `tokens` of each of the segments i-n+1 … i (of i-n+1 … i+n-1 if not `causal`).

    `timeless` tokens may precede the segments' tokens, and every query sees them: the streamer's, or a history's. They
    have no order and so share their bias. Keys and values travel side by side as one tensor, the memory
    [B, timeless + S*T, 2d]. Their projection has no bias: softmax would drop the keys', and the output's bias covers
    the values'. A stream's step needs neither keys nor values (`forward_step`).
    """

    def __init__(
        self, width: int, heads: int, window: int, *, causal: bool, tokens: int = 1, timeless: int = 0
    ) -> None:
        super().__init__()
        self.heads, self.window, self.causal, self.tokens, self.timeless = heads, window, causal, tokens, timeless
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width)
        # Heads begin with reaches from one segment to all: nothing would be learned from hundreds of equal tokens.
        distance = torch.arange(0 if causal else 1 - window, window).abs().float()
        self.distance_bias = nn.Parameter(-torch.outer(2.0 * 0.5 ** torch.arange(heads), distance))
        self.timeless_bias = nn.Parameter(torch.zeros(heads, 1)) if timeless else None

    def keys_and_values(self, tokens: Tensor) -> Tensor:
        """Keys and values [B, N, 2d] of tokens [B, N, d]."""
        return cast(Tensor, self.key_value(tokens))

    def forward(
        self, queries: Tensor, memory: Tensor, valid: Tensor | None = None, known: Tensor | None = None
    ) -> Tensor:
        """Attend from queries [B, S, d] to the memory of S segments.

        False in `valid` [B, S] hides segments that are padding; in `known` [B, timeless] it hides tokens that are
        missing.

        Queries go in blocks of one window, so cost and memory grow with S, not with its square.
        """
        segments, reach = queries.shape[1], self.window - 1
        blocks = []
        for first in range(0, segments, self.window):  # one turn in training, where S = n
            last = min(first + self.window, segments)
            seen = range(max(0, first - reach), last if self.causal else min(segments, last + reach))
            shown = None if valid is None else valid[:, seen.start : seen.stop]
            bias = self._bias(_distances(range(first, last), seen, queries.device), shown)
            blocks.append(self._attend(queries[:, first:last], self._slice(memory, seen), bias, known))
        return torch.cat(blocks, dim=1) if len(blocks) > 1 else blocks[0]

    def forward_step(
        self, query: Tensor, current: Tensor, ring: Tensor, distance: Tensor, timeless: Tensor | None = None
    ) -> Tensor:
        """Attend from the newest segment's query [B, 1, d] to the timeless token, its own tokens and those of the ring.

        `timeless` is [B, 1, d], and the segment's own tokens `current` are [B, T, d]. `ring` [B, n, T, d] holds the n
        segments before in any order. `distance` [B, n] says how far back each of them is, n for those out of sight. The
        result is that of `forward`, without keys and values: q (W_k e) = (W_k^T q) e and sum_j a_j (W_v e_j) = W_v
        (sum_j a_j e_j). So a stream keeps only its tokens, once for all layers. A step projects one query instead of
        all the tokens that are new to it.
        """
        projected = self._project_query(query)
        bias = self._ring_bias(distance).unsqueeze(-1).expand(-1, -1, -1, self.tokens).flatten(2)  # [B, h, n*T]
        parts = [self._local(attend(projected, current)), attend(projected, ring.flatten(1, 2), bias)]
        return self._project_output(
            parts if timeless is None else [*parts, attend(projected, timeless, self.timeless_bias)]
        )

    def forward_step_cached(
        self, query: Tensor, current: Tensor, outs: Tensor, lses: Tensor, distance: Tensor, timeless: Tensor
    ) -> tuple[Tensor, AttentionState]:
        """`forward_step` for a query that is the same in every segment: parts replace the tokens of earlier segments.

        `outs` [B, h, n, d] and `lses` [B, h, n] are the parts that were returned for the n segments before, beside the
        result.
        """
        projected = self._project_query(query)
        added = attend(projected, current)
        before = softmax_state(lses + self._ring_bias(distance), outs)
        return self._project_output(
            [self._local(added), before, attend(projected, timeless, self.timeless_bias)]
        ), added

    def _project_query(self, query: Tensor) -> Tensor:
        """W_k^T of a query [B, 1, d]: the scaled vector that each head looks for among tokens, [B, h, d]."""
        batch, _, width = query.shape
        to_keys = self.key_value.weight.view(2, self.heads, -1, width)[0]  # [h, d_h, d]
        heads = self.query(query).view(batch, self.heads, -1).transpose(0, 1)  # [h, B, d_h]
        return cast(Tensor, (heads @ to_keys).transpose(0, 1) * heads.shape[-1] ** -0.5)

    def _project_output(self, parts: Sequence[AttentionState]) -> Tensor:
        """The output [B, 1, d] of attention in parts."""
        mixed = merge_states(parts)  # [B, h, d]
        to_values = self.key_value.weight.view(2, self.heads, -1, mixed.shape[-1])[1]
        valued = mixed.transpose(0, 1) @ to_values.mT  # [h, B, d_h]
        return cast(Tensor, self.out(valued.transpose(0, 1).flatten(1).unsqueeze(1)))

    def _local(self, part: AttentionState) -> AttentionState:
        """A segment's part as seen from that segment."""
        return AttentionState(part.out, part.lse + self.distance_bias[:, 0])

    def _ring_bias(self, distance: Tensor) -> Tensor:
        """The learned bias [B, h, n] of segments at `distance` [B, n]; those at n are hidden."""
        unseen = torch.full_like(self.distance_bias[:, :1], MASKED)
        return torch.cat([self.distance_bias, unseen], dim=1)[:, distance].transpose(0, 1)

    def _attend(self, queries: Tensor, memory: Tensor, bias: Tensor, known: Tensor | None) -> Tensor:
        """Attend from queries [B, Q, d] to the memory of W segments, with `bias` [B or 1, h, Q, W] on the logits."""
        query = self._heads(self.query(queries))  # [B, h, Q, d_h]
        key, value = (self._heads(half) for half in memory.chunk(2, dim=-1))  # [B, h, timeless + W*T, d_h]
        bias = bias.unsqueeze(-1).expand(*bias.shape, self.tokens).flatten(3)  # a segment's tokens are equally far
        if self.timeless_bias is not None:
            always = self.timeless_bias[None, :, None].expand(bias.shape[0], -1, bias.shape[2], self.timeless)
            if known is not None:
                always = always.masked_fill(~known[:, None, None], float("-inf"))  # [B, h, Q, timeless]
                bias = bias.expand(always.shape[0], -1, -1, -1)
            bias = torch.cat([always, bias], dim=-1)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        return cast(Tensor, self.out(mixed.transpose(1, 2).flatten(2)))

    def _heads(self, wide: Tensor) -> Tensor:
        return wide.view(*wide.shape[:2], self.heads, -1).transpose(1, 2)  # [B, N, d] -> [B, h, N, d_h]

    def _bias(self, distance: Tensor, valid: Tensor | None) -> Tensor:
        """The learned bias within the window and -inf outside it, for `distance` [Q, W] from key to query."""
        reach = self.window - 1
        ahead = 0 if self.causal else reach
        visible = ((distance <= reach) & (distance >= -ahead))[None, None]  # [1, 1, Q, W]
        if valid is not None:  # a query always sees its own segment, so that no row of the softmax is empty
            visible = visible & (valid[:, None, None] | (distance == 0))
        bias = self.distance_bias[:, distance.clamp(-ahead, reach) + ahead].unsqueeze(0)
        return bias.masked_fill(~visible, float("-inf"))

    def _slice(self, memory: Tensor, segments: range) -> Tensor:
        first, last = (self.timeless + self.tokens * edge for edge in (segments.start, segments.stop))
        if first == self.timeless:
            return memory[:, :last]
        return torch.cat([memory[:, : self.timeless], memory[:, first:last]], dim=1)


def feed_forward(width: int, multiple: int, dropout: float) -> nn.Sequential:
    """The position-wise half of a block, pre-norm."""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, multiple * width),
        nn.GELU(),
        nn.Linear(multiple * width, width),
        nn.Dropout(dropout),
    )


def _distances(queries: range, keys: range, device: torch.device) -> Tensor:
    rows = torch.arange(queries.start, queries.stop, device=device)
    columns = torch.arange(keys.start, keys.stop, device=device)
    return rows[:, None] - columns[None, :]
