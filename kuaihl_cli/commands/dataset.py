"""`kuaihl dataset simulate|build|info|validate`: make data sets to train on, and say what is in them."""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kuaihl.models.errors import BatchError, DataError, UsageError
from kuaihl_cli.batch import in_words
from kuaihl_cli.options import debug_option, model_options, text_weights_option

if TYPE_CHECKING:
    from kuaihl.engines.archive import RoomResult
    from kuaihl.engines.label_sources import LabelSource
    from kuaihl.models.simulated_proportions import Proportions

# Options of `build` that the encoders' processes are given as they are.
PASSED_ON = ("device", "asr", "whisper_model", "text_weights", "language", "frames", "comments_offset")


@click.group()
def dataset() -> None:
    """Make data sets to train on, and say what is in them and what is wrong with them (docs/datasets.md).

    \b
    kuaihl dataset simulate -o simulated
    kuaihl dataset build recordings/ --views views.csv -o mine
    kuaihl dataset validate mine && kuaihl train mine -o bundle
    """


@dataset.command()
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, metavar="DIR")
@click.option("--rooms", type=click.IntRange(10), default=300, show_default=True)
@click.option(
    "--streamers", type=click.IntRange(1), metavar="N",
    help="By default 60; with --proportions klive one per 1.8 rooms.",
)  # fmt: skip
@click.option(
    "--proportions", type=click.Choice(["even", "klive"]), default="even", show_default=True,
    help="Rooms per streamer, lengths and audiences: much alike, or as the paper's KLive has them.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--patches", type=click.Choice(["pooled", "whole"]), default="pooled", show_default=True,
    help="One visual token a frame, for training on CPU, or all that the encoder gives.",
)  # fmt: skip
@click.option(
    "--swaps", type=click.FloatRange(0.0, 1.0), default=0.08, show_default=True,
    help="How often a segment, speech tells of two things in another order than pictures show them.",
)  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 256), metavar="N", envvar="KUAIHL_THREADS", help="CPU threads.")
@debug_option
def simulate(
    output: Path,
    rooms: int,
    streamers: int | None,
    proportions: "Proportions",
    seed: int,
    patches: str,
    swaps: float,
    threads: int | None,
) -> None:
    """Simulate rooms with known causes, in the edge encoders' feature space, and measure the noise ceiling.

    Needs the edge weights and Pillow (pip install 'kuaihl[edge,train]'); docs/cold-start.md tells the causes.
    """
    from kuaihl.engines.cold_start_features import feature_bank
    from kuaihl.engines.profiles import EDGE, load_encoders, profile_record
    from kuaihl.models.simulated_proportions import hosts_for
    from kuaihl.models.simulated_set import TAU_ABOVE, SimulationPlan, write_simulated_set

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    encoders = load_encoders(EDGE, device="cpu", threads=threads, asr="none")
    usual = hosts_for(rooms) if proportions == "klive" else SimulationPlan.streamers
    plan = SimulationPlan(rooms, streamers or usual, seed, patches == "pooled", swaps, proportions)
    with click.progressbar(length=rooms, label="simulating", file=sys.stderr) as bar:
        ceiling = write_simulated_set(
            output,
            plan,
            *[feature_bank(split, encoders, tell) for split in ("train", "held-out")],
            profile=EDGE.name,
            encoders=profile_record(EDGE),
            tell=lambda _done, _rooms: bar.update(1),
        )
    reached = ceiling["next segment's true rate"]
    tau, a_room = reached[TAU_ABOVE]["0.0"], reached["tau a room"]
    print(f"{output}: {rooms} rooms; ceiling of tau: {tau} over the test, {a_room} a room")


@dataset.command()
@click.argument("archive", type=click.Path(path_type=Path), metavar="DIR|MANIFEST")
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, metavar="DIR")
@click.option(
    "--views", type=click.Path(path_type=Path), metavar="FILE",
    help="Log of views, csv or parquet, an impression a row: room, time (s from its start), watched (s).",
)  # fmt: skip
@click.option(
    "--heatmap", is_flag=True,
    help="Labels are yt-dlp's heat maps (\"most replayed\") from the .info.json beside each recording.",
)  # fmt: skip
@click.option(
    "--labels", type=click.Choice(["views", "heatmap", "chat", "cuts"]),
    help="Where labels come from; chat: audience reaction in the comments; cuts: what an editor once kept.",
)  # fmt: skip
@click.option(
    "--cuts", type=click.Path(path_type=Path), metavar="FILE|DIR",
    help="One recording's cuts, or a folder with NAME.edl, .llc, .otio, .csv, … for each; default: beside them.",
)  # fmt: skip
@click.option("--cuts-named", default="", metavar="TEXT", help="Only cuts, or chapters, with TEXT in their name.")
@click.option(
    "--cuts-start", default="", metavar="HH:MM:SS:FF",
    help="Time code of the recordings' first frame; default: as the recording says, or 0.",
)  # fmt: skip
@click.option(
    "--cuts-rate", type=click.FloatRange(1, 1000), default=None, metavar="FPS",
    help="Frames per second of time codes; default: the recording's.",
)  # fmt: skip
@click.option(
    "--reaction-delay", type=click.FloatRange(0, 300), default=10.0, show_default=True, metavar="S",
    help="With --labels chat: by how much comments come later than what they react to.",
)  # fmt: skip
@click.option(
    "--rooms", "table", type=click.Path(path_type=Path), metavar="FILE",
    help="What is known of rooms, csv or parquet: room, and any of streamer, split, start_time.",
)  # fmt: skip
@click.option("--jobs", "-j", type=click.IntRange(1, 256), default=1, show_default=True, help="Worker processes.")
@model_options
@click.option("--profile", type=click.Choice(["edge", "paper"]), help="Other encoders than those of the bundle.")
@text_weights_option
@click.option(
    "--comments-offset", type=float, default=0.0, show_default=True, metavar="S",
    help="Seconds added to every comment's time, where chat and video drift.",
)  # fmt: skip
@click.option("--licence", default="", metavar="TEXT", help="Licence of the data, for dataset.json.")
@click.option("--force", is_flag=True, help="Build rooms again that an earlier run has built.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
@debug_option
def build(archive: Path, output: Path, jobs: int, quiet: bool, **options: Any) -> None:
    """Make a data set of recordings, their comments and labels, with the encoders of a bundle (--model).

    Labels come from a log of views (--views FILE), heat maps, the comments, or an editor's cuts (--labels).

    Recordings and comments are found as `kuaihl batch` finds them; a room is called as its file is. Rooms that an
    earlier run built are skipped. A room that fails is listed with its reason, the rest go on, and the exit code is 5.
    """
    options["labels"] = labels_asked_for(options)
    results = build_results(archive, output, jobs, options)
    counts: Counter[str] = Counter()
    for result in results:
        counts[result.status] += 1
        if not quiet or result.status == "failed":
            print(f"[{counts.total()}] {in_words(result)}", file=sys.stderr, flush=True)
    if not quiet:
        print(f"{counts['done']} done, {counts['skipped']} skipped, {counts['failed']} failed", file=sys.stderr)
    if counts["failed"]:
        raise BatchError(f"{counts['failed']} of {counts.total()} rooms failed; the lines above say why")


def labels_asked_for(options: dict[str, Any]) -> str:
    """Where labels come from. Raises UsageError for none, two, or an option that belongs to another."""
    cuts = options["cuts"] or options["cuts_named"] or options["cuts_start"] or options["cuts_rate"]
    said = {"views": options["views"], "heatmap": options["heatmap"], "cuts": cuts, options["labels"]: True}
    asked = [name for name in ("views", "heatmap", "chat", "cuts") if said.get(name)]
    if len(asked) != 1:
        raise UsageError("labels come from one of --views FILE, --heatmap, --labels chat and --labels cuts")
    if asked == ["views"] and not options["views"]:
        raise UsageError("--labels views needs the log of views: --views FILE")
    return asked[0]


def label_source(options: dict[str, Any], segment_seconds: float) -> "LabelSource":
    """Raises SourceError, DataError where a log of views cannot be read."""
    from kuaihl.engines.cut_files import MediaClock
    from kuaihl.engines.cuts import CutSettings
    from kuaihl.engines.label_sources import ChatLabels, CutLabels, HeatmapLabels, ViewLabels
    from kuaihl.engines.view_log import read_view_log

    if options["labels"] == "views":
        return ViewLabels(read_view_log(options["views"], segment_seconds))
    if options["labels"] == "heatmap":
        return HeatmapLabels()
    if options["labels"] == "chat":
        return ChatLabels(options["reaction_delay"], options["comments_offset"])
    clock = MediaClock(options["cuts_rate"] or 0.0, options["cuts_start"])
    return CutLabels(CutSettings(options["cuts"], options["cuts_named"], clock))


def check_one_recording(cuts: Path | None, rooms: int) -> None:
    """One file of cuts is of one recording. Raises UsageError for more, or where it is not there."""
    if cuts is not None and not cuts.exists():
        raise UsageError(f"--cuts {cuts}: no such file or folder")
    if cuts is not None and rooms > 1 and not cuts.is_dir():
        raise UsageError(f"--cuts {cuts} is of one recording and there are {rooms}; give a folder of files instead")


def build_results(archive: Path, output: Path, jobs: int, options: dict[str, Any]) -> "Iterator[RoomResult]":
    """Read what the labels come from, then build room after room."""
    from kuaihl.engines.dataset_build import BuildSettings, build_dataset, dataset_facts
    from kuaihl.engines.manifest import read_rooms
    from kuaihl.engines.profiles import profile_named
    from kuaihl.engines.room_table import read_room_table
    from kuaihl.models.bundle import load_bundle

    bundle = load_bundle(options["model"])
    segment_seconds = options["segment_seconds"] or bundle.segment_seconds
    profile = options["profile"] or bundle.profile
    rooms = read_rooms(archive, output)
    check_one_recording(options["cuts"], len(rooms))
    source = label_source(options, segment_seconds)
    facts = dataset_facts(
        profile_named(profile),
        source.facts,
        segment_seconds=segment_seconds,
        asr=options["asr"],
        whisper_model=options["whisper_model"],
        licence=options["licence"],
        text_weights=options["text_weights"],
    )
    settings = BuildSettings(
        folder=output,
        facts=facts,
        trained_with=bundle.encoders if profile == bundle.profile else (),
        threads=options["threads"] or max(1, (os.cpu_count() or 1) // jobs),
        **{name: options[name] for name in PASSED_ON},
    )
    return build_dataset(
        rooms,
        settings,
        source=source,
        known=read_room_table(options["table"]) if options["table"] else {},
        jobs=jobs,
        again=options["force"],
    )


@dataset.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="DATASET")
@click.option("--json", "as_json", is_flag=True, help="Print the same as JSON.")
@click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE",
    help="Draw rooms by duration and by average viewers to a PNG (Figure 1 of the paper's supplement).",
)  # fmt: skip
@debug_option
def info(path: Path, as_json: bool, plot: Path | None) -> None:
    """Say what is inside DATASET: features, labels, rooms, streamers and hours of each split, and all rooms' sizes.

    Beside the rooms stand the figures that the paper prints of KLive, its own data set.
    """
    from kuaihl.models.dataset_summary import summarise
    from kuaihl.models.klive import open_klive
    from kuaihl_cli import dataset_info

    data = open_klive(path)
    summary = summarise(data)
    if as_json:
        print(json.dumps(dataset_info.as_json(data, summary), ensure_ascii=False, indent=2))
    else:
        print("\n".join(dataset_info.as_lines(data, summary)))
    if plot:
        from kuaihl_cli.plot_rooms import plot_rooms

        plot_rooms(summary.room_hours, summary.room_viewers, plot, title=path.resolve().name)


@dataset.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="DATASET")
@debug_option
def validate(path: Path) -> None:
    """Read every row of DATASET and print what is wrong, a line a fault; the exit code is 3 if anything is."""
    from kuaihl.models.dataset_problems import dataset_problems

    found = 0
    for problem in dataset_problems(path):
        found += 1
        print(problem)
    if found:
        raise DataError(f"{path}: {found} {'fault' if found == 1 else 'faults'}, listed on standard output")
    print(f"{path}: nothing wrong", file=sys.stderr)
