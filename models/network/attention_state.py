"""Attention in parts: what a query makes of some tokens, and how much they weigh beside others.

A softmax over many tokens is a softmax over parts of them: each part's mean under its own softmax, weighed by the
logarithm of its sum of exponentials. So what never changes is computed once, and nothing is copied to stand in one row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MASKED = -3e4  # a logit that is none beside others, in float16, too; -inf would leave a part that is all hidden NaN


@dataclass(frozen=True)
class AttentionState:
    """Of h heads' queries to one part of what they see."""

    out: Tensor  # [B, h, d], of the part's tokens
    lse: Tensor  # [B, h], log of the sum of exp(logit)


def attend(queries: Tensor, tokens: Tensor, bias: Tensor | None = None) -> AttentionState:
    """What queries `queries` [B, h, d], scaled, make of `tokens` [B, N, d]; `bias` [B or 1, h, N] is on the logits."""
    alone = tokens.shape[1] == 1
    if queries.is_cpu and not alone and not torch.compiler.is_exporting():
        return attend_on_cpu(queries, tokens, bias)
    logits = queries @ tokens.mT
    logits = logits if bias is None else logits + bias
    return AttentionState(tokens.expand_as(queries), logits.squeeze(-1)) if alone else softmax_state(logits, tokens)


def attend_on_cpu(queries: Tensor, tokens: Tensor, bias: Tensor | None = None) -> AttentionState:
    """The same on a CPU, which reads tokens once: where they are many, it waits for nothing but memory."""
    # The operator under scaled_dot_product_attention, which keeps the second of its results to itself. Heads go as
    # queries of one head, since all read the same tokens.
    memory = tokens.unsqueeze(1)
    mean, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        queries.unsqueeze(1), memory, memory, attn_mask=None if bias is None else bias.unsqueeze(1), scale=1.0
    )
    return AttentionState(mean.squeeze(1), weight.squeeze(1).to(mean.dtype))  # which is float32 for any queries


def softmax_state(logits: Tensor, values: Tensor) -> AttentionState:
    """From `logits` [B, h, N] and values [B, N, d], or [B, h, N, d] where heads have their own."""
    most = logits.amax(dim=-1, keepdim=True)
    shares = (logits - most).exp()
    total = shares.sum(dim=-1, keepdim=True)  # [B, h, 1]
    shares = shares / total
    mean = shares @ values if values.dim() == 3 else (shares.unsqueeze(2) @ values).squeeze(2)
    return AttentionState(mean, (most + total.log()).squeeze(-1))


def merge_states(parts: Sequence[AttentionState]) -> Tensor:
    """What the queries make of all parts together, [B, h, d]."""
    shares = torch.stack([part.lse for part in parts]).softmax(dim=0).unsqueeze(-1)  # [parts, B, h, 1]
    mixed = shares[0] * parts[0].out
    for share, part in zip(shares[1:], parts[1:], strict=True):
        mixed = torch.addcmul(mixed, share, part.out)
    return mixed
