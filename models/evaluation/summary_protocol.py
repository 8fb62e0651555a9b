"""Rank correlation of a video's scores with its annotators, and of the annotators with one another (TVSum, SumMe).

The protocol is that of Otani et al., "Rethinking the Evaluation of Video Summaries" (CVPR 2019). It takes Kendall's
tau-b and Spearman's rho with each annotator over all frames of a video, averaged over annotators, then over videos.
Human agreement is the mean over all pairs of a video's annotators: each against each other one alone, not against their
mean. On TVSum that gives the published 0.177 and 0.204.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kuaihl.models.evaluation.rank_correlation import average_ranks, kendall_tau_b, spearman_rho


@dataclass(frozen=True)
class RankAgreement:
    """Means over annotators, in [-1, 1]; NaN if nobody preferred any frame."""

    tau: float
    rho: float


def measure_agreement(scores: ArrayLike, annotations: ArrayLike) -> RankAgreement:
    """The agreement of scores [F] of a video's frames with its annotators' [A, F].

    Annotators who rated all frames alike are left out. Scores that are all alike have an agreement of 0. Raises
    ValueError if there are not as many scores as frames.
    """
    raters = _who_preferred(annotations)
    pairs = [(kendall_tau_b(scores, rater), spearman_rho(scores, rater)) for rater in raters]
    return _mean(np.nan_to_num(np.array(pairs).reshape(-1, 2)))


def human_agreement(annotations: ArrayLike) -> RankAgreement:
    """The agreement of a video's annotators [A, F] with one another."""
    raters = _who_preferred(annotations)
    one, other = np.triu_indices(len(raters), k=1)
    if not len(one):
        return _mean(np.empty((0, 2)))
    rho = np.atleast_2d(np.corrcoef([average_ranks(rater) for rater in raters]))[one, other]
    return _mean(np.stack([_taus(raters)[one, other], rho], axis=1))


def _who_preferred(annotations: ArrayLike) -> NDArray[np.float64]:
    raters = np.asarray(annotations, dtype=np.float64)
    if raters.ndim != 2:
        raise ValueError(f"annotations {raters.shape} are not annotators by frames")
    preferred: NDArray[np.float64] = raters[np.ptp(raters, axis=1) > 0] if raters.size else raters[:0]
    return preferred


def _taus(raters: NDArray[np.float64]) -> NDArray[np.float64]:  # [A, F] -> [A, A]
    """Tau-b of all pairs of annotators at once; frames are counted by their two levels, which are few."""
    levels, level = np.unique(raters, return_inverse=True)
    annotators, many = len(raters), len(levels)
    given = level.reshape(raters.shape)[:, None] == np.arange(many)[:, None]  # [A, L, F]
    flat = given.reshape(annotators * many, -1).astype(np.float32)
    frames = (flat @ flat.T).astype(np.float64).reshape(annotators, many, annotators, many).swapaxes(1, 2)
    # [A, A, L, L]; float32 counts exactly up to 2^24 frames, 190 hours at 25 per second.
    below = np.zeros_like(frames)
    below[:, :, 1:, 1:] = frames.cumsum(axis=2).cumsum(axis=3)[:, :, :-1, :-1]  # both levels lower
    across = np.zeros_like(frames)
    across[:, :, :-1, 1:] = frames[:, :, ::-1].cumsum(axis=2)[:, :, ::-1].cumsum(axis=3)[:, :, 1:, :-1]
    told_apart = (raters.shape[1] ** 2 - (given.sum(axis=2) ** 2).sum(axis=1)) / 2  # [A], pairs of frames
    taus: NDArray[np.float64] = (frames * (below - across)).sum(axis=(2, 3))
    return taus / np.sqrt(np.outer(told_apart, told_apart))


def _mean(pairs: NDArray[np.float64]) -> RankAgreement:  # [pairs, 2]
    if not len(pairs):
        return RankAgreement(float("nan"), float("nan"))
    tau, rho = pairs.mean(axis=0)
    return RankAgreement(float(tau), float(rho))
