"""`kuaihl score SOURCE...`: rolling highlight scores and highlights of recordings or of a live stream."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from kuaihl.engines.archive.jobs import Job
from kuaihl.engines.archive.names import distinct_stems
from kuaihl.engines.archive.stored_recordings import find_comments
from kuaihl.engines.comments.chat_recorder import check_recorder, is_page
from kuaihl.engines.ingest.opening import STDIN, is_stream, open_source
from kuaihl.engines.outputs.lock import check_unlocked
from kuaihl.engines.outputs.run_folder import (
    SCORES_FILE,
    STOPPED,
    has_scores,
    is_finished,
    tidy_finished,
    was_interrupted,
)
from kuaihl.engines.outputs.run_record import read_record, reason_to_score
from kuaihl.engines.outputs.stored_run import is_stored_whole, put_run, with_stored_run
from kuaihl.engines.scoring.settings import ScoreSettings, check_stream_settings
from kuaihl.engines.sinks.settings import SPOOLS, SinkSettings, deliver_left
from kuaihl.engines.sinks.spool import has_waiting
from kuaihl.engines.stores.urls import is_stored, join_url
from kuaihl.models.credentials import shown_source
from kuaihl.models.errors import BatchError, KuaihlError, SourceError, UsageError, reason_of
from kuaihl_cli.command import RULE, application, read_settings
from kuaihl_cli.options import COMMENTS, LOGGING, SEGMENTS, DocumentOption, WorkOption
from kuaihl_cli.places import place_on_disk
from kuaihl_cli.run_options import RunOptions, run_settings
from kuaihl_cli.sink_options import SinkOptions, sink_settings
from kuaihl_cli.terminal.errors import error_words
from kuaihl_cli.terminal.interrupt import EXIT_INTERRUPTED, stopped_by_signals
from kuaihl_cli.terminal.messages import LOG, say
from kuaihl_cli.terminal.timecode import time_between

if TYPE_CHECKING:
    from kuaihl.engines.scoring.conclude import ScoreResult
    from kuaihl.engines.scoring.journal import Earlier
    from kuaihl.engines.scoring.model import Model
    from kuaihl_cli.terminal.progress import Progress

app = application()


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(RunOptions, SinkOptions):
    """The options of `kuaihl score`."""

    sources: Annotated[
        tuple[str, ...],
        typer.Argument(
            metavar="SOURCE...",
            help="Media files, rtmp, http(s), HLS, srt, s3, gs or az URLs, or - for standard input.",
        ),
    ]
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="DIR",
            help="The folder for the results, by default NAME.kuaihl; of several sources each gets DIR/NAME.kuaihl. "
            "It may be in an object store.",
        ),
    ] = None  # fmt: skip
    work: WorkOption = None
    streamer: Annotated[
        str | None, typer.Option("--streamer", metavar="ID", help="Who streams, if the bundle was trained on them.")
    ] = None
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the scores of an interrupted run; a live URL does so by itself."),
    ] = False
    force: Annotated[bool, typer.Option("--force", help="Replace the outputs of an earlier run.")] = False
    skip: Annotated[
        bool, typer.Option("--skip", help="Skip a source that an earlier run finished; go on with an interrupted one.")
    ] = False
    as_json: DocumentOption = False
    comments: Annotated[
        str | None,
        typer.Option(
            "--comments", metavar="FILE", rich_help_panel=COMMENTS,
            help="Viewers' comments; by default those beside the recording (NAME.xml, NAME.live_chat.json, …). "
            "The URL of a YouTube page means its chat.",
        ),
    ] = None  # fmt: skip
    start: Annotated[
        float,
        typer.Option(
            "--start", parser=time_between(0.0), metavar="TIME", rich_help_panel=SEGMENTS,
            help="Begin here; 90, 1:30 or 00:01:30.5 from the recording's start.",
        ),
    ] = 0.0  # fmt: skip
    end: Annotated[
        float | None,
        typer.Option(
            "--end", parser=time_between(0.0), metavar="TIME", rich_help_panel=SEGMENTS,
            help="End here; by default where the recording ends.",
        ),
    ] = None  # fmt: skip
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", rich_help_panel=LOGGING, help="Also report how the time was spent.")
    ] = False


@app.command(epilog=RULE)
@read_settings(ScoreOptions)
def score(options: ScoreOptions) -> int:
    """Score SOURCE: a media file, an rtmp, http(s), HLS or srt URL, an object in a store, or - for standard input.

    Writes scores.jsonl, one line per segment while it runs, and highlights.json. Ctrl-C ends a live stream cleanly,
    with its highlights written; a second Ctrl-C ends it at once. After either, or a crash, --resume goes on.

    Several sources are scored one after another with models that are loaded once. If one fails, its reason is printed,
    the others go on, and the exit code is 5.
    """
    settings = run_settings(options, threads=options.threads, start=options.start, end=options.end)
    _check_options(options)
    sinks = sink_settings(options)
    rooms = _rooms_of(options)
    if options.skip or options.resume:
        rooms = [room for room in rooms if not _is_done_anywhere(room, settings, options, sinks)]
    if not rooms:
        return 0
    if len(options.sources) > 1:
        return _run_each(rooms, settings, options, sinks)
    _check_before_loading(rooms[0], settings, options)
    return run(rooms[0], settings, options, sinks)


def _check_options(options: ScoreOptions) -> None:
    """Raise UsageError for options that are wrong with any source."""
    from kuaihl.engines.outputs.formats import parse_formats

    parse_formats(options.formats)
    if options.end is not None and options.end <= options.start:
        raise UsageError(f"--end {options.end:g} s is not after --start {options.start:g} s; the part would be empty")
    if options.comments is not None and options.no_comments:
        raise UsageError("--comments FILE and --no-comments exclude each other: give one of them")
    if len(options.sources) > 1 and options.comments is not None:
        raise UsageError("--comments is of one recording; of several, those beside each recording are read")
    if options.force and options.resume:
        raise UsageError("--resume goes on and --force starts over: give one of them")
    if options.as_json and options.events == STDIN:
        raise UsageError("--json and --events - both write to standard output: give --events a file")
    for source in options.sources:
        if options.sources.count(source) > 1:
            raise UsageError(f"{source} is named twice; give it once")


def _rooms_of(options: ScoreOptions) -> list[Job]:
    """Every source with its own output folder and its comments."""
    stems = distinct_stems(options.sources)
    names = [f"{stem}.kuaihl" for stem in stems]
    place = place_on_disk(options.output or "", options.work)
    if len(names) == 1 and options.output and not is_stored(options.output):
        folders = [place]
    else:
        folders = [place / name for name in names]
    return [
        Job(source, folder, _comments_of(source, options), options.streamer, room=stem)
        for source, folder, stem in zip(options.sources, folders, stems, strict=True)
    ]


def _address_of(room: Job, options: ScoreOptions) -> str | None:
    """Where in an object store the results of a source go, if there."""
    if options.output is None or not is_stored(options.output):
        return None
    return options.output if len(options.sources) == 1 else join_url(options.output, room.output.name)


def _comments_of(source: str, options: ScoreOptions) -> str | Path | None:
    """The named file, object or page, else the file beside a recording."""
    if options.comments is not None:
        is_url = is_stored(options.comments) or is_page(options.comments)
        return options.comments if is_url else Path(options.comments)
    return None if options.no_comments or is_stream(source) else find_comments(source)


def _check_before_loading(room: Job, settings: ScoreSettings, options: ScoreOptions) -> None:
    """Raise UsageError or SourceError for failures that can be found without a model."""
    source = room.source
    if is_stream(source):
        check_stream_settings(source, settings)
    else:
        open_source(source).close()
    check_unlocked(room.output)
    address = _address_of(room, options)
    if address is not None and _earlier(room, options) == "refuse" and is_stored_whole(address):
        raise UsageError(f"{address} already holds a run; --force replaces it, --output names another place")
    if has_scores(room.output) and _earlier(room, options) == "refuse":
        goes_on = "--resume goes on with them, " if was_interrupted(room.output) else ""
        raise UsageError(
            f"{room.output} already holds {SCORES_FILE}; {goes_on}--force replaces them, --output names another folder"
        )
    if room.comments == Path(STDIN):
        raise UsageError("--comments - is not supported: comments are read from a file; save them to one")
    if is_page(room.comments):
        check_recorder()
    elif isinstance(room.comments, Path) and not room.comments.is_file():
        raise UsageError(f"{room.comments}: no such file of comments")


def _earlier(room: Job, options: ScoreOptions) -> "Earlier":
    """What to do with the scores of an earlier run: nothing erases them unless it is told to."""
    if options.force:
        return "replace"
    is_url = "://" in room.source and is_stream(room.source)
    missed = is_url and was_interrupted(room.output)  # what a stream says now cannot be had again
    return "resume" if options.resume or options.skip or missed else "refuse"


def _is_done_anywhere(room: Job, settings: ScoreSettings, options: ScoreOptions, sinks: SinkSettings) -> bool:
    """As `_is_done`, also for results in an object store; those that were not put yet are put."""
    address = _address_of(room, options)
    if address is None:
        return _is_done(room, settings, sinks)
    if not has_scores(room.output):
        found = with_stored_run(
            address, room.output.parent, lambda copy: _is_done(replace(room, output=copy), settings, sinks)
        )
        return bool(found)
    is_done = _is_done(room, settings, sinks)
    if is_done:
        put_run(room.output, address, keep=has_waiting(room.output / SPOOLS))
    return is_done


def _is_done(room: Job, settings: ScoreSettings, sinks: SinkSettings) -> bool:
    """Whether an earlier run scored this very source, with these options, to its end.

    If its highlights or files are not those wanted now, they are made again from its scores. Events that it could not
    deliver are delivered.
    """
    if not is_finished(room.output):
        return False
    from kuaihl.engines.scoring.record import find_encoders, make_record
    from kuaihl.engines.scoring.remake import remake_if_lacking
    from kuaihl.models.bundle import load_bundle

    if read_record(room.output) is not None:  # version 0.2.0 wrote none
        bundle = load_bundle(settings.model)
        encoders = find_encoders(settings, bundle)
        with suppress(SourceError):  # finished, and gone since
            wanted = make_record(
                room.source, settings, bundle, encoders, comments=room.comments, streamer=room.streamer
            )
            if reason_to_score(room.output, wanted) is not None:
                return False
            remake_if_lacking(room.output, wanted, settings, room.source, say)
    tidy_finished(room.output)
    deliver_left(sinks, room.output, say)
    say(f"{room.output} is finished")
    return True


def run(room: Job, settings: ScoreSettings, options: ScoreOptions, sinks: SinkSettings) -> int:
    """Load, score, print; returns the exit code."""
    from kuaihl.engines.scoring.model import load_model
    from kuaihl_cli.terminal.outcome import print_outcome
    from kuaihl_cli.terminal.progress import progress_for

    with stopped_by_signals() as stop, progress_for(quiet=options.quiet) as progress:
        outcome = _score_one(
            room,
            load_model(settings, lambda line: progress.message(error_words(line))),
            settings,
            options,
            sinks,
            progress,
            stop,
        )
    print_outcome(outcome, as_json=options.as_json, quiet=_is_quiet(options))
    if outcome.why == STOPPED:
        return EXIT_INTERRUPTED
    outcome.check_clips()
    return 0


def _is_quiet(options: ScoreOptions) -> bool:
    """Whether no table is printed; standard output may belong to events."""
    return options.quiet or options.events == STDIN


def _run_each(rooms: list[Job], settings: ScoreSettings, options: ScoreOptions, sinks: SinkSettings) -> int:
    """Load once, then score and print room after room; returns the exit code. Raises BatchError if some failed."""
    from kuaihl.engines.scoring.model import load_model
    from kuaihl_cli.terminal.outcome import print_outcome
    from kuaihl_cli.terminal.progress import progress_for

    ready = [room for room in rooms if _try_room(room, lambda room: _check_before_loading(room, settings, options))]
    failed = len(rooms) - len(ready)
    with stopped_by_signals() as stop:
        if ready:
            with progress_for(quiet=options.quiet) as progress:
                model = load_model(settings, lambda line: progress.message(error_words(line)))
        for room in ready:
            outcomes: list[ScoreResult] = []

            def score_room(room: Job, outcomes: "list[ScoreResult]" = outcomes) -> None:
                with progress_for(quiet=options.quiet) as progress:
                    outcomes.append(_score_one(room, model, settings, options, sinks, progress, stop))

            if not _try_room(room, score_room):
                failed += 1
                continue
            print_outcome(outcomes[0], as_json=options.as_json, quiet=_is_quiet(options))
            if outcomes[0].why == STOPPED:
                return EXIT_INTERRUPTED
            failed += not _try_room(room, lambda room, outcome=outcomes[0]: outcome.check_clips())  # type: ignore[misc]
    if failed:
        raise BatchError(f"{failed} of {len(rooms)} sources failed; the lines above say why")
    return 0


def _try_room(room: Job, step: Callable[[Job], None]) -> bool:
    """Whether a step of one room among several succeeded; if not, its error is reported, and the others go on."""
    try:
        step(room)
    except KuaihlError as error:
        say(f"{shown_source(room.source)}: FAILED: {error_words(error)}")
        return False
    except Exception as error:
        LOG.debug("traceback", exc_info=True)
        reason = reason_of(error, longest=300)
        say(f"{shown_source(room.source)}: FAILED: unexpected {type(error).__name__}: {reason}")
        return False
    return True


def _score_one(
    room: Job,
    model: "Model",
    settings: ScoreSettings,
    options: ScoreOptions,
    sinks: SinkSettings,
    progress: "Progress",
    stop: threading.Event,
) -> "ScoreResult":
    """Score a room while `progress` shows it."""
    from kuaihl.engines.scoring.run import Run
    from kuaihl_cli.terminal.run_lines import show_run

    if room.comments is not None and options.comments is None:
        name = PurePath(room.comments).name
        progress.message(f"reading {name}, which lies beside the recording (--no-comments leaves it)")
    run = Run(
        model,
        room.source,
        settings,
        output=room.output,
        comments=room.comments if options.comments is not None or room.comments is None else "auto",
        streamer=room.streamer,
        room=room.room,
        earlier=_earlier(room, options),
        sinks=sinks,
        stop=stop,
        report=progress.message,
    )
    if run.segments:
        progress.message(f"going on behind segment {run.segments[-1].segment}, at {run.segments[-1].end:.0f} s")
    outcome = show_run(run, progress, start=settings.start, end=settings.end)
    address = _address_of(room, options)
    if address is not None and outcome.segments:
        put_run(room.output, address, keep=has_waiting(room.output / SPOOLS))
        progress.message(f"wrote {shown_source(address).rstrip('/')}/")
        outcome = replace(outcome, output=None)
    if options.verbose:
        for line in model.encoders.times.report():
            progress.message(line)
    return outcome
