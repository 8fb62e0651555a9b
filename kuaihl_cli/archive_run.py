"""Many recordings scored in worker processes: what `kuaihl batch` and `kuaihl watch` share."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kuaihl.engines.archive.jobs import InHand, Job, JobResult, ScoreJob
from kuaihl.engines.archive.pool import score_archive
from kuaihl.engines.archive.recordings import comments_beside
from kuaihl.engines.outputs.batch_jsonl import BATCH_FILE, done_rooms
from kuaihl.engines.outputs.json_lines import LineWriter
from kuaihl.engines.outputs.lock import FolderInUse
from kuaihl.engines.outputs.run_folder import HIGHLIGHTS_FILE, SCORES_FILE, has_scores, make_folder, tidy_finished
from kuaihl.engines.outputs.run_record import reason_to_score
from kuaihl.engines.outputs.scores_jsonl import read_scores
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.sinks.json_lines import STDOUT
from kuaihl.engines.sinks.settings import SinkSettings, deliver_left
from kuaihl.engines.warnings import warnings_of
from kuaihl.models.atomic import remove_torn
from kuaihl.models.credentials import mask_credentials, shown_source
from kuaihl.models.errors import KuaihlError, SourceError, UsageError
from kuaihl_cli.options import JobsOption, TimeLimitOption
from kuaihl_cli.run_options import RunOptions, run_settings
from kuaihl_cli.sink_options import SinkOptions, sink_settings
from kuaihl_cli.terminal.errors import error_words
from kuaihl_cli.terminal.messages import log_only, say
from kuaihl_cli.terminal.results import show_results

if TYPE_CHECKING:
    from kuaihl.engines.scoring.journal import Earlier

_TIME_LIMIT = 86_400.0


@dataclass(frozen=True, kw_only=True)
class ArchiveOptions(RunOptions, SinkOptions):
    """The options of a command that scores many recordings."""

    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="The folder in which every room gets its own.")
    ]
    jobs: JobsOption = 1
    time_limit: TimeLimitOption = _TIME_LIMIT


@dataclass(frozen=True)
class Following:
    """How recordings are followed while they grow."""

    most: int  # at a time
    settled: float  # seconds without a new byte after which one is finished


def make_output(options: ArchiveOptions) -> None:
    """Make the folder of the outputs, without what a killed run has left in it."""
    make_folder(options.output)
    remove_torn(options.output)


def score_rooms(
    rooms: Iterable[Job | None],
    options: ArchiveOptions,
    *,
    total: int | None,
    force: bool = False,
    follow: Following | None = None,
    conclude: Callable[[JobResult], JobResult] = lambda result: result,
    show_entry: Callable[[dict[str, Any]], None] = lambda _: None,
) -> None:
    """Score rooms as they come, `total` of them if that is known, with a line per result, in batch.jsonl too.

    Those that grow are followed as `follow` says, in further processes. `conclude` has the last word on a result, and
    `show_entry` gets each line of batch.jsonl. Raises BatchError if some failed, or if there was no space for the rest.
    """
    sinks = _shared_sinks(options)
    settings = run_settings(options, threads=options.threads or max(1, (os.cpu_count() or 1) // options.jobs))
    results = score_archive(
        (replace(room, comments=None) if room and options.no_comments else room for room in rooms),
        processes=options.jobs + (follow.most if follow is not None else 0),
        prepare=partial(_prepare, settings, "replace" if force else "update", follow, sinks),
        finished=(lambda _: False) if force else _finished_before(settings, sinks, quiet=options.quiet),
        time_limit=options.time_limit,
    )
    with LineWriter(options.output / BATCH_FILE) as summary:
        begun, told = time.time(), done_rooms(summary.path)  # in this order: nothing falls between

        def record(result: JobResult) -> None:
            if result.status == "skipped":
                if result.reason is not None or result.job.output.name in told or _is_newer(result.job, begun):
                    return
                result = _found_done(result.job)  # a killed batch had no time for its line
            entry = _summary_entry(result)
            summary.write(entry)
            show_entry(entry)

        try:
            show_results(results, total, options.output, quiet=options.quiet, record=record, conclude=conclude)
        finally:
            if options.report:
                _write_index(options.output)


def _shared_sinks(options: SinkOptions) -> SinkSettings:
    """The sinks of all workers. Raises UsageError for what cannot be used."""
    if options.events == STDOUT:
        raise UsageError("--events - has no place for several recordings at once; name a file")
    return sink_settings(options)


def _write_index(output: Path) -> None:
    """The page over all rooms, also if the command ended early; without a room there is none."""
    from kuaihl.engines.outputs.report.index import write_index

    with suppress(SourceError):
        write_index(output)


def _finished_before(settings: ScoreSettings, sinks: SinkSettings, *, quiet: bool) -> Callable[[Job], bool]:
    """Whether an earlier run scored a room to its end from the same media, comments, options and weights.

    If its highlights, clips or other files are not those wanted now, they are made again from its scores. Events that
    could not be delivered are. Reports why, and why a finished one is scored again. Raises ModelError if there is no
    such bundle.
    """
    from kuaihl.engines.scoring.record import find_encoders, make_record
    from kuaihl.engines.scoring.remake import remake_if_lacking
    from kuaihl.models.bundle import load_bundle

    bundle = load_bundle(settings.model)
    encoders = find_encoders(settings, bundle)

    def is_done(room: Job) -> bool:
        if room.grows or not has_scores(room.output):
            return False
        try:
            wanted = make_record(
                room.source, settings, bundle, encoders, comments=room.comments, streamer=room.streamer
            )
        except SourceError:
            return False  # a worker will meet and report it
        report = log_only if quiet else say
        reason = reason_to_score(room.output, wanted)
        if reason is not None:
            report(f"{room.source}: scored again, for {reason}")
            return False
        try:
            remake_if_lacking(room.output, wanted, settings, room.source, report)
        except KuaihlError as error:
            say(f"{room.source}: {error_words(error)}")
        deliver_left(sinks, room.output, report)
        tidy_finished(room.output)
        return True

    return is_done


def _prepare(settings: ScoreSettings, earlier: "Earlier", follow: Following | None, sinks: SinkSettings) -> ScoreJob:
    """In a worker: load the models, and return the function that scores a room with them.

    What another process has scored since this one began is left alone, if `earlier` is "update".
    """
    from kuaihl.engines.scoring.journal import AlreadyScored
    from kuaihl.engines.scoring.model import load_model
    from kuaihl.engines.scoring.reading import follow_file, read_here
    from kuaihl.engines.scoring.run import Run

    model = load_model(settings, lambda line: say(error_words(line)))

    def score_one(room: Job) -> Sequence[str]:
        comments = "auto" if room.comments == comments_beside(Path(room.source)) else room.comments
        try:
            run = Run(
                model,
                room.source,
                settings,
                output=room.output,
                comments=comments,
                streamer=room.streamer,
                earlier=earlier,
                sinks=sinks,
                room=room.output.name,
                open_reading=partial(follow_file, settled=follow.settled) if follow and room.grows else read_here,
            )
        except (FolderInUse, AlreadyScored) as error:
            raise InHand(error.line(error.subject, remedy="")) from error
        result = run.finish()
        result.check_clips()
        return warnings_of(event for segment in result.segments for event in segment.events)

    return score_one


def _is_newer(room: Job, begun: float) -> bool:
    """Whether a room was finished since `begun`: then another process has done it, and writes its line."""
    try:
        return (room.output / HIGHLIGHTS_FILE).stat().st_mtime >= begun
    except OSError:
        return False


def _found_done(room: Job) -> JobResult:
    """The result of a room that an earlier run has scored, from its scores."""
    segments = [one.scored for one in read_scores(room.output / SCORES_FILE)]
    return JobResult(room, "done", warnings=tuple(warnings_of(event for one in segments for event in one.events)))


def _summary_entry(result: JobResult) -> dict[str, Any]:
    """One line of batch.jsonl."""
    return {
        "source": shown_source(result.job.source),
        "output": str(result.job.output),
        "status": result.status,
        "reason": None if result.reason is None else mask_credentials(str(result.reason)),
        "warnings": list(result.warnings),
        "seconds": round(result.seconds, 3),
    }
