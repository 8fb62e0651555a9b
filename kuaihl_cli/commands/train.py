"""`kuaihl train DATASET -o BUNDLE`: train a network on a data set and keep the best in a bundle."""

import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kuaihl.models.errors import UsageError
from kuaihl.models.training.network_size import LEARNING_RATE as SIZED_RATE
from kuaihl.models.training.network_size import MOST_EPOCHS, PATIENCE
from kuaihl.models.training.plan import FINE_TUNING_RATE as TUNING_RATE
from kuaihl.models.training.plan import LEARNING_RATE, PULL, TrainingPlan, batch_for, epochs_for, text_without
from kuaihl_cli.command import RULE, application, read_settings
from kuaihl_cli.commands.train_settings import TrainSettings
from kuaihl_cli.terminal.interrupt import EXIT_INTERRUPTED, stopped_by_signals
from kuaihl_cli.terminal.messages import is_main_process, say

if TYPE_CHECKING:
    from kuaihl.models.data.klive import KLive
    from kuaihl.models.losses.objective import Objective
    from kuaihl.models.training.loop import Trained
    from kuaihl.models.training.video_set import VideoSet

app = application()


@app.command(epilog=RULE)
@read_settings(TrainSettings)
def train(settings: TrainSettings) -> int:
    """Train on DATASET and write BUNDLE.

    DATASET is a folder that `kuaihl dataset build` or `simulate` made; or PHD's training.csv, or TVSum or SumMe as h5
    (docs/training.md), whose networks see a whole video at once.

    Losses and optimiser are the paper's, and so is the schedule of its profile; on edge features size and length follow
    from DATASET. The validation rooms are scored at intervals, and the network of the best Kendall tau is kept. Ctrl-C
    saves a checkpoint; --resume goes on from it to the very same losses. Several processes or GPUs:
    accelerate launch -m kuaihl_cli train … (docs/training.md).
    """
    output = settings.output
    folder = output.with_name(f"{output.name}.training")
    _refuse_to_overwrite(output, folder, resume=settings.resume, force=settings.force)
    from kuaihl_cli.commands.training_set import open_training_set

    data = open_training_set(settings)
    return run(data, plan_of(data, settings), folder, settings)


def _refuse_to_overwrite(output: Path, folder: Path, *, resume: bool, force: bool) -> None:
    """Raise UsageError if the command would overwrite hours of training."""
    from kuaihl.models.training.checkpoint import CHECKPOINT_FILE

    if resume and force:
        raise UsageError("--resume goes on and --force starts over: give one of them")
    checkpoint = folder / CHECKPOINT_FILE
    if force and is_main_process():
        checkpoint.unlink(missing_ok=True)  # otherwise a later --resume would continue the earlier run
    if not (resume or force) and checkpoint.exists():
        raise UsageError(f"{checkpoint} is there already; --resume goes on with that run, --force starts over")
    if not force and output.exists() and not checkpoint.exists():
        raise UsageError(f"{output} is there already, and no checkpoint to go on from; --force overwrites it")


def _objective_of(settings: TrainSettings) -> "Objective":
    """The objective, eq. 13, as the options set it."""
    from kuaihl.models.losses.objective import Objective

    point, align, pair = settings.loss_weights
    return Objective(
        point=point,
        align=0.0 if settings.align == "off" else align,
        pair=0.0 if settings.pair == "off" else pair,
        pair_variant="pair1" if settings.pair == "off" else settings.pair,
        pair_mean=settings.pair_mean,
        align_variant="align" if settings.align == "off" else settings.align,
    )


def plan_of(data: "KLive | VideoSet", settings: TrainSettings) -> TrainingPlan:
    """The options as a plan for this data set. Raises UsageError, ModelError for an impossible network."""
    from kuaihl.models.losses.objective import Objective
    from kuaihl_cli.commands.training_set import dims_of
    from kuaihl_cli.commands.training_start import size_of, start_of

    if settings.arch == "linear":
        _refuse_schedule(settings)
    if settings.arch != "kuaihl" and _objective_of(settings) != Objective():
        raise UsageError(
            f"--loss-weights, --pair, --pair-mean and --align are for --arch kuaihl; {settings.arch} has its own loss"
        )
    if data.facts.profile == "phd":  # for binary labels the paper uses L_point and L_align alone
        settings = replace(settings, pair="off")
    start, size = start_of(data, settings), size_of(data, settings)
    by_patience = settings.epochs is None and settings.size != "profile" and (start or size) is not None
    decay = settings.weight_decay
    return TrainingPlan(
        architecture=settings.arch,
        dims=dims_of(data, settings, start, size),
        objective=_objective_of(settings),
        samples=settings.samples,
        text=text_without(settings.without),
        epochs=settings.epochs or (MOST_EPOCHS if by_patience else epochs_for(data.facts.profile)),
        batch=settings.batch or batch_for(data.facts.profile),
        learning_rate=settings.lr or (TUNING_RATE if start else SIZED_RATE if size else LEARNING_RATE),
        seed=settings.seed,
        precision=settings.precision,
        weight_decay=decay if decay is not None else size.weight_decay if size else 0.0,
        start=start.head_sha256 if start else "",
        pull=PULL if start else 0.0,
        validate_every=settings.validate_every or ("auto" if by_patience or settings.patience else "epoch"),
        patience=settings.patience or (PATIENCE if by_patience else None),
        judged_by="tau_per_room" if by_patience else "tau",
    )


def _refuse_schedule(settings: TrainSettings) -> None:
    """Raise UsageError for options of training in steps: the linear model is solved at once."""
    of_steps = {
        "layers": settings.layers,
        "heads": settings.heads,
        "epochs": settings.epochs,
        "batch": settings.batch,
        "lr": settings.lr,
        "size": settings.size,
        "dropout": settings.dropout,
        "weight-decay": settings.weight_decay,
        "validate-every": settings.validate_every,
        "patience": settings.patience,
    }
    for name, value in of_steps.items():
        if value is not None:
            raise UsageError(f"--{name}: --arch linear is solved in closed form and has none; leave it out")
    if settings.samples != "masked":
        raise UsageError("--samples: --arch linear learns from every label; leave it out")


def run(data: "KLive | VideoSet", plan: TrainingPlan, folder: Path, settings: TrainSettings) -> int:
    """Train with progress and write the bundle; returns the exit code."""
    from kuaihl.engines.runtimes.device import choose_device, set_threads
    from kuaihl.models.training.loop import train as train_network
    from kuaihl_cli.commands.training_log import open_callbacks
    from kuaihl_cli.commands.training_start import network_to_start_from

    device = choose_device(settings.device)
    if settings.threads:  # otherwise torch or the launcher of the processes decides
        set_threads(settings.threads)
    with (
        stopped_by_signals() as stop,
        open_callbacks(folder, plan.batch, settings.tensorboard, quiet=settings.quiet) as tell,
    ):
        trained = train_network(
            data,
            plan,
            start=network_to_start_from(data, plan, settings),
            folder=folder,
            resume=settings.resume,
            device=device,
            checkpoint_seconds=60 * settings.checkpoint_minutes,
            on_report=tell,
            on_best=lambda best: _write_bundle(best, data, settings),
            should_stop=stop.is_set,
        )
    if trained is None:
        if is_main_process():
            say(f"stopped, checkpoint saved; go on with: {_resume_command()}")
        return EXIT_INTERRUPTED
    if is_main_process():
        _write_bundle(trained, data, settings)
        best = trained.best
        print(f"{settings.output}: epoch {best.epoch}, validation tau {best.tau:.3f}, per room {best.tau_per_room:.3f}")
    return 0


def _write_bundle(trained: "Trained", data: "KLive | VideoSet", settings: TrainSettings) -> None:
    """Write the best network with all facts on its training. Raises ModelError."""
    from kuaihl.models.bundle import save_bundle
    from kuaihl_cli.commands.training_set import counts_of

    facts, plan = data.facts, trained.plan
    save_bundle(
        settings.output,
        trained.network,
        architecture=plan.architecture,
        profile=facts.profile,
        encoders=facts.encoders,
        label=facts.label,
        licence_weights=settings.licence,
        licence_data=facts.licence,
        segment_seconds=facts.segment_seconds,
        streamers=trained.streamers,
        score_quantiles=trained.score_quantiles,
        metrics={
            "command": _format_command(),
            "validation": asdict(trained.best),
            "history": [asdict(epoch) for epoch in trained.history],
            "plan": {name: value for name, value in asdict(plan).items() if name != "dims"},
            "data": {"name": data.path.resolve().name, **counts_of(data)},
        }
        | ({"from": {"bundle": settings.start, "head_sha256": plan.start}} if plan.start else {}),
    )


def _format_command() -> str:
    """The command as typed."""
    return shlex.join(["kuaihl", *sys.argv[1:]])


def _resume_command() -> str:
    """The same command with --resume."""
    words = [word for word in sys.argv[1:] if word not in ("--force", "--resume")]
    return shlex.join(["kuaihl", *words, "--resume"])
