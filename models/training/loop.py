"""Training (paper, supplement, section II): a data set and a plan in, the network with the best validation tau out.

One plain loop. Hugging Face Accelerate puts the network on its device, casts under mixed precision and averages the
gradients of several processes. Every step seeds its own random draws from (seed, step, process), so the number of steps
done is the whole random state.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from kuaihl.models.architectures import ARCHITECTURES, build_network
from kuaihl.models.atomic import remove_torn
from kuaihl.models.batch import Batch
from kuaihl.models.data.checks import see_contents
from kuaihl.models.data.klive import KLive, WindowIndex, streamer_index
from kuaihl.models.errors import DataError, ModelError, Remedy, UsageError
from kuaihl.models.losses.objective import Objective
from kuaihl.models.network.kuaihl import KuaiHL
from kuaihl.models.network.standardize import read_standardised
from kuaihl.models.training.batches import batches, on_device, steps_per_epoch
from kuaihl.models.training.checkpoint import CHECKPOINT_FILE, TrainingState, load_state, save_state
from kuaihl.models.training.fine_tuning import begin_from, pull_back
from kuaihl.models.training.network_size import validate_every_for
from kuaihl.models.training.plan import TrainingPlan
from kuaihl.models.training.report import TERMS, EpochReport, StepReport
from kuaihl.models.training.validation import validate
from kuaihl.models.training.video_set import Stretches, VideoSet

if TYPE_CHECKING:
    from accelerate import Accelerator  # type: ignore[import-untyped]


@dataclass(frozen=True)
class Trained:
    """The network with the best validation so far, on the CPU and ready to score, and how it came about."""

    network: nn.Module
    plan: TrainingPlan
    streamers: Mapping[str, int]
    history: tuple[EpochReport, ...]
    score_quantiles: Mapping[str, float]  # of its scores of the validation rooms

    @property
    def best(self) -> EpochReport:
        return [epoch for epoch in self.history if epoch.best][-1]


class _StepLosses(nn.Module):
    """Network and losses as one module: the wrapper that averages gradients over processes intercepts `forward`."""

    def __init__(self, network: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.network, self.objective = network, objective

    def forward(self, batch: Batch) -> tuple[Tensor, ...]:
        """The scalars of TERMS, the total first."""
        terms = self.network.training_losses(self.objective, batch)  # type: ignore[operator]
        return tuple(getattr(terms, name) for name in TERMS)


def train(
    data: KLive | VideoSet,
    plan: TrainingPlan,
    *,
    start: KuaiHL | None = None,
    folder: Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    checkpoint_seconds: float = 900.0,
    on_report: Callable[[StepReport | EpochReport], None] = lambda report: None,
    on_best: Callable[[Trained], None] = lambda trained: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained | None:
    """Train by the plan, from the network `start` if there is one, on an available device: cpu, cuda, cuda:N or mps.

    `on_report` receives reports and `on_best` every new best network, in the main process alone.

    A `folder` gets a checkpoint after every epoch, every `checkpoint_seconds`, and when `should_stop` returns True;
    then None is returned. With `resume`, training continues from the checkpoint, if there is one.

    Raises DataError naming room and row if the data cannot be learned from. Raises UsageError if processes, device or
    checkpoint do not fit the plan, and ModelError if a loss is not finite.
    """
    accelerator = _start_processes(plan, device)
    process, processes, main = accelerator.process_index, accelerator.num_processes, accelerator.is_main_process
    if ARCHITECTURES[plan.architecture].closed_form:
        from kuaihl.models.training.linear import train_linear

        return train_linear(data, plan, on_report=on_report, on_best=on_best) if main else train_linear(data, plan)
    file = folder / CHECKPOINT_FILE if folder else None
    if folder and main:
        remove_torn(folder)
    streamers, windows = _choose_material(data, plan)
    epoch_steps = steps_per_epoch(len(windows), plan.batch)
    steps = plan.epochs * epoch_steps
    every = {"epoch": epoch_steps, "auto": validate_every_for(epoch_steps)}
    validate_every = plan.validate_every if isinstance(plan.validate_every, int) else every[plan.validate_every]

    torch.manual_seed(plan.seed)
    network, fresh = (
        (build_network(plan.architecture, plan.dims), None) if start is None else begin_from(start, plan.dims)
    )
    start_readers(network, next(batches(windows, streamers, plan, range(1))), fresh)
    adam = torch.optim.Adam(
        network.parameters(), plan.learning_rate, weight_decay=plan.weight_decay, decoupled_weight_decay=True
    )
    anchor = {name: part.detach().to(accelerator.device, copy=True) for name, part in network.named_parameters()}
    model, optimiser = accelerator.prepare(_StepLosses(network, plan.objective), adam)
    state = TrainingState(torch.zeros(len(TERMS), dtype=torch.float64, device=accelerator.device))
    if resume and file and file.exists():
        state = load_state(file, network, adam, plan, len(windows), accelerator.scaler, accelerator.device)

    if start is not None and not fresh and not state.history:  # a complete start is kept if it stays the best
        _validate_and_note(state, network, data, streamers, plan, epoch_steps)
        if main:
            on_report(state.history[-1])
    saved_at = monotonic()
    left = range(0) if state.out_of_patience(plan.patience) else range(state.step, steps)
    for batch in batches(windows, streamers, plan, left, process, processes):
        model.train()
        _seed_step(plan.seed, state.step, process)
        terms = model(on_device(batch, accelerator.device))
        optimiser.zero_grad()
        accelerator.backward(terms[0])
        optimiser.step()
        if plan.pull:
            pull_back(network, anchor, plan.learning_rate * plan.pull)
        state.unreported += torch.stack(terms).detach()
        state.unreported_steps += 1
        state.step += 1

        ended = state.step % epoch_steps == 0
        validated = state.step % validate_every == 0 or state.step == steps
        reported = ended or validated or state.step % plan.report_every == 0
        if reported:
            report = _report_step(accelerator, state, steps, epoch_steps)
            if main:
                on_report(report)
        if validated:
            if _validate_and_note(state, network, data, streamers, plan, epoch_steps) and main:
                if file and not file.exists():  # what `on_best` writes must never lie there without it
                    save_state(file, state, network, adam, plan, len(windows), accelerator.scaler)
                on_best(_result_so_far(state, network, plan, streamers))
            if main:
                on_report(state.history[-1])
        # Several processes stop and save right after they have agreed on their sums.
        stop = should_stop() if processes == 1 else reported and _any_process(accelerator, should_stop())
        due = reported and monotonic() - saved_at > checkpoint_seconds
        finished = state.out_of_patience(plan.patience)
        if file and main and (ended or finished or stop or due):
            save_state(file, state, network, adam, plan, len(windows), accelerator.scaler)
            saved_at = monotonic()
        if finished:
            break
        if stop and state.step < steps:
            return None
    return _result_so_far(state, network, plan, streamers)


def _choose_material(data: KLive | VideoSet, plan: TrainingPlan) -> tuple[Mapping[str, int], WindowIndex | Stretches]:
    """The streamers' indices and the samples to learn from. Raises DataError if rooms or samples are missing."""
    if isinstance(data, VideoSet):
        return {}, data.stretches
    counts = ARCHITECTURES[plan.architecture].reads_counts
    windows = data.windows(
        "train", plan.dims.window, plan.text, plan.samples, counts=counts, signals=plan.dims.signals > 0
    )
    if not data.rooms_of("train") or not data.rooms_of("validation"):
        raise DataError(f"{data.path}: has no rooms to train on or none to validate on", remedy=see_contents(data.path))
    if not len(windows):
        raise DataError(
            f"{data.path}: has no sample of {plan.dims.window} segments, {data.facts.label.min_views} viewers in the "
            "last and a segment after it; train with masked samples"
        )
    return streamer_index(data.rooms), windows


def _start_processes(plan: TrainingPlan, device: str) -> "Accelerator":
    """This process's place among those of a launcher, on its device. Raises UsageError, see `train`."""
    try:
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState  # type: ignore[import-untyped]
    except ImportError as error:
        raise UsageError("training needs Hugging Face Accelerate: pip install 'kuaihl[train]'") from error
    cpu = device == "cpu"
    if cpu and plan.precision == "fp16":
        raise UsageError("needs a GPU; on CPU there are no and bf16", setting="precision", value="fp16")
    if ":" in device:
        torch.cuda.set_device(torch.device(device))
    # An earlier plan of this process may have had another precision or device; a launcher's processes keep theirs.
    launched = torch.distributed.is_available() and torch.distributed.is_initialized()
    AcceleratorState._reset_state(reset_partial_state=not launched)
    accelerator = Accelerator(cpu=cpu, mixed_precision=plan.precision)
    if plan.batch % accelerator.num_processes:
        raise UsageError(
            f"cannot be shared out evenly among {accelerator.num_processes} processes",
            setting="batch",
            value=plan.batch,
        )
    return accelerator


def start_readers(network: nn.Module, batch: Batch, fresh: set[str] | None = None) -> None:
    """Begin with projections that read features standardised over a batch: some encoders' vectors hardly differ.

    In a network that began from another, this applies only to the `fresh` ones.
    """
    inputs = getattr(network, "inputs", network)  # a baseline holds them itself
    for name, features in (("visual", batch.visual), ("text", batch.text), ("signals", batch.signals)):
        reader = getattr(inputs, name, None) if fresh is None or name in fresh else None
        if features is not None and isinstance(reader, nn.Sequential) and isinstance(reader[0], nn.Linear):
            read_standardised(reader, features.numpy())


def _seed_step(seed: int, step: int, process: int) -> None:
    """Seed a step's dropout, hidden ids, swaps and random orders."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, process)).generate_state(1, np.uint64)[0]))


def _report_step(accelerator: "Accelerator", state: TrainingState, steps: int, epoch_steps: int) -> StepReport:
    """Means over the processes and the steps since the last report. Raises ModelError if one is not finite."""
    total, point, pair, align, interest = (
        accelerator.reduce(state.unreported, "mean") / state.unreported_steps
    ).tolist()
    if not np.isfinite(total):
        slower = Remedy("lower the learning rate", {"lr": None})
        raise ModelError(f"the loss is {total} after step {state.step}: the training has diverged", remedy=slower)
    state.total += total * state.unreported_steps
    state.unreported = torch.zeros_like(state.unreported)
    state.unreported_steps = 0
    return StepReport(state.step, steps, (state.step - 1) // epoch_steps + 1, total, point, pair, align, interest)


def _validate_and_note(
    state: TrainingState,
    network: nn.Module,
    data: KLive | VideoSet,
    streamers: Mapping[str, int],
    plan: TrainingPlan,
    epoch_steps: int,
) -> bool:
    """Validate and record it; returns whether this network is the best so far. Every process finds the same."""
    found = data.validate(network) if isinstance(data, VideoSet) else validate(network, data, streamers, plan.text)
    reached = getattr(found, plan.judged_by)
    best = bool(reached > max((getattr(before, plan.judged_by) for before in state.history), default=-np.inf))
    if best:
        state.best_weights = {name: part.detach().cpu().clone() for name, part in network.state_dict().items()}
        state.best_quantiles = found.score_quantiles
    before = state.history[-1].steps_done if state.history else 0
    loss, state.total = state.total / max(state.step - before, 1), 0.0
    epoch = (state.step - 1) // epoch_steps + 1
    state.history.append(EpochReport(epoch, state.step, loss, found.tau, found.tau_per_room, best))
    return best


def _result_so_far(
    state: TrainingState, network: nn.Module, plan: TrainingPlan, streamers: Mapping[str, int]
) -> Trained:
    """The result so far."""
    best = deepcopy(network).cpu().eval()
    best.load_state_dict(state.best_weights)
    return Trained(best, plan, streamers, tuple(state.history), state.best_quantiles)


def _any_process(accelerator: "Accelerator", asked: bool) -> bool:
    """Whether any process was asked: all must stop at the same step."""
    return bool(accelerator.reduce(torch.tensor(float(asked), device=accelerator.device), "sum") > 0)
