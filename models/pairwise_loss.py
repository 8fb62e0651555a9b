"""L_pair (eq. 9–12): of two segments of one sample, the one with the larger label should have the larger score.

With Δs = s_i − s_j and Δy = y_i − y_j > 0, σ = 10:

    pair0  −log sigmoid(σ Δs)            plain; it pushes scores apart for ever, against L_point
    pair1  pair0 where Δs ≤ Δy           with a border: a pair whose scores differ enough counts no more
    pair2  −log sigmoid(σ (Δs − Δy))     the border as the logistic's midpoint
    pair3  pair2 where Δs ≤ Δy           both

pair1 is what the authors released. How eq. 11 and 12 are printed could not be checked against the paper's own
typesetting: pair2 and pair3 are our reading of "border-aware", and one line each to change.
"""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

PairVariant = Literal["pair0", "pair1", "pair2", "pair3"]
PAIR_VARIANTS: tuple[PairVariant, ...] = get_args(PairVariant)
SIGMA = 10.0


def pairwise_loss(
    logits: Tensor, labels: Tensor, valid: Tensor, variant: PairVariant = "pair3", sigma: float = SIGMA
) -> Tensor:
    """Mean over the pairs that count, of all samples together; 0 where none does. All three are [B, S].

    A pair counts where both labels are valid, the first is larger, and the variant's border is not passed.
    """
    scores = logits.float().sigmoid()
    labels = labels.float().masked_fill(~valid, 0.0)
    apart = scores.unsqueeze(2) - scores.unsqueeze(1)  # Δs [B, S, S]
    border = labels.unsqueeze(2) - labels.unsqueeze(1)  # Δy
    counts = (border > 0) & valid.unsqueeze(2) & valid.unsqueeze(1)
    if variant in ("pair1", "pair3"):
        counts = counts & (apart <= border)
    margin = border if variant in ("pair2", "pair3") else torch.zeros_like(border)
    each = functional.softplus(-sigma * (apart - margin))  # −log sigmoid(σ …)
    return each.masked_fill(~counts, 0.0).sum() / counts.sum().clamp(min=1)
