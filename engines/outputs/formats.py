"""Output files, one module per format; all are derived from the document of highlights.json."""

from collections.abc import Callable, Iterable
from pathlib import Path

from kuaihl.engines.outputs import csv, srt, vtt
from kuaihl.engines.outputs.atomic import write_output
from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.models.errors import UsageError

# A format: its name, which is the file's suffix, and the function that renders the document as its text.
FORMATS: dict[str, Callable[[HighlightsDocument], str]] = {
    "csv": csv.render,
    "srt": srt.render,
    "vtt": vtt.render,
}


def parse_formats(text: str) -> tuple[str, ...]:
    """The formats in a text such as `csv,srt`, each once, in order. Raises UsageError for an unknown one."""
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"unknown; choose from {', '.join(FORMATS)}", setting="format", value=name)
    return names


def write_formats(document: HighlightsDocument, names: Iterable[str], folder: Path) -> list[Path]:
    """Write `highlights.NAME` for each format into an existing folder; returns the files. Raises UsageError."""
    paths = []
    for name in names:
        paths.append(folder / f"highlights.{name}")
        write_output(paths[-1], FORMATS[name](document))
    return paths
