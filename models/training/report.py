"""Progress reports of a training run. Imports no torch, so that their readers need none."""

from dataclasses import dataclass

TERMS = ("total", "point", "pair", "align", "interest")


@dataclass(frozen=True)
class StepReport:
    """Means of the losses since the last report, unweighted except for the total."""

    step: int  # done so far, of `steps`
    steps: int
    epoch: int  # from 1
    total: float
    point: float
    pair: float
    align: float
    interest: float  # 0 for a network without that output


@dataclass(frozen=True)
class EpochReport:
    """A validation, at the end of an epoch or every few steps: the validation rooms' Kendall tau-b."""

    epoch: int  # from 1, the one under way or just ended
    steps_done: int
    loss: float  # mean total since the previous validation
    tau: float  # over all segments of all validation rooms
    tau_per_room: float  # mean over rooms
    best: bool  # this network is the best so far
