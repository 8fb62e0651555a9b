"""Training of the architecture linear: a data set of live rooms and a plan in, the fitted model out, in seconds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from kuaihl.models.data.checks import see_contents
from kuaihl.models.data.klive import KLive
from kuaihl.models.errors import DataError, UsageError
from kuaihl.models.training.linear_fit import LabelledRoom, fit_linear
from kuaihl.models.training.loop import Trained
from kuaihl.models.training.plan import TrainingPlan
from kuaihl.models.training.report import EpochReport, StepReport
from kuaihl.models.training.validation import validate
from kuaihl.models.training.video_set import VideoSet


@dataclass(frozen=True)
class _TrainingRooms:
    """The rooms of the training split, read from their files on every pass."""

    data: KLive
    plan: TrainingPlan

    def __iter__(self) -> Iterator[LabelledRoom]:
        for record in self.data.rooms_of("train"):
            room = self.data.room(record, self.plan.text, signals=self.plan.dims.signals > 0)
            score, interest = (
                np.where(counted, labels, np.nan) for labels, counted in (room.labels(), room.present_labels())
            )
            yield LabelledRoom(room.visual, room.text, room.signals, score, interest)


def train_linear(
    data: KLive | VideoSet,
    plan: TrainingPlan,
    *,
    on_report: Callable[[StepReport | EpochReport], None] = lambda report: None,
    on_best: Callable[[Trained], None] = lambda trained: None,
) -> Trained:
    """Fit, validate once, and return the same as `train`; the loss is the mean squared error of labels left out.

    Raises DataError if the data cannot be learned from, UsageError if they are not a data set of live rooms.
    """
    if isinstance(data, VideoSet):
        raise UsageError(f"reads data sets of live rooms, and {data.path} is none", setting="arch", value="linear")
    if not data.rooms_of("train") or not data.rooms_of("validation"):
        raise DataError(f"{data.path}: has no rooms to train on or none to validate on", remedy=see_contents(data.path))
    try:
        network, fits = fit_linear(_TrainingRooms(data, plan), plan.dims)
    except ValueError as error:
        raise DataError(f"{data.path}: {error}") from error
    found = validate(network, data, {}, plan.text)
    report = EpochReport(1, 1, fits["score"].left_out_error, found.tau, found.tau_per_room, best=True)
    trained = Trained(network, plan, {}, (report,), found.score_quantiles)
    on_best(trained)
    on_report(report)
    return trained
