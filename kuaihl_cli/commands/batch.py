"""`kuaihl batch DIR|MANIFEST|- -o OUT`: an archive of recordings, scored in worker processes."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kuaihl.engines.archive.jobs import InHand, Job, JobResult, LeftOut, ScoreJob
from kuaihl.engines.archive.manifest import read_archive
from kuaihl.engines.archive.pool import score_archive
from kuaihl.engines.archive.recordings import MIN_AGE, comments_beside
from kuaihl.engines.outputs.batch_jsonl import BATCH_FILE, LEFT_OUT_FILE, BatchWriter, done_rooms, write_left_out
from kuaihl.engines.outputs.formats import parse_formats
from kuaihl.engines.outputs.lock import FolderInUse
from kuaihl.engines.outputs.run_folder import SCORES_FILE, has_scores, make_folder, tidy_finished
from kuaihl.engines.outputs.run_record import reason_to_score
from kuaihl.engines.outputs.scores_jsonl import read_scores
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.warnings import warnings_of
from kuaihl.models.atomic import remove_torn
from kuaihl.models.credentials import mask_credentials, shown_source
from kuaihl.models.errors import KuaihlError, SourceError
from kuaihl_cli.command import RULE, application, read_settings
from kuaihl_cli.options import JobsOption, MinAgeOption, TimeLimitOption
from kuaihl_cli.run_options import RunOptions, run_settings
from kuaihl_cli.terminal.errors import error_words
from kuaihl_cli.terminal.messages import log_only, say
from kuaihl_cli.terminal.results import show_left_out, show_results

if TYPE_CHECKING:
    from kuaihl.engines.scoring.journal import Earlier

_TIME_LIMIT = 86_400.0

app = application()


@dataclass(frozen=True, kw_only=True)
class BatchOptions(RunOptions):
    """The options of `kuaihl batch`."""

    archive: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|MANIFEST|-",
            help="A folder of recordings, a manifest of sources, or - for a manifest on standard input.",
        ),
    ]
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="The folder in which every room gets its own.")
    ]
    jobs: JobsOption = 1
    min_age: MinAgeOption = MIN_AGE
    time_limit: TimeLimitOption = _TIME_LIMIT
    force: Annotated[bool, typer.Option("--force", help="Score finished rooms again.")] = False


@app.command(epilog=RULE)
@read_settings(BatchOptions)
def batch(options: BatchOptions) -> int:
    """Score every recording of a folder, or every source that a manifest lists, one per line.

    Comments beside a recording (NAME.xml, NAME.live_chat.json, …) are read with it. Rooms that an earlier run finished
    are skipped, unless the recording, its comments, the options or the model have changed. A file that may still be
    written waits for the next run. Every other file that is not scored is listed with its reason in OUT/left_out.jsonl.

    If a room fails, its reason is listed, the others go on, and the exit code is 5. Ctrl-C and SIGTERM end the batch;
    the same command goes on with it.
    """
    parse_formats(options.formats)
    archive = read_archive(options.archive, options.output, min_age=options.min_age)
    rooms = [replace(room, comments=None) if options.no_comments else room for room in archive.rooms]
    threads = options.threads or max(1, (os.cpu_count() or 1) // options.jobs)
    make_folder(options.output)
    remove_torn(options.output)
    write_left_out(options.output, map(_left_out_entry, archive.left_out))
    show_left_out(archive.left_out, options.output / LEFT_OUT_FILE, quiet=options.quiet)
    settings = run_settings(options, threads=threads)
    results = score_archive(
        rooms,
        processes=options.jobs,
        prepare=partial(_prepare, settings, "replace" if options.force else "update"),
        finished=(lambda _: False) if options.force else _finished_before(settings, quiet=options.quiet),
        time_limit=options.time_limit,
    )
    with BatchWriter(options.output / BATCH_FILE) as summary:
        told = done_rooms(summary.path)

        def record(result: JobResult) -> None:
            if result.status != "skipped":
                summary.write(_summary_entry(result))
            elif result.reason is None and result.job.output.name not in told:  # a killed batch had no time for it
                summary.write(_summary_entry(_found_done(result.job)))

        try:
            show_results(results, len(rooms), options.output, quiet=options.quiet, record=record)
        finally:
            if options.report:
                _write_index(options.output)
    return 0


def _write_index(output: Path) -> None:
    """The page over the batch, also if it ended early; without a room there is none."""
    from kuaihl.engines.outputs.report.index import write_index

    with suppress(SourceError):
        write_index(output)


def _finished_before(settings: ScoreSettings, *, quiet: bool) -> Callable[[Job], bool]:
    """Whether an earlier run scored a room to its end from the same media, comments, options and weights.

    If its highlights, clips or other files are not those wanted now, they are made again from its scores. Reports why,
    and why a finished one is scored again. Raises ModelError if there is no such bundle.
    """
    from kuaihl.engines.scoring.record import find_encoders, make_record
    from kuaihl.engines.scoring.remake import remake_if_lacking
    from kuaihl.models.bundle import load_bundle

    bundle = load_bundle(settings.model)
    encoders = find_encoders(settings, bundle)

    def is_done(room: Job) -> bool:
        if not has_scores(room.output):
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
        tidy_finished(room.output)
        return True

    return is_done


def _prepare(settings: ScoreSettings, earlier: "Earlier") -> ScoreJob:
    """In a worker: load the models, and return the function that scores a room with them.

    What another batch has scored since this one began is left alone, if `earlier` is "update".
    """
    from kuaihl.engines.scoring.journal import AlreadyScored
    from kuaihl.engines.scoring.model import load_model
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
            )
        except (FolderInUse, AlreadyScored) as error:
            raise InHand(error.line(error.subject, remedy="")) from error
        result = run.finish()
        result.check_clips()
        return warnings_of(event for segment in result.segments for event in segment.events)

    return score_one


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


def _left_out_entry(one: LeftOut) -> dict[str, Any]:
    """One line of left_out.jsonl."""
    return {"source": shown_source(one.source), "reason": one.reason}
