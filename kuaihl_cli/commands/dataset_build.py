"""`kuaihl dataset build`: its options, the source of labels, and the building of each room."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kuaihl.models.errors import UsageError
from kuaihl_cli.limits import limits_of, rules_of
from kuaihl_cli.options import (
    MODEL,
    AsrOption,
    CommentsOffsetOption,
    DeviceOption,
    FramesOption,
    LanguageOption,
    MinAgeOption,
    ModelOption,
    QuietOption,
    SegmentSecondsOption,
    TextWeightsOption,
    ThreadsOption,
    WhisperModelOption,
)
from kuaihl_cli.run_options import check_speech
from kuaihl_cli.runner_options import RunnerOptions, make_runner, threads_of_each
from kuaihl_cli.terminal.archive_progress import ArchiveProgress
from kuaihl_cli.terminal.messages import log_only, say
from kuaihl_cli.terminal.results import show_left_out, show_results
from kuaihl_cli.terminal.timecode import time_between

if TYPE_CHECKING:
    from kuaihl.engines.archive.jobs import Archive, JobResult
    from kuaihl.engines.datasets.label_sources import LabelSource

LABELS = "Labels"
Labels = Literal["views", "heatmap", "chat", "cuts"]


@dataclass(frozen=True, kw_only=True)
class BuildOptions(RunnerOptions):
    """The options of `kuaihl dataset build`."""

    archive: Annotated[
        Path, typer.Argument(metavar="DIR|MANIFEST", help="A folder of recordings, or a manifest that lists them.")
    ]
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder that the data set goes to.")]
    rooms: Annotated[
        Path | None,
        typer.Option(
            "--rooms", metavar="FILE",
            help="What is known of rooms, csv or parquet: room, and any of streamer, split, start_time.",
        ),
    ] = None  # fmt: skip
    min_age: MinAgeOption = 60.0
    licence: Annotated[
        str,
        typer.Option("--licence", metavar="TEXT", show_default=False, help="Licence of the data, for dataset.json."),
    ] = ""
    force: Annotated[bool, typer.Option("--force", help="Build rooms again that an earlier run has built.")] = False
    views: Annotated[
        Path | None,
        typer.Option(
            "--views", metavar="FILE", rich_help_panel=LABELS,
            help="Log of views, csv or parquet, one impression per row: room, time (s from its start), watched (s).",
        ),
    ] = None  # fmt: skip
    heatmap: Annotated[
        bool,
        typer.Option(
            "--heatmap", rich_help_panel=LABELS,
            help='Labels are yt-dlp\'s heat maps ("most replayed") from the .info.json beside each recording.',
        ),
    ] = False  # fmt: skip
    labels: Annotated[
        Labels | None,
        typer.Option(
            "--labels", rich_help_panel=LABELS,
            help="Where labels come from; chat: audience reaction in the comments; cuts: what an editor once kept",
        ),
    ] = None  # fmt: skip
    cuts: Annotated[
        Path | None,
        typer.Option(
            "--cuts", metavar="FILE|DIR", rich_help_panel=LABELS,
            help="One recording's cuts, or a folder with NAME.edl, .llc, .otio, .csv, … for each; by default the files "
            "beside the recordings.",
        ),
    ] = None  # fmt: skip
    cuts_named: Annotated[
        str,
        typer.Option(
            "--cuts-named", metavar="TEXT", show_default=False, rich_help_panel=LABELS,
            help="Only cuts, or chapters, with TEXT in their name.",
        ),
    ] = ""  # fmt: skip
    cuts_start: Annotated[
        str,
        typer.Option(
            "--cuts-start", metavar="HH:MM:SS:FF", show_default=False, rich_help_panel=LABELS,
            help="Time code of the recordings' first frame; by default as the recording says, or 0.",
        ),
    ] = ""  # fmt: skip
    cuts_rate: Annotated[
        float | None,
        typer.Option(
            "--cuts-rate", min=1, max=1000, metavar="FPS", rich_help_panel=LABELS,
            help="Frames per second of time codes; by default the recording's.",
        ),
    ] = None  # fmt: skip
    reaction_delay: Annotated[
        float,
        typer.Option(
            "--reaction-delay", parser=time_between(0.0, 300.0), metavar="TIME", rich_help_panel=LABELS,
            help="With --labels chat: how much later comments come than what they react to, at most 5 min.",
        ),
    ] = 10.0  # fmt: skip
    comments_offset: CommentsOffsetOption = 0.0
    model: ModelOption = "edge"
    profile: Annotated[
        Literal["edge", "paper"] | None,
        typer.Option("--profile", rich_help_panel=MODEL, help="Other encoders than those of the bundle"),
    ] = None
    device: DeviceOption = "auto"
    threads: ThreadsOption = None
    asr: AsrOption = "auto"
    whisper_model: WhisperModelOption = None
    language: LanguageOption = None
    text_weights: TextWeightsOption = None
    segment_seconds: SegmentSecondsOption = None
    frames: FramesOption = "keyframe"
    quiet: QuietOption = False


def build_rooms(options: BuildOptions) -> None:
    """Build room after room, and report each result. Raises BatchError if some failed."""
    from kuaihl.engines.archive.manifest import read_archive

    labels = _labels_asked_for(options)
    check_speech(options.asr, options.language, options.whisper_model)
    archive = read_archive(options.archive, options.output, min_age=options.min_age)
    progress = ArchiveProgress(len(archive.rooms), quiet=options.quiet)
    results = _build_results(options, labels, archive, progress)
    show_left_out(archive.left_out, quiet=options.quiet)
    show_results(results, progress, options.output)


def _labels_asked_for(options: BuildOptions) -> Labels:
    """The source of labels. Raises UsageError for none, two, or an option that belongs to another."""
    has_cuts = bool(options.cuts or options.cuts_named or options.cuts_start or options.cuts_rate)
    named: dict[Labels, bool] = {
        "views": options.views is not None,
        "heatmap": options.heatmap,
        "chat": False,
        "cuts": has_cuts,
    }
    asked = [name for name, is_asked in named.items() if is_asked or options.labels == name]
    if len(asked) != 1:
        raise UsageError("labels come from one of --views FILE, --heatmap, --labels chat and --labels cuts")
    if asked == ["views"] and not options.views:
        raise UsageError("--labels views needs the log of views: --views FILE")
    return asked[0]


def _label_source(options: BuildOptions, labels: Labels, segment_seconds: float) -> "LabelSource":
    """The source with its settings. Raises SourceError, DataError if a log of views cannot be read."""
    from kuaihl.engines.datasets.cut_files import MediaClock
    from kuaihl.engines.datasets.cuts import CutSettings
    from kuaihl.engines.datasets.label_sources import ChatLabels, CutLabels, HeatmapLabels, ViewLabels
    from kuaihl.engines.datasets.view_log import read_view_log

    if labels == "views" and options.views is not None:
        return ViewLabels(read_view_log(options.views, segment_seconds))
    if labels == "heatmap":
        return HeatmapLabels()
    if labels == "chat":
        return ChatLabels(options.reaction_delay, options.comments_offset)
    clock = MediaClock(options.cuts_rate or 0.0, options.cuts_start)
    return CutLabels(CutSettings(options.cuts, options.cuts_named, clock))


def _check_one_recording(cuts: Path | None, rooms: int) -> None:
    """Raise UsageError if one file of cuts is given for several recordings, or does not exist."""
    if cuts is not None and not cuts.exists():
        raise UsageError(f"--cuts {cuts}: no such file or folder")
    if cuts is not None and rooms > 1 and not cuts.is_dir():
        raise UsageError(f"--cuts {cuts} is of one recording and there are {rooms}; give a folder of files instead")


def _build_results(
    options: BuildOptions, labels: Labels, archive: "Archive", progress: ArchiveProgress
) -> "Generator[JobResult]":
    """Read the source of the labels, then build room after room."""
    from kuaihl.engines.datasets.build import BuildSettings, build_dataset, dataset_facts
    from kuaihl.engines.datasets.room_table import read_room_table
    from kuaihl.engines.encoders.profiles import profile_named
    from kuaihl.models.bundle import load_bundle

    bundle = load_bundle(options.model)
    segment_seconds = options.segment_seconds or bundle.segment_seconds
    profile = options.profile or bundle.profile
    _check_one_recording(options.cuts, len(archive.rooms))
    source = _label_source(options, labels, segment_seconds)
    facts = dataset_facts(
        profile_named(profile),
        source.facts,
        segment_seconds=segment_seconds,
        asr=options.asr,
        whisper_model=options.whisper_model,
        licence=options.licence,
        text_weights=options.text_weights,
    )
    threads = threads_of_each(options, options.threads)
    settings = BuildSettings(
        folder=options.output,
        facts=facts,
        trained_with=bundle.encoders if profile == bundle.profile else (),
        threads=threads,
        device=options.device,
        asr=options.asr,
        whisper_model=options.whisper_model,
        text_weights=options.text_weights,
        language=options.language,
        frames=options.frames,
        comments_offset=options.comments_offset,
    )
    show = log_only if options.quiet else say
    return build_dataset(
        archive.rooms,
        settings,
        source=source,
        known=read_room_table(options.rooms) if options.rooms else {},
        left_out=[one for one in archive.left_out if not one.is_expected],
        runner=make_runner(
            options, jobs=options.jobs, threads=threads, device=options.device, outputs=options.output, report=show
        ),
        rules=rules_of(options, again=options.force),
        limits=limits_of(options),
        tell=progress.tell,
        report=lambda news: show(news) if isinstance(news, str) else progress.retry(news),
    )
