"""L_pair (eq. 9–12): of two segments of one sample, the one with the larger label should have the larger score.

Every pair y_i > y_j that counts adds log(1 + exp(−σ(s_i − s_j))), σ = 10. The variants differ in which pairs count:

    pair0  (eq. 9)   all; it pushes scores apart for ever, against L_point
    pair1  (eq. 10)  (y_i − y_j) − (s_i − s_j) ≥ 0, inside the border: Parts 1 and 2; the paper's choice
    pair2  (eq. 11)  s_i − s_j ≤ 0, in the wrong order: Part 1
    pair3  (eq. 12)  0 < s_i − s_j < y_i − y_j, in order but not far enough apart: Part 2

The paper prints a sum over the pairs, which grows with their number. Here it is divided by the pairs that count, as in
the authors' released code, or by all pairs y_i > y_j. The two differ most for pair2 and pair3: the first gives the
pairs of one part the weight of all.
"""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

PairVariant = Literal["pair0", "pair1", "pair2", "pair3"]
PAIR_VARIANTS: tuple[PairVariant, ...] = get_args(PairVariant)
PairMean = Literal["counted", "all"]
PAIR_MEANS: tuple[PairMean, ...] = get_args(PairMean)
SIGMA = 10.0


def pairwise_loss(
    logits: Tensor,
    labels: Tensor,
    valid: Tensor,
    variant: PairVariant = "pair1",
    *,
    mean: PairMean = "counted",
    sigma: float = SIGMA,
) -> Tensor:
    """Mean over the pairs of all samples together, 0 if there are none. `logits`, `labels`, `valid` (bool): [B, S].

    Both labels of a pair must be valid. `mean` divides the sum by the pairs that count, or by all pairs y_i > y_j.
    """
    scores = logits.float().sigmoid()
    labels = labels.float().masked_fill(~valid, 0.0)
    apart = scores.unsqueeze(2) - scores.unsqueeze(1)  # s_i − s_j [B, S, S]
    border = labels.unsqueeze(2) - labels.unsqueeze(1)  # y_i − y_j
    ordered = (border > 0) & valid.unsqueeze(2) & valid.unsqueeze(1)
    counted = ordered & _counted_pairs(variant, apart, border)
    each = functional.softplus(-sigma * apart)  # log(1 + exp(−σ …))
    pairs = counted if mean == "counted" else ordered
    return each.masked_fill(~counted, 0.0).sum() / pairs.sum().clamp(min=1)


def _counted_pairs(variant: PairVariant, apart: Tensor, border: Tensor) -> Tensor:
    """A mask of the pairs that count, by s_i − s_j and y_i − y_j > 0: bool, of their shape."""
    if variant == "pair0":
        return torch.ones_like(apart, dtype=torch.bool)
    if variant == "pair1":
        return border - apart >= 0
    if variant == "pair2":
        return apart <= 0
    return (apart > 0) & (apart < border)
