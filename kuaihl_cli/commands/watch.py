"""`kuaihl watch DIR… -o OUT`: recordings are scored as recorders finish them."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from kuaihl.engines.archive.jobs import Following, Job, LeftOut
from kuaihl.engines.archive.recordings import MIN_AGE
from kuaihl.engines.archive.watch import WatchedFolders
from kuaihl.engines.outputs.formats import parse_formats
from kuaihl.models.errors import UsageError
from kuaihl_cli.archive_run import ArchiveOptions, open_ledger, score_rooms
from kuaihl_cli.command import RULE, application, read_settings
from kuaihl_cli.terminal.archive_progress import ArchiveProgress
from kuaihl_cli.terminal.messages import log_only, say
from kuaihl_cli.terminal.timecode import time_between

app = application()


@dataclass(frozen=True, kw_only=True)
class WatchOptions(ArchiveOptions):
    """The options of `kuaihl watch`."""

    folders: Annotated[tuple[Path, ...], typer.Argument(metavar="DIR…", help="The folders that recorders write into.")]
    min_age: Annotated[
        float,
        typer.Option(
            "--min-age", parser=time_between(1.0), metavar="TIME",
            help="How long a recording and its comments have not changed once they are finished, at least 1 s.",
        ),
    ] = MIN_AGE  # fmt: skip
    poll: Annotated[
        bool, typer.Option("--poll", help="Look every few seconds, for network file systems that tell of no changes.")
    ] = False
    follow: Annotated[
        int,
        typer.Option(
            "--follow", min=0, max=100, metavar="N",
            help="Score up to N recordings while they grow, each in a process of its own.",
        ),
    ] = 0  # fmt: skip
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each result to standard output, as the line in batch.jsonl.")
    ] = False


@app.command(epilog=RULE)
@read_settings(WatchOptions)
def watch(options: WatchOptions) -> int:
    """Score every recording of folders and their subfolders once its recorder has finished it.

    Run folders, comments and batch.jsonl are as those of `kuaihl batch DIR -o OUT`. What was finished before the start
    is scored too, unless it is done. A recording that changes again, or whose comments do, is scored again.

    With --follow, scores.jsonl and highlights.json of a recording grow while its recorder still writes it.

    A failure is a line, and the others go on. Ctrl-C and SIGTERM end the watch with exit code 130; the same command
    goes on with it.
    """
    parse_formats(options.formats)
    if options.follow and options.frames == "exact":
        raise UsageError("--frames exact needs a finished recording; leave it out, or --follow")
    report = log_only if options.quiet else say

    def show_left_out(one: LeftOut) -> None:
        report(f"{one.source}: left out: {one.reason}")
        if one.name:
            ledger.leave_out([one], only=False)

    with (
        closing(
            WatchedFolders(
                options.folders,
                options.output,
                min_age=options.min_age,
                poll=options.poll,
                report=show_left_out,
                most=options.jobs,
                follow=options.follow,
            )
        ) as watched,
        open_ledger(options.output, report) as ledger,
    ):
        report(f"watching {', '.join(map(str, options.folders))}; Ctrl-C ends it")
        score_rooms(
            _telling(watched.jobs(), report),
            options,
            ledger,
            progress=ArchiveProgress(None, quiet=options.quiet),
            follow=Following(options.follow, options.min_age, beside=not options.no_comments),
            conclude=watched.conclude,
            show_entry=_print_entry if options.as_json else lambda _: None,
        )
    return 0


def _telling(jobs: Iterator[Job | None], report: Callable[[str], None]) -> Iterator[Job | None]:
    for job in jobs:
        if job is not None and job.grows:
            report(f"{job.source}: followed while it grows, into {job.output}")
        yield job


def _print_entry(entry: dict[str, Any]) -> None:
    typer.echo(json.dumps(entry, ensure_ascii=False))
