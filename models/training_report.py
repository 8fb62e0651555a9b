"""What a training run tells of itself while it runs. Imports no torch, for those who only listen."""

from dataclasses import dataclass

TERMS = ("total", "point", "pair", "align", "interest")


@dataclass(frozen=True)
class StepReport:
    """Means of the losses since the last report, before weighting but for the total."""

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
    """The end of an epoch: the mean total over it, and the validation rooms' Kendall tau-b."""

    epoch: int  # from 1
    loss: float
    tau: float  # over all segments of all validation rooms
    tau_a_room: float  # mean over rooms
    best: bool  # the network of this epoch is the best so far
