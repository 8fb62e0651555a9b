"""The results of a batch in words."""

from collections import Counter

from kuaihl.engines.archive.jobs import JobResult
from kuaihl.models.credentials import shown_source
from kuaihl_cli.terminal.errors import error_words


def result_words(result: JobResult) -> str:
    """The result of a recording, on one line."""
    source = shown_source(result.job.source)
    match result.status:
        case "done":
            return f"{source}: done in {result.seconds:.1f} s"
        case "skipped":
            return f"{source}: finished before, skipped"
        case _:
            return f"{source}: FAILED: {error_words(result.reason or '')}"


def total_words(counts: Counter[str]) -> str:
    """The number of results of each kind."""
    return f"{counts['done']} done, {counts['skipped']} skipped, {counts['failed']} failed"
