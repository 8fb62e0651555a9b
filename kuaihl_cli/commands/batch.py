"""`kuaihl batch DIR|MANIFEST|- -o OUT`: an archive of recordings, scored in worker processes."""

import gc
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from kuaihl.engines.archive.bookkeeping import undone_first
from kuaihl.engines.archive.jobs import Archive, LeftOut
from kuaihl.engines.archive.manifest import read_archive
from kuaihl.engines.archive.recordings import MIN_AGE
from kuaihl.engines.archive.stored_recordings import read_store
from kuaihl.engines.outputs.batch_jsonl import LEFT_OUT_FILE, write_left_out
from kuaihl.engines.outputs.formats import parse_formats
from kuaihl.engines.stores.urls import is_stored
from kuaihl.models.credentials import shown_source
from kuaihl_cli.archive_run import ArchiveOptions, open_ledger, score_rooms
from kuaihl_cli.command import RULE, application, read_settings
from kuaihl_cli.options import MinAgeOption
from kuaihl_cli.terminal.archive_progress import ArchiveProgress
from kuaihl_cli.terminal.json_output import print_document
from kuaihl_cli.terminal.messages import log_only, say
from kuaihl_cli.terminal.results import show_left_out

app = application()


@dataclass(frozen=True, kw_only=True)
class BatchOptions(ArchiveOptions):
    """The options of `kuaihl batch`."""

    archive: Annotated[
        str,
        typer.Argument(
            metavar="DIR|URL|MANIFEST|-",
            help="A folder of recordings, on disk or in an object store, a manifest of sources, or - for a manifest on "
            "standard input.",
        ),
    ]
    min_age: MinAgeOption = MIN_AGE
    force: Annotated[bool, typer.Option("--force", help="Score finished and quarantined rooms again.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary of the run as one JSON document.")] = False


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
    archive = _read_without_collecting(options)
    with open_ledger(options.output, log_only if options.quiet else say) as ledger:
        write_left_out(options.output, map(_left_out_entry, archive.left_out))
        ledger.leave_out((one for one in archive.left_out if not one.is_expected), only=True)
        ledger.enter(archive.rooms)
        show_left_out(archive.left_out, options.output / LEFT_OUT_FILE, quiet=options.quiet)
        progress = ArchiveProgress(len(archive.rooms), quiet=options.quiet)
        try:
            score_rooms(undone_first(archive.rooms, ledger), options, ledger, progress=progress, force=options.force)
        finally:
            if options.as_json:
                left_out = [_left_out_entry(one) for one in archive.left_out if not one.is_expected]
                print_document(json.dumps(progress.summary() | {"left_out": left_out}, ensure_ascii=False))
    return 0


def _read_without_collecting(options: BatchOptions) -> Archive:
    """The archive: its jobs may be many, none is garbage, and to look for some takes a third of the time."""
    gc.disable()
    try:
        archive = _read(options)
        gc.freeze()
        return archive
    finally:
        gc.enable()


def _read(options: BatchOptions) -> Archive:
    if is_stored(options.archive):
        return read_store(options.archive, options.output, results=options.store, min_age=options.min_age)
    return read_archive(Path(options.archive), options.output, min_age=options.min_age)


def _left_out_entry(one: LeftOut) -> dict[str, Any]:
    """One line of left_out.jsonl."""
    return {"source": shown_source(one.source), "reason": one.reason}
