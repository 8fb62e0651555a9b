"""`kuaihl dataset simulate|build|info|validate`: make data sets to train on, and report their contents."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from kuaihl.models.errors import DataError
from kuaihl_cli.command import RULE, application, read_settings
from kuaihl_cli.commands.dataset_build import BuildOptions, build_rooms
from kuaihl_cli.options import DatasetArgument, JsonOption, ThreadsOption
from kuaihl_cli.terminal.json_output import print_document
from kuaihl_cli.terminal.messages import say

app = application()


@app.callback(no_args_is_help=True)
def dataset() -> None:
    """Make data sets to train on, and report what is in them and what is wrong with them (docs/datasets.md).

    \b
    kuaihl dataset simulate -o simulated
    kuaihl dataset build recordings/ --views views.csv -o mine
    kuaihl dataset validate mine && kuaihl train mine -o bundle
    """


@dataclass(frozen=True, kw_only=True)
class SimulateSettings:
    """The options of `kuaihl dataset simulate`."""

    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder that the data set goes to.")]
    rooms: Annotated[int, typer.Option("--rooms", min=10, metavar="N", help="Rooms to simulate.")] = 300
    streamers: Annotated[
        int | None,
        typer.Option(
            "--streamers", min=1, metavar="N",
            help="Streamers who share the rooms; by default 60, with --proportions klive one per 1.8 rooms.",
        ),
    ] = None  # fmt: skip
    proportions: Annotated[
        Literal["even", "klive"],
        typer.Option(
            "--proportions",
            help="Rooms per streamer, lengths and audiences: much alike, or as the paper's KLive has them",
        ),
    ] = "even"
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="The seed of the simulation.")] = 0
    patches: Annotated[
        Literal["pooled", "whole"],
        typer.Option(
            "--patches", help="One visual token per frame, for training on a CPU, or all that the encoder gives"
        ),
    ] = "pooled"
    swaps: Annotated[
        float,
        typer.Option(
            "--swaps", min=0.0, max=1.0, metavar="X",
            help="The share of segments in which speech names two things in the reverse order of the pictures.",
        ),
    ] = 0.08  # fmt: skip
    threads: ThreadsOption = None


@app.command(epilog=RULE)
@read_settings(SimulateSettings)
def simulate(settings: SimulateSettings) -> None:
    """Simulate rooms with known causes, in the edge encoders' feature space, and measure the noise ceiling.

    Needs the edge weights and Pillow (pip install 'kuaihl\\[edge,train]'). docs/cold-start.md explains the causes.
    """
    from kuaihl.engines.cold_start.features import feature_bank
    from kuaihl.engines.encoders.profiles import EDGE, load_encoders, profile_record
    from kuaihl.models.simulation.dataset import TAU_ABOVE, SimulationPlan, write_simulated_set
    from kuaihl.models.simulation.proportions import hosts_for

    rooms = settings.rooms
    encoders = load_encoders(EDGE, device="cpu", threads=settings.threads, asr="none")
    usual = hosts_for(rooms) if settings.proportions == "klive" else SimulationPlan.streamers
    plan = SimulationPlan(
        rooms,
        settings.streamers or usual,
        settings.seed,
        settings.patches == "pooled",
        settings.swaps,
        settings.proportions,
    )
    with typer.progressbar(length=rooms, label="simulating", file=sys.stderr) as bar:
        ceiling = write_simulated_set(
            settings.output,
            plan,
            *[feature_bank(split, encoders, say) for split in ("train", "held-out")],
            profile=EDGE.name,
            encoders=profile_record(EDGE),
            progress=lambda _done, _rooms: bar.update(1),
        )
    reached = ceiling["next segment's true rate"]
    tau, per_room = reached[TAU_ABOVE]["0.0"], reached["tau_per_room"]
    print(f"{settings.output}: {rooms} rooms; ceiling of tau: {tau} over the test, {per_room} per room")


@app.command(epilog=RULE)
@read_settings(BuildOptions)
def build(settings: BuildOptions) -> None:
    """Make a data set of recordings, their comments and labels, with the encoders of a bundle (--model).

    Labels come from a log of views (--views FILE), heat maps, the comments, or an editor's cuts (--labels).

    Recordings and comments are found as `kuaihl batch` finds them; a room has the name of its file. Rooms that an
    earlier run built are skipped. If a room fails, its reason is listed, the others go on, and the exit code is 5.
    """
    build_rooms(settings)


@dataclass(frozen=True, kw_only=True)
class InfoSettings:
    """The options of `kuaihl dataset info`."""

    path: DatasetArgument
    as_json: JsonOption = False
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE",
            help="Draw rooms by duration and by average viewers to a PNG (Figure 1 of the paper's supplement).",
        ),
    ] = None  # fmt: skip


@app.command(epilog=RULE)
@read_settings(InfoSettings)
def info(settings: InfoSettings) -> None:
    """Report what is inside DATASET: features, labels, rooms, streamers and hours of each split, and all rooms' sizes.

    The rooms are shown beside the paper's figures for KLive, its own data set.
    """
    from kuaihl.models.data.klive import open_klive
    from kuaihl.models.data.report import summarise
    from kuaihl_cli.commands import dataset_info

    data = open_klive(settings.path)
    summary = summarise(data)
    if settings.as_json:
        print_document(json.dumps(dataset_info.as_json(data, summary), ensure_ascii=False, indent=2))
    else:
        print("\n".join(dataset_info.as_lines(data, summary)))
    if settings.plot:
        from kuaihl.engines.outputs.plot_rooms import plot_rooms

        plot_rooms(summary.room_hours, summary.room_viewers, settings.plot, title=settings.path.resolve().name)


@dataclass(frozen=True, kw_only=True)
class ValidateSettings:
    """The options of `kuaihl dataset validate`."""

    path: DatasetArgument


@app.command(epilog=RULE)
@read_settings(ValidateSettings)
def validate(settings: ValidateSettings) -> None:
    """Read every row of DATASET and print what is wrong, one fault per line; the exit code is 3 if there is any."""
    from kuaihl.models.data.report import dataset_problems

    found = 0
    for problem in dataset_problems(settings.path):
        found += 1
        print(problem)
    if found:
        raise DataError(f"{settings.path}: {found} {'fault' if found == 1 else 'faults'}, listed on standard output")
    say(f"{settings.path}: nothing wrong")
