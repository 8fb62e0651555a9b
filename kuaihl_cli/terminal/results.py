"""The results of a batch in words."""

from collections import Counter

from kuaihl.engines.archive.jobs import RoomResult
from kuaihl_cli.terminal.errors import error_words


def result_words(result: RoomResult) -> str:
    """What became of a recording, on one line."""
    match result.status:
        case "done":
            return f"{result.room.source}: done in {result.seconds:.1f} s"
        case "skipped":
            return f"{result.room.source}: finished before, skipped"
        case _:
            return f"{result.room.source}: FAILED: {error_words(result.reason or '')}"


def total_words(counts: Counter[str]) -> str:
    """How many of each kind there were."""
    return f"{counts['done']} done, {counts['skipped']} skipped, {counts['failed']} failed"
