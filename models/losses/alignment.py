"""L_align (eq. 4–7): words and pictures of one sample should run in step, give or take a shift.

The positive is the true order of the pictures with one plausible pair swapped (eq. 6). The negatives are N = 8 random
orders, and InfoNCE tells them apart. L'_align is the same without the swap.

Eq. 4 as printed accumulates the *minimum* of cosine similarities, and eq. 7 rewards a high sum: it would prefer the
order whose worst path is best. So a match of z_i and v_j costs 1 − cos, and d is minus the soft-DTW over those costs.
The authors' released code does the same (ICME24/KLive, `dtw_align_loss.py`). λ = γ = 0.1 and τ = 1 also come from that
file; the paper prints none of them. That code uses the order without the swap as the positive, and 7 negatives; here
they are the paper's v' and 8. Only i < j are swapped, since (j, i) is the same swap. A negative equal to the positive
is dropped.
"""

import torch
from torch import Tensor
from torch.nn import functional

from kuaihl.models.losses.soft_dtw import LAMBDA, soft_dtw

_GAMMA = 0.1  # temperature of the swap's draw (eq. 6): the authors' code, not the paper
NEGATIVES = 8  # N
TAU = 1.0  # temperature of InfoNCE (eq. 7): the paper prints none, and the authors' code does not divide


def alignment_loss(
    text: Tensor,
    visual: Tensor,
    valid: Tensor,
    *,
    swap: bool = True,
    negatives: int = NEGATIVES,
    tau: float = TAU,
    gamma: float = _GAMMA,
    smoothing: float = LAMBDA,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Mean over the samples of two or more segments, 0 if there are none.

    `text` and `visual` are [B, S, d]. `valid` [B, S] bool marks the segments that are there (labels play no part).
    """
    order = valid.sort(dim=1, descending=True, stable=True).indices  # segments that are there come first, in order
    lengths = valid.sum(dim=1)
    cost = pair_costs(_gather_rows(text, order), _gather_rows(visual, order))  # [B, S, S]
    positive = swapped_order(1 - cost.detach(), lengths, gamma, generator) if swap else _in_order(cost)
    orders = torch.cat(
        [positive.unsqueeze(1), random_orders(cost, lengths, negatives, generator)], dim=1
    )  # [B, 1+N, S]
    candidates = cost.unsqueeze(1).expand(-1, 1 + negatives, -1, -1)
    candidates = candidates.gather(3, orders.unsqueeze(2).expand_as(candidates))  # columns are pictures
    distance = soft_dtw(candidates.flatten(0, 1), lengths.clamp(min=1).repeat_interleave(1 + negatives), smoothing)
    logits = -distance.view(-1, 1 + negatives) / tau  # [B, 1+N]
    same = (orders[:, 1:] == orders[:, :1]).all(dim=2)  # a negative equal to the positive is dropped
    logits = torch.cat([logits[:, :1], logits[:, 1:].masked_fill(same, float("-inf"))], dim=1)
    each = -functional.log_softmax(logits, dim=1)[:, 0]
    counts = lengths >= 2
    return each.masked_fill(~counts, 0.0).sum() / counts.sum().clamp(min=1)


def pair_costs(text: Tensor, visual: Tensor) -> Tensor:
    """1 − cos(z_i, v_j) of every text with every picture of a sample: [B, S, d] twice -> [B, S, S]."""
    return 1 - functional.normalize(text.float(), dim=-1) @ functional.normalize(visual.float(), dim=-1).transpose(1, 2)


def swapped_order(
    similarity: Tensor, lengths: Tensor, gamma: float = _GAMMA, generator: torch.Generator | None = None
) -> Tensor:
    """The order [B, S] with one pair i < j swapped, drawn from softmax(similarity[i, j] / γ) over all such pairs."""
    segments = similarity.shape[1]
    order = _in_order(similarity)
    later = order[:, :, None] < order[:, None, :]
    there = order < lengths[:, None]
    allowed = (later & there[:, :, None] & there[:, None, :]).flatten(1)  # [B, S*S]
    none = ~allowed.any(dim=1, keepdim=True)  # a sample of one segment "swaps" it with itself
    likely = similarity.flatten(1).nan_to_num() / gamma  # diverged weights should give a loss of NaN, not fail the draw
    logits = likely.masked_fill(~allowed, float("-inf")).masked_fill(none, 0.0)
    shares = torch.softmax(logits, dim=1)
    # What torch.multinomial draws, without its check of the shares, for which a GPU would have to stop.
    waiting = torch.empty_like(shares).exponential_(generator=generator)
    drawn = (shares / waiting).argmax(dim=1, keepdim=True).masked_fill(none, 0)  # [B, 1]
    first, second = drawn // segments, drawn % segments
    return order.scatter(1, first, second).scatter(1, second, first)


def random_orders(like: Tensor, lengths: Tensor, number: int, generator: torch.Generator | None = None) -> Tensor:
    """`number` random permutations of a sample's segments, [B, number, S]; padding stays at the end."""
    batch, segments = like.shape[:2]
    keys = torch.rand(batch, number, segments, device=like.device, generator=generator)
    padding = torch.arange(segments, device=like.device) >= lengths[:, None, None]
    return keys.masked_fill(padding, 2.0).argsort(dim=2)


def _in_order(like: Tensor) -> Tensor:
    return torch.arange(like.shape[1], device=like.device).expand(like.shape[0], -1)


def _gather_rows(vectors: Tensor, order: Tensor) -> Tensor:
    return vectors.gather(1, order.unsqueeze(2).expand_as(vectors))
