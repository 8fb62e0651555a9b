"""Many recordings scored in worker processes: what `kuaihl batch` and `kuaihl watch` share."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from kuaihl.engines.archive.batch_export import BatchExport
from kuaihl.engines.archive.bookkeeping import score_with_ledger
from kuaihl.engines.archive.jobs import Following, Job, JobResult
from kuaihl.engines.archive.ledger import LEDGER_FILE, Ledger
from kuaihl.engines.archive.rebuilding import rebuild
from kuaihl.engines.outputs.run_folder import make_folder
from kuaihl.engines.sinks.json_lines import STDOUT
from kuaihl.engines.sinks.settings import SinkSettings
from kuaihl.engines.stores.urls import is_stored
from kuaihl.models.atomic import remove_torn
from kuaihl.models.errors import KuaihlError, SourceError, UsageError
from kuaihl_cli.limits import limits_of, rules_of
from kuaihl_cli.options import WorkOption
from kuaihl_cli.places import place_on_disk
from kuaihl_cli.run_options import RunOptions, run_settings
from kuaihl_cli.runner_options import RAY, RunnerOptions, make_runner, threads_of_each
from kuaihl_cli.sink_options import SinkOptions, sink_settings
from kuaihl_cli.terminal.archive_progress import ArchiveProgress
from kuaihl_cli.terminal.errors import error_words, worded
from kuaihl_cli.terminal.messages import log_only, say
from kuaihl_cli.terminal.results import show_results

_ON_CARD = 16  # recordings at once: their segments fill a card's batches


@dataclass(frozen=True, kw_only=True)
class ArchiveOptions(RunnerOptions, RunOptions, SinkOptions):
    """The options of a command that scores many recordings."""

    place: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="OUT",
            help="The folder in which every room gets its own; it may be in an object store.",
        ),
    ]  # fmt: skip
    work: WorkOption = None
    per_worker: Annotated[
        int | None,
        typer.Option(
            "--per-worker", min=1, max=256, metavar="N", rich_help_panel=RAY,
            help="Recordings that a Ray worker scores at once, whose segments share the encoders' batches; 16 with "
            "--device cuda, otherwise 1.",
        ),
    ] = None  # fmt: skip

    @property
    def output(self) -> Path:
        """The folder on disk, in which rooms are only worked on if their place is in a store."""
        return place_on_disk(self.place, self.work)

    @property
    def store(self) -> str | None:
        """The place, if it is in a store."""
        return self.place if is_stored(self.place) else None


def open_ledger(output: Path, report: Callable[[str], None]) -> Ledger:
    """Make the folder of the outputs, without what a killed run has left in it, and open its ledger.

    A ledger that is lost or damaged is made again from the run folders.
    """
    make_folder(output)
    remove_torn(output)
    ledger = Ledger(output / LEDGER_FILE, report)
    if ledger.is_new and (rows := rebuild(ledger, output)):
        of = "1 recording" if rows == 1 else f"{rows} recordings"
        report(f"{ledger.path}: made from the run folders that are there, {of}")
    return ledger


def score_rooms(
    rooms: Iterable[Job | None],
    options: ArchiveOptions,
    ledger: Ledger,
    *,
    progress: ArchiveProgress,
    force: bool = False,
    follow: Following | None = None,
    conclude: Callable[[JobResult], JobResult] = lambda result: result,
    show_entry: Callable[[dict[str, Any]], None] = lambda _: None,
) -> None:
    """Score rooms as they come, with a row per room in the ledger; `progress` shows them.

    Those that grow are followed as `follow` says, in further processes. `conclude` has the last word on a result, and
    `show_entry` gets each line of batch.jsonl. Raises BatchError if some failed, or if there was no space for the rest.
    """
    from kuaihl.engines.scoring.archive_work import scoring_work
    from kuaihl.engines.scoring.stored_work import kept_in_store

    threads = threads_of_each(options, options.threads)
    settings = run_settings(options, threads=threads)
    per_worker = _recordings_together(options)
    show = worded(log_only if options.quiet else say)
    work = scoring_work(
        settings,
        again=force,
        report=show,
        notify=say_notice,
        follow=follow,
        sinks=_shared_sinks(options),
        together=per_worker is not None,
    )
    results = score_with_ledger(
        (replace(room, comments=None) if room and options.no_comments else room for room in rooms),
        work if options.store is None else kept_in_store(work, options.store, show),
        make_runner(
            options,
            jobs=options.jobs + (follow.most if follow is not None else 0),
            threads=threads,
            device=options.device,
            outputs=options.output if options.store is None else None,
            report=show,
            per_worker=per_worker,
        ),
        ledger,
        rules=rules_of(options, again=force),
        limits=limits_of(options),
        tell=progress.tell,
        conclude=conclude,
        report=progress.retry,
    )
    with BatchExport(ledger, options.output, show_entry) as export:

        def record(result: JobResult) -> None:
            if result.status != "skipped":
                export.write()

        try:
            show_results(results, progress, options.output, record=record)
            export.write()
        finally:
            if options.report:
                _write_index(options.output)


def _recordings_together(options: ArchiveOptions) -> int | None:
    """The recordings that a worker scores at once; None if it scores one after another.

    Raises UsageError if a report is wanted of recordings that share batches.
    """
    if options.report and options.per_worker is not None:
        raise UsageError("a report needs each recording alone", setting="per_worker", value=options.per_worker)
    if options.per_worker is None and options.runner == "ray" and options.device.startswith("cuda"):
        return None if options.report else _ON_CARD
    return options.per_worker


def say_notice(notice: KuaihlError | str) -> None:
    """What a worker has to say."""
    say(error_words(notice))


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
