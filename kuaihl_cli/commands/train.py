"""`kuaihl train DATASET -o BUNDLE`: train a network on a data set and keep the best in a bundle."""

import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kuaihl.models.errors import UsageError
from kuaihl.models.network_size import LEARNING_RATE as SIZED_RATE
from kuaihl.models.network_size import MOST_EPOCHS, PATIENCE, SIZE_NAMES
from kuaihl.models.training_plan import (
    ABLATIONS,
    BATCH,
    EPOCHS,
    EXTRAS,
    LEARNING_RATE,
    PHD_BATCH,
    PHD_EPOCHS,
    PRECISIONS,
    PULL,
    TrainingPlan,
    batch_for,
    epochs_for,
    text_without,
)
from kuaihl.models.training_plan import FINE_TUNING_RATE as TUNING_RATE
from kuaihl_cli.options import debug_option

if TYPE_CHECKING:
    from kuaihl.models.klive import KLive
    from kuaihl.models.objective import Objective
    from kuaihl.models.training import Trained
    from kuaihl.models.video_set import VideoSet

EXIT_INTERRUPTED = 130
ARCHITECTURES = ("kuaihl", "antpivot", "adaptive-h-fcsn", "pr-net", "pac-net", "showme", "linear", "id-counts")


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, metavar="BUNDLE",
    help="Where the bundle goes; checkpoints and the log go to BUNDLE.training beside it.",
)  # fmt: skip
@click.option(
    "--arch", type=click.Choice(ARCHITECTURES), default="kuaihl", show_default=True,
    help="The paper's model, a baseline of its Table I, its supplement's ID-based one, or ridge regression.",
)  # fmt: skip
@click.option(
    "--loss-weights", type=click.FloatRange(0.0), nargs=3, default=(0.65, 0.15, 0.20), show_default=True,
    metavar="POINT ALIGN PAIR", help="Weights of the three losses in the order of eq. 13; 0 turns one off.",
)  # fmt: skip
@click.option(
    "--pair", type=click.Choice(["pair0", "pair1", "pair2", "pair3", "off"]), default="pair1", show_default=True,
    help="Pairwise loss (eq. 9-12): every pair; inside the border; in the wrong order; in order but too close.",
)  # fmt: skip
@click.option(
    "--pair-mean", type=click.Choice(["counted", "all"]), default="counted", show_default=True,
    help="What the pairwise loss is a mean over: the pairs that its variant counts, or every pair.",
)  # fmt: skip
@click.option(
    "--align", type=click.Choice(["align", "align_noswap", "off"]), default="align", show_default=True,
    help="Alignment of words and pictures (eq. 4-7), with or without the swap.",
)  # fmt: skip
@click.option(
    "--without", type=click.Choice(ABLATIONS), multiple=True,
    help="Train without one of the inputs; may be repeated (Table III). Without signals it is the paper's network.",
)  # fmt: skip
@click.option(
    "--with", "beyond", type=click.Choice(EXTRAS), multiple=True,
    help="Train with what the paper's network does not read; the edge profile does so unless told otherwise.",
)  # fmt: skip
@click.option(
    "--samples", type=click.Choice(["masked", "recent"]), default="masked", show_default=True,
    help="Windows of live rooms: all, labels of few views masked; or those whose last segment has viewers enough.",
)  # fmt: skip
@click.option(
    "--features", type=click.Path(path_type=Path), metavar="DIR",
    help="PHD: a feature file a video, <youtubeId>.safetensors.",
)  # fmt: skip
@click.option("--fps", type=click.FloatRange(0.0, min_open=True), metavar="X", help="PHD: frames a second of them.")
@click.option(
    "--splits", type=click.Path(path_type=Path), metavar="FILE",
    help="TVSum, SumMe: the published splits; without it all videos are learned from.",
)  # fmt: skip
@click.option("--split", type=click.IntRange(0), metavar="N", help="Which of them, from 0.")
@click.option("--epochs", type=click.IntRange(1), help=f"By default {EPOCHS}, and {PHD_EPOCHS} on PHD.")
@click.option(
    "--batch", type=click.IntRange(1),
    help=f"Windows per step, over all processes: by default {BATCH}, and {PHD_BATCH} on PHD.",
)  # fmt: skip
@click.option(
    "--lr", type=click.FloatRange(0.0, min_open=True),
    help=f"Adam's: by default the paper's {LEARNING_RATE:g}; {SIZED_RATE:g} with a size, {TUNING_RATE:g} with --from.",
)  # fmt: skip
@click.option(
    "--validate-every", type=click.IntRange(1), metavar="STEPS",
    help="By default an epoch, and a quarter of one where --patience decides.",
)  # fmt: skip
@click.option(
    "--patience", type=click.IntRange(1), metavar="K",
    help=f"Stop after so many validations without a better tau; {PATIENCE} on edge features without --epochs.",
)  # fmt: skip
@click.option(
    "--size", type=click.Choice(SIZE_NAMES),
    help="Width, layers, heads, dropout and weight decay. auto, by how many labels there are, is for edge features "
    "the default; profile is the profile's own size and the paper's schedule.",
)  # fmt: skip
@click.option(
    "--from", "start", metavar="BUNDLE",
    help="Begin with this bundle's weights and stay near them: edge, or a folder.",
)  # fmt: skip
@click.option("--dropout", type=click.FloatRange(0.0, 1.0, max_open=True), help="As --size has it if not given.")
@click.option("--weight-decay", type=click.FloatRange(0.0), help="In learning rates; as --size has it if not given.")
@click.option(
    "--width", type=click.IntRange(8),
    help="Width of the network, by default what suits the features; components of the linear model, 64.",
)  # fmt: skip
@click.option("--layers", type=click.IntRange(1), help="Perceiver layers.")
@click.option("--heads", type=click.IntRange(1), help="Attention heads.")
@click.option(
    "--window", type=click.IntRange(2),
    help="n, segments that an attention sees: 20, or 192 frames; that the linear model sees: 4.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--precision", type=click.Choice(PRECISIONS), default="no", show_default=True,
    help="Mixed precision; fp16 needs a GPU.",
)  # fmt: skip
@click.option("--device", default="auto", show_default=True, envvar="KUAIHL_DEVICE", help="auto, cpu, cuda or cuda:N.")
@click.option("--threads", type=click.IntRange(1, 256), metavar="N", envvar="KUAIHL_THREADS", help="CPU threads.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint, if there is one.")
@click.option("--force", is_flag=True, help="Start over where an earlier run left a bundle or a checkpoint.")
@click.option(
    "--checkpoint-minutes", type=click.FloatRange(0.0), default=15.0, show_default=True, metavar="MIN",
    help="A checkpoint is written so often, and after every epoch.",
)  # fmt: skip
@click.option(
    "--tensorboard",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write TensorBoard scalars (needs tensorboardX).",
)
@click.option("--licence", default="not stated", metavar="TEXT", help="Licence of the weights, for the bundle.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
@debug_option
def train(dataset: Path, output: Path, **options: Any) -> int:
    """Train on DATASET and write BUNDLE.

    DATASET is a folder that `kuaihl dataset build` or `simulate` made; or PHD's training.csv, or TVSum or SumMe as h5
    (docs/training.md), whose networks see a whole video at once.

    Losses and optimiser are the paper's, and so is the schedule of its profile; on edge features size and length follow
    from DATASET. Now and then the validation rooms are scored; the network of the best Kendall tau is kept. Ctrl-C
    saves a checkpoint; --resume goes on from it to the very same losses. Several processes or GPUs:
    accelerate launch -m kuaihl_cli train … (docs/training.md).
    """
    folder = output.with_name(f"{output.name}.training")
    refuse_to_overwrite(output, folder, resume=options["resume"], force=options["force"])
    from kuaihl_cli.training_set import open_training_set

    data = open_training_set(dataset, options)
    plan = plan_of(data, **options)
    return run(data, plan, output, folder, options)


def refuse_to_overwrite(output: Path, folder: Path, *, resume: bool, force: bool) -> None:
    """Hours of training are not to be lost by a command typed twice. Raises UsageError."""
    from kuaihl.models.checkpoint import CHECKPOINT_FILE

    if resume and force:
        raise UsageError("--resume goes on and --force starts over: give one of them")
    checkpoint = folder / CHECKPOINT_FILE
    if force and is_main_process():
        checkpoint.unlink(missing_ok=True)  # or a later --resume would go on with the run before
    if not (resume or force) and checkpoint.exists():
        raise UsageError(f"{checkpoint} is there already; --resume goes on with that run, --force starts over")
    if not force and output.exists() and not checkpoint.exists():
        raise UsageError(f"{output} is there already, and no checkpoint to go on from; --force overwrites it")


def objective_of(options: dict[str, Any]) -> "Objective":
    """What the options say of eq. 13."""
    from kuaihl.models.objective import Objective

    point, align, pair = options["loss_weights"]
    return Objective(
        point=point,
        align=0.0 if options["align"] == "off" else align,
        pair=0.0 if options["pair"] == "off" else pair,
        pair_variant="pair1" if options["pair"] == "off" else options["pair"],
        pair_mean=options["pair_mean"],
        align_variant="align" if options["align"] == "off" else options["align"],
    )


def plan_of(data: "KLive | VideoSet", **options: Any) -> TrainingPlan:
    """The options as a plan for this data set. Raises UsageError, ModelError for a network that cannot be."""
    from kuaihl.models.objective import Objective
    from kuaihl_cli.training_set import dims_of
    from kuaihl_cli.training_start import size_of, start_of

    if options["arch"] == "linear":
        refuse_schedule(options)
    if options["arch"] != "kuaihl" and objective_of(options) != Objective():
        raise UsageError(
            f"--loss-weights, --pair, --pair-mean and --align are for --arch kuaihl; {options['arch']} has its own loss"
        )
    if data.facts.profile == "phd":  # of yes and no the paper asks for L_point and L_align alone
        options["pair"] = "off"
    start, size = start_of(data, options), size_of(data, options)
    by_patience = options["epochs"] is None and options["size"] != "profile" and (start or size) is not None
    decay = options["weight_decay"]
    return TrainingPlan(
        architecture=options["arch"],
        dims=dims_of(data, options, start, size),
        objective=objective_of(options),
        samples=options["samples"],
        text=text_without(options["without"]),
        epochs=options["epochs"] or (MOST_EPOCHS if by_patience else epochs_for(data.facts.profile)),
        batch=options["batch"] or batch_for(data.facts.profile),
        learning_rate=options["lr"] or (TUNING_RATE if start else SIZED_RATE if size else LEARNING_RATE),
        seed=options["seed"],
        precision=options["precision"],
        weight_decay=decay if decay is not None else size.weight_decay if size else 0.0,
        start=start.head_sha256 if start else "",
        pull=PULL if start else 0.0,
        validate_every=options["validate_every"] or ("auto" if by_patience or options["patience"] else "epoch"),
        patience=options["patience"] or (PATIENCE if by_patience else None),
        judged_by="tau_a_room" if by_patience else "tau",
    )


def refuse_schedule(options: dict[str, Any]) -> None:
    """The linear model is solved for at once: raise UsageError for what only a training in steps has."""
    for name in (
        "layers",
        "heads",
        "epochs",
        "batch",
        "lr",
        "size",
        "dropout",
        "weight_decay",
        "validate_every",
        "patience",
    ):
        if options[name] is not None:
            raise UsageError(
                f"--{name.replace('_', '-')}: --arch linear is solved in closed form and has none; leave it out"
            )
    if options["samples"] != "masked":
        raise UsageError("--samples: --arch linear learns from every label; leave it out")


def run(data: "KLive | VideoSet", plan: TrainingPlan, output: Path, folder: Path, options: dict[str, Any]) -> int:
    """Train, show it, write the bundle; gives the exit code."""
    import torch

    from kuaihl.models.training import train as train_network
    from kuaihl_cli.score import stopped_by_signals
    from kuaihl_cli.training_log import hearers
    from kuaihl_cli.training_start import network_to_start_from

    if options["threads"]:
        torch.set_num_threads(options["threads"])
    with (
        stopped_by_signals() as stop,
        hearers(folder, plan.batch, options["tensorboard"], quiet=options["quiet"]) as tell,
    ):
        trained = train_network(
            data,
            plan,
            start=network_to_start_from(data, plan, options),
            folder=folder,
            resume=options["resume"],
            device=options["device"],
            checkpoint_seconds=60 * options["checkpoint_minutes"],
            tell=tell,
            keep=lambda best: write_bundle(output, best, data, options),
            should_stop=stop.is_set,
        )
    if trained is None:
        if is_main_process():
            print(f"stopped, checkpoint saved; go on with: {resume_command()}", file=sys.stderr)
        return EXIT_INTERRUPTED
    if is_main_process():
        write_bundle(output, trained, data, options)
        best = trained.best
        print(f"{output}: epoch {best.epoch}, validation tau {best.tau:.3f}, a room {best.tau_a_room:.3f}")
    return 0


def write_bundle(output: Path, trained: "Trained", data: "KLive | VideoSet", options: dict[str, Any]) -> None:
    """The best network with all that is known of how it came about. Raises ModelError."""
    from kuaihl.models.bundle import save_bundle
    from kuaihl_cli.training_set import counts_of

    facts, plan = data.facts, trained.plan
    save_bundle(
        output,
        trained.network,
        architecture=plan.architecture,
        profile=facts.profile,
        encoders=facts.encoders,
        label=facts.label,
        licence_weights=options["licence"],
        licence_data=facts.licence,
        segment_seconds=facts.segment_seconds,
        streamers=trained.streamers,
        score_quantiles=trained.score_quantiles,
        metrics={
            "command": command(),
            "validation": asdict(trained.best),
            "history": [asdict(epoch) for epoch in trained.history],
            "plan": {name: value for name, value in asdict(plan).items() if name != "dims"},
            "data": {"name": data.path.resolve().name, **counts_of(data)},
        }
        | ({"from": {"bundle": options["start"], "head_sha256": plan.start}} if plan.start else {}),
    )


def is_main_process() -> bool:
    """Whether this is the one that writes, of those that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def command() -> str:
    """The command as it was typed."""
    return shlex.join(["kuaihl", *sys.argv[1:]])


def resume_command() -> str:
    """The same command, going on."""
    words = [word for word in sys.argv[1:] if word not in ("--force", "--resume")]
    return shlex.join(["kuaihl", *words, "--resume"])
