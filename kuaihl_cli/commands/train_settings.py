"""The options of `kuaihl train`, as one value."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from kuaihl.models.training.network_size import LEARNING_RATE as SIZED_RATE
from kuaihl.models.training.network_size import PATIENCE
from kuaihl.models.training.plan import BATCH, EPOCHS, LEARNING_RATE, PHD_BATCH, PHD_EPOCHS, Ablation, Extra, Precision
from kuaihl.models.training.plan import FINE_TUNING_RATE as TUNING_RATE
from kuaihl_cli.options import DeviceOption, QuietOption, ThreadsOption, above_zero, below_one

LOSSES, NETWORK, SCHEDULE = "Losses (eq. 4 to 13)", "Network", "Schedule"
INPUTS, VIDEOS, KEEPING = "Inputs", "PHD, TVSum and SumMe", "Checkpoints and reports"

Architecture = Literal["kuaihl", "antpivot", "adaptive-h-fcsn", "pr-net", "pac-net", "showme", "linear", "id-counts"]
Size = Literal["auto", "profile", "small", "medium", "large"]
Pair = Literal["pair0", "pair1", "pair2", "pair3", "off"]


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """The options of `kuaihl train`; None leaves a choice to the data set and the architecture."""

    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="A data set: a folder, a csv of PHD, or an h5 file.")
    ]
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="BUNDLE",
            help="Where the bundle goes; checkpoints and the log go to BUNDLE.training beside it.",
        ),
    ]  # fmt: skip
    arch: Annotated[
        Architecture,
        typer.Option(
            "--arch",
            help="The paper's model, a baseline of its Table I, its supplement's ID-based one, or ridge regression",
        ),
    ] = "kuaihl"
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="BUNDLE", help="Begin with this bundle's weights and stay near them: edge, or a folder."
        ),
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint, if there is one.")] = False
    force: Annotated[
        bool, typer.Option("--force", help="Start over if an earlier run left a bundle or a checkpoint.")
    ] = False
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="The seed of every random draw.")] = 0
    licence: Annotated[
        str, typer.Option("--licence", metavar="TEXT", help="Licence of the weights, for the bundle.")
    ] = "not stated"
    loss_weights: Annotated[
        tuple[float, float, float],
        typer.Option(
            "--loss-weights", min=0.0, metavar="POINT ALIGN PAIR", rich_help_panel=LOSSES,
            help="Weights of the three losses in the order of eq. 13; 0 turns one off.",
        ),
    ] = (0.65, 0.15, 0.20)  # fmt: skip
    pair: Annotated[
        Pair,
        typer.Option(
            "--pair", rich_help_panel=LOSSES,
            help="Pairwise loss (eq. 9-12): every pair; inside the border; in the wrong order; in order but too close",
        ),
    ] = "pair1"  # fmt: skip
    pair_mean: Annotated[
        Literal["counted", "all"],
        typer.Option(
            "--pair-mean", rich_help_panel=LOSSES,
            help="The pairs that the pairwise loss averages over: those that its variant counts, or every pair",
        ),
    ] = "counted"  # fmt: skip
    align: Annotated[
        Literal["align", "align_noswap", "off"],
        typer.Option(
            "--align", rich_help_panel=LOSSES,
            help="Alignment of words and pictures (eq. 4-7), with or without the swap",
        ),
    ] = "align"  # fmt: skip
    without: Annotated[
        tuple[Ablation, ...],
        typer.Option(
            "--without", rich_help_panel=INPUTS,
            help="Train without one of the inputs, as in Table III; may be repeated. Without signals it is the paper's "
            "network",
        ),
    ] = ()  # fmt: skip
    beyond: Annotated[
        tuple[Extra, ...],
        typer.Option(
            "--with", rich_help_panel=INPUTS,
            help="Train with what the paper's network does not read; the edge profile does so unless told otherwise",
        ),
    ] = ()  # fmt: skip
    samples: Annotated[
        Literal["masked", "recent"],
        typer.Option(
            "--samples", rich_help_panel=INPUTS,
            help="Windows of live rooms: all, with labels of few views masked; or those whose last segment has enough "
            "viewers",
        ),
    ] = "masked"  # fmt: skip
    features: Annotated[
        Path | None,
        typer.Option(
            "--features", metavar="DIR", rich_help_panel=VIDEOS,
            help="PHD: a folder with a feature file per video, <youtubeId>.safetensors.",
        ),
    ] = None  # fmt: skip
    fps: Annotated[
        float | None,
        typer.Option(
            "--fps", parser=above_zero, metavar="X", rich_help_panel=VIDEOS, help="PHD: feature frames per second."
        ),
    ] = None
    splits: Annotated[
        Path | None,
        typer.Option(
            "--splits", metavar="FILE", rich_help_panel=VIDEOS,
            help="TVSum, SumMe: the published splits; without it all videos are learned from.",
        ),
    ] = None  # fmt: skip
    split: Annotated[
        int | None,
        typer.Option("--split", min=0, metavar="N", rich_help_panel=VIDEOS, help="The number of the split, from 0."),
    ] = None
    size: Annotated[
        Size | None,
        typer.Option(
            "--size", rich_help_panel=NETWORK,
            help="Width, layers, heads, dropout and weight decay. auto, by the number of labels, is the default for "
            "edge features; profile is the profile's own size with the paper's schedule",
        ),
    ] = None  # fmt: skip
    width: Annotated[
        int | None,
        typer.Option(
            "--width", min=8, metavar="N", rich_help_panel=NETWORK,
            help="Width of the network, by default what suits the features; components of the linear model, 64.",
        ),
    ] = None  # fmt: skip
    layers: Annotated[
        int | None, typer.Option("--layers", min=1, metavar="N", rich_help_panel=NETWORK, help="Perceiver layers.")
    ] = None
    heads: Annotated[
        int | None, typer.Option("--heads", min=1, metavar="N", rich_help_panel=NETWORK, help="Attention heads.")
    ] = None
    window: Annotated[
        int | None,
        typer.Option(
            "--window", min=2, metavar="N", rich_help_panel=NETWORK,
            help="The paper's n: segments that an attention sees, by default 20 (192 frames; 4 if linear).",
        ),
    ] = None  # fmt: skip
    dropout: Annotated[
        float | None,
        typer.Option(
            "--dropout", parser=below_one, metavar="X", rich_help_panel=NETWORK, help="By default that of --size."
        ),
    ] = None
    weight_decay: Annotated[
        float | None,
        typer.Option(
            "--weight-decay", min=0.0, metavar="X", rich_help_panel=NETWORK,
            help="In learning rates; by default that of --size.",
        ),
    ] = None  # fmt: skip
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs", min=1, metavar="N", rich_help_panel=SCHEDULE,
            help=f"Passes over the data, by default {EPOCHS}, and {PHD_EPOCHS} on PHD.",
        ),
    ] = None  # fmt: skip
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch", min=1, metavar="N", rich_help_panel=SCHEDULE,
            help=f"Windows per step over all processes, by default {BATCH}, and {PHD_BATCH} on PHD.",
        ),
    ] = None  # fmt: skip
    lr: Annotated[
        float | None,
        typer.Option(
            "--lr", parser=above_zero, metavar="X", rich_help_panel=SCHEDULE,
            help=f"Adam's learning rate, by default the paper's {LEARNING_RATE:g}; {SIZED_RATE:g} with a size, "
            f"{TUNING_RATE:g} with --from.",
        ),
    ] = None  # fmt: skip
    validate_every: Annotated[
        int | None,
        typer.Option(
            "--validate-every", min=1, metavar="STEPS", rich_help_panel=SCHEDULE,
            help="By default an epoch, and a quarter of one if --patience decides.",
        ),
    ] = None  # fmt: skip
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience", min=1, metavar="K", rich_help_panel=SCHEDULE,
            help=f"Stop after K validations without a better tau; {PATIENCE} on edge features without --epochs.",
        ),
    ] = None  # fmt: skip
    precision: Annotated[
        Precision,
        typer.Option("--precision", rich_help_panel=SCHEDULE, help="Mixed precision; fp16 needs a GPU"),
    ] = "no"
    device: DeviceOption = "auto"
    threads: ThreadsOption = None
    checkpoint_minutes: Annotated[
        float,
        typer.Option(
            "--checkpoint-minutes", min=0.0, metavar="MIN", rich_help_panel=KEEPING,
            help="Minutes from one checkpoint to the next; every epoch ends with one, too.",
        ),
    ] = 15.0  # fmt: skip
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            "--tensorboard", metavar="DIR", rich_help_panel=KEEPING,
            help="Write TensorBoard scalars (needs tensorboardX).",
        ),
    ] = None  # fmt: skip
    quiet: QuietOption = False
