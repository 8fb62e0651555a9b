"""The objective of training (eq. 13): L = 0.65 L_point + 0.15 L_align + 0.20 L_pair, each on or off.

A network with a second output, interest, has one more term, which is not in the paper. It is 0.65 L_point + 0.20 L_pair
of that output against the labels of the segments themselves.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from kuaihl.models.batch import Batch
from kuaihl.models.losses.alignment import NEGATIVES, TAU, alignment_loss
from kuaihl.models.losses.pairwise import SIGMA, PairMean, PairVariant, pairwise_loss
from kuaihl.models.losses.point import point_loss

AlignVariant = Literal["align", "align_noswap"]


@dataclass(frozen=True)
class Objective:
    """Weights λ1, λ2, λ3 of the three losses, in the order of eq. 13, and their variants; 0 turns a loss off."""

    point: float = 0.65
    align: float = 0.15
    pair: float = 0.20
    pair_variant: PairVariant = "pair1"
    pair_mean: PairMean = "counted"
    align_variant: AlignVariant = "align"
    sigma: float = SIGMA
    tau: float = TAU
    negatives: int = NEGATIVES
    interest: float = 1.0  # weight of the second output's point and pair losses together, if there is one


@dataclass(frozen=True)
class LossTerms:
    """The total to backpropagate from, and its terms before weighting, each a scalar; a term that is off is 0."""

    total: Tensor
    point: Tensor
    pair: Tensor
    align: Tensor
    interest: Tensor  # the point and pair losses of the second output, with the weights of eq. 13
    logits: Tensor  # [B, S]


def compute_losses(
    objective: Objective,
    batch: Batch,
    logits: Tensor,  # [B, S]
    present: Tensor | None = None,  # [B, S], of the second output
    modalities: tuple[Tensor, Tensor] | None = None,  # text tokens and mean visual tokens, [B, S, d] each
) -> LossTerms:
    """The losses of a network's outputs for a batch. L_align needs both modalities; without them it is 0."""
    nothing = logits.float().sum() * 0.0
    counted = batch.label_valid & batch.segment_valid
    point, pair = _point_and_pair(objective, logits, batch.labels, counted)
    interest = nothing
    if present is not None and batch.interest is not None and batch.interest_valid is not None:
        there = batch.interest_valid & batch.segment_valid
        own_point, own_pair = _point_and_pair(objective, present, batch.interest, there)
        interest = objective.point * own_point + objective.pair * own_pair
    align = nothing
    if objective.align and modalities is not None:
        align = alignment_loss(
            *modalities,
            batch.segment_valid,
            swap=objective.align_variant == "align",
            negatives=objective.negatives,
            tau=objective.tau,
        )
    total = (
        objective.point * point
        + objective.align * align
        + objective.pair * pair
        + (objective.interest * interest if present is not None else 0.0)
    )
    return LossTerms(total, point, pair, align, interest, logits)


def _point_and_pair(objective: Objective, logits: Tensor, labels: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """Both losses of one output, [B, S] each; one that is off is 0."""
    nothing = logits.float().sum() * 0.0
    point = point_loss(logits, labels, counted) if objective.point else nothing
    pair = nothing
    if objective.pair:
        pair = pairwise_loss(
            logits, labels, counted, objective.pair_variant, mean=objective.pair_mean, sigma=objective.sigma
        )
    return point, pair


def point_alone(logits: Tensor, batch: Batch) -> LossTerms:
    """Cross-entropy alone, with which several of the paper's baselines train."""
    point = point_loss(logits, batch.labels, batch.label_valid & batch.segment_valid)
    nothing = logits.float().sum() * 0.0
    return LossTerms(point, point, nothing, nothing, nothing, logits)
