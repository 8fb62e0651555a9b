"""batch.jsonl, one line per result of a batch, and left_out.jsonl, one line per file that is no recording."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kuaihl.engines.outputs.atomic import write_output
from kuaihl.engines.outputs.json_lines import line_of, read_objects

BATCH_FILE, LEFT_OUT_FILE = "batch.jsonl", "left_out.jsonl"


def last_entries(path: Path) -> dict[str, dict[str, Any]]:
    """The last line of each run folder, by its name; empty if there is no such file."""
    last = {}
    for entry in read_objects(path):
        with suppress(KeyError, TypeError):
            last[Path(entry["output"]).name] = entry
    return last


def write_left_out(folder: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Write left_out.jsonl anew. Raises UsageError if it cannot be written."""
    write_output(folder / LEFT_OUT_FILE, b"".join(map(line_of, entries)))
