"""batch.jsonl, one line per result of a batch, and left_out.jsonl, one line per file that is no recording."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kuaihl.engines.outputs.atomic import write_output
from kuaihl.engines.outputs.json_lines import line_of, read_objects

BATCH_FILE, LEFT_OUT_FILE = "batch.jsonl", "left_out.jsonl"


def done_rooms(path: Path) -> set[str]:
    """The names of the run folders whose last line says that they are done; empty if there is no such file."""
    status: dict[str, object] = {}
    for entry in read_objects(path):
        with suppress(KeyError, TypeError):
            status[Path(entry["output"]).name] = entry["status"]
    return {name for name, said in status.items() if said == "done"}


def write_left_out(folder: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Write left_out.jsonl anew. Raises UsageError if it cannot be written."""
    write_output(folder / LEFT_OUT_FILE, b"".join(map(line_of, entries)))
