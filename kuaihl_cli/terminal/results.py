"""The results of an archive on the terminal: what was left out, each result as it comes, and their number."""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

from kuaihl.engines.archive.jobs import JobResult, LeftOut
from kuaihl.models.credentials import shown_source
from kuaihl.models.errors import BatchError
from kuaihl_cli.terminal.errors import error_words
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
    total: int | None,
    output: Path,
    *,
    quiet: bool,
    record: Callable[[JobResult], None] = lambda _: None,
) -> None:
    """Show and `record` each of `total` results, and their number, even if Ctrl-C ends them.

    Without a `total` nobody knows how many will come. Raises BatchError if some failed, or if `output` had no space for
    the rest.
    """
    report = log_only if quiet else say
    counts: Counter[str] = Counter()
    warned, no_space = 0, False
    try:
        with closing(results):
            for result in results:
                counts[result.status] += 1
                warned += bool(result.warnings)
                no_space = no_space or result.no_space
                tell = say if result.status == "failed" else report
                of_all = "" if total is None else f"/{total}"
                tell(f"[{counts.total()}{of_all}] {result_words(result)}")
                record(result)
    finally:
        report(total_words(counts, warned=warned, left=0 if total is None else total - counts.total()))
    if no_space:
        raise BatchError(f"{output}: cannot take more files; make space, then run the same command again")
    if counts["failed"]:
        raise BatchError(f"{counts['failed']} of {counts.total()} rooms failed; the lines above say why")


def result_words(result: JobResult) -> str:
    """The result of a recording, on one line."""
    source = shown_source(result.job.source)
    match result.status:
        case "done":
            warnings = "".join(f"; WARNING: {warning}" for warning in result.warnings)
            return f"{source}: done in {result.seconds:.1f} s{warnings}"
        case "skipped":
            return f"{source}: {result.reason or 'finished before'}, skipped"
        case _:
            return f"{source}: FAILED: {error_words(result.reason or '')}"


def retry_words(result: JobResult) -> str:
    """The failure of a try that another one follows."""
    return f"{shown_source(result.job.source)}: {error_words(result.reason or '')}; it is tried again"


def total_words(counts: Counter[str], *, warned: int = 0, left: int = 0) -> str:
    """The number of results of each kind."""
    warnings = f" ({warned} with warnings)" if warned else ""
    rest = f", {left} not done" if left else ""
    return f"{counts['done']} done{warnings}, {counts['skipped']} skipped, {counts['failed']} failed{rest}"
