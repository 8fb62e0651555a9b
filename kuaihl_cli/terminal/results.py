"""The results of an archive on the terminal: what was left out, each result as it comes, and their number."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

from kuaihl.engines.archive.jobs import JobResult, LeftOut
from kuaihl.models.errors import BatchError
from kuaihl_cli.terminal.archive_progress import ArchiveProgress
from kuaihl_cli.terminal.messages import log_only, say


def show_left_out(left_out: Sequence[LeftOut], listed_in: Path | None = None, *, quiet: bool) -> None:
    """A line per file that somebody might take for a recording, and the number of the others, which a file may list."""
    report = log_only if quiet else say
    for one in left_out:
        (log_only if one.is_expected else report)(f"{one.source}: left out: {one.reason}")
    if expected := sum(one.is_expected for one in left_out):
        where = "" if listed_in is None else f"; {listed_in} lists them"
        report(f"{expected} other {'file is no recording' if expected == 1 else 'files are no recordings'}{where}")


def show_results(
    results: Generator[JobResult],
    progress: ArchiveProgress,
    output: Path,
    *,
    record: Callable[[JobResult], None] = lambda _: None,
) -> None:
    """Show and `record` each result, and their number, even if Ctrl-C ends them.

    Raises BatchError if some failed or are quarantined, or if `output` had no space for the rest.
    """
    with progress, closing(results):
        for result in results:
            progress.add(result)
            record(result)
    counts = progress.counts
    if progress.no_space:
        raise BatchError(f"{output}: cannot take more files; make space, then run the same command again")
    if bad := counts["failed"] + counts["quarantined"]:
        raise BatchError(f"{bad} of {counts.total()} rooms failed; the lines above say why")
