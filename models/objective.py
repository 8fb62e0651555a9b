"""What training minimises (eq. 13): L = 0.65 L_point + 0.15 L_align + 0.20 L_pair, each on or off."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from kuaihl.models.alignment_loss import NEGATIVES, TAU, alignment_loss
from kuaihl.models.batch import Batch
from kuaihl.models.pairwise_loss import SIGMA, PairMean, PairVariant, pairwise_loss
from kuaihl.models.point_loss import point_loss

if TYPE_CHECKING:
    from kuaihl.models.network import KuaiHL

AlignVariant = Literal["align", "align_noswap"]


@dataclass(frozen=True)
class Objective:
    """Weights λ1, λ2, λ3 of the three losses, in the order of eq. 13, and their variants; 0 turns one off."""

    point: float = 0.65
    align: float = 0.15
    pair: float = 0.20
    pair_variant: PairVariant = "pair1"
    pair_mean: PairMean = "counted"
    align_variant: AlignVariant = "align"
    sigma: float = SIGMA
    tau: float = TAU
    negatives: int = NEGATIVES


@dataclass(frozen=True)
class LossTerms:
    """The total to go back from, and its terms before weighting, each a scalar; a term that is off is 0."""

    total: Tensor
    point: Tensor
    pair: Tensor
    align: Tensor
    logits: Tensor  # [B, S]


def losses(
    network: "KuaiHL",
    objective: Objective,
    visual: Tensor,  # [B, S, P, d_v]
    text: Tensor,  # [B, S, d_t]
    streamer: Tensor,  # [B]
    labels: Tensor,  # [B, S] of the next segment each
    label_valid: Tensor,  # [B, S] bool, enough views behind it
    segment_valid: Tensor | None = None,  # [B, S] bool, not padding
) -> LossTerms:
    """One pass through the network and its losses. L_align needs both modalities; without one it is 0."""
    tokens = network.embed(visual, text)
    logits = network.predict(tokens, streamer, segment_valid)
    nothing = logits.float().sum() * 0.0
    counted = label_valid if segment_valid is None else label_valid & segment_valid
    point = point_loss(logits, labels, counted) if objective.point else nothing
    pair = nothing
    if objective.pair:
        pair = pairwise_loss(
            logits, labels, counted, objective.pair_variant, mean=objective.pair_mean, sigma=objective.sigma
        )
    align = nothing
    if objective.align and network.dims.use_text and network.dims.use_visual:
        align = alignment_loss(
            tokens[:, :, -1],
            tokens[:, :, :-1].mean(dim=2),
            torch.ones_like(label_valid) if segment_valid is None else segment_valid,
            swap=objective.align_variant == "align",
            negatives=objective.negatives,
            tau=objective.tau,
        )
    total = objective.point * point + objective.align * align + objective.pair * pair
    return LossTerms(total, point, pair, align, logits)


def point_alone(logits: Tensor, batch: Batch) -> LossTerms:
    """Cross-entropy and nothing else: what several of the paper's baselines train with."""
    point = point_loss(logits, batch.labels, batch.label_valid & batch.segment_valid)
    nothing = logits.float().sum() * 0.0
    return LossTerms(point, point, nothing, nothing, logits)
