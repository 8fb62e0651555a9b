"""Attention in parts: a query's result over some tokens, and their weight beside other tokens.

A softmax over many tokens is a softmax over parts of them. Each part's mean under its own softmax is weighed by the
logarithm of its sum of exponentials. So constant parts are computed once, and nothing is copied into one row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MASKED = -3e4  # a logit that is negligible even in float16; -inf would turn a fully hidden part into NaN


@dataclass(frozen=True)
class AttentionState:
    """The result of h heads' queries over one part of their tokens."""

    out: Tensor  # [B, h, d], the mean of the part's tokens
    lse: Tensor  # [B, h], log of the sum of exp(logit)


def attend(queries: Tensor, tokens: Tensor, bias: Tensor | None = None) -> AttentionState:
    """Attend from scaled `queries` [B, h, d] to `tokens` [B, N, d], with `bias` [B or 1, h, N] on the logits."""
    alone = tokens.shape[1] == 1
    if queries.is_cpu and not alone and not torch.compiler.is_exporting():
        return attend_on_cpu(queries, tokens, bias)
    logits = queries @ tokens.mT
    logits = logits if bias is None else logits + bias
    return AttentionState(tokens.expand_as(queries), logits.squeeze(-1)) if alone else softmax_state(logits, tokens)


def attend_on_cpu(queries: Tensor, tokens: Tensor, bias: Tensor | None = None) -> AttentionState:
    """The same on a CPU, which reads tokens once: if they are many, only memory limits its speed."""
    # The operator under scaled_dot_product_attention, which does not return the second result. Heads are passed as
    # queries of one head, since all read the same tokens.
    memory = tokens.unsqueeze(1)
    mean, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        queries.unsqueeze(1), memory, memory, attn_mask=None if bias is None else bias.unsqueeze(1), scale=1.0
    )
    return AttentionState(mean.squeeze(1), weight.squeeze(1).to(mean.dtype))  # the weight is float32 for any queries


def softmax_state(logits: Tensor, values: Tensor) -> AttentionState:
    """The state of `logits` [B, h, N] and values [B, N, d], or [B, h, N, d] if heads have their own."""
    most = logits.amax(dim=-1, keepdim=True)
    shares = (logits - most).exp()
    total = shares.sum(dim=-1, keepdim=True)  # [B, h, 1]
    shares = shares / total
    mean = shares @ values if values.dim() == 3 else (shares.unsqueeze(2) @ values).squeeze(2)
    return AttentionState(mean, (most + total.log()).squeeze(-1))


def merge_states(parts: Sequence[AttentionState]) -> Tensor:
    """The queries' result over all parts together, [B, h, d]."""
    shares = torch.stack([part.lse for part in parts]).softmax(dim=0).unsqueeze(-1)  # [parts, B, h, 1]
    mixed = shares[0] * parts[0].out
    for share, part in zip(shares[1:], parts[1:], strict=True):
        mixed = torch.addcmul(mixed, share, part.out)
    return mixed
