"""highlights.csv: one row per highlight, for spreadsheets and scripts (UTF-8, RFC 4180)."""

import csv
import io

from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.engines.outputs.timecode import format_timecode

COLUMNS = ("rank", "start", "end", "start_timecode", "end_timecode", "score", "text", "clip")


def render(document: HighlightsDocument) -> str:
    """The highlights in order of time; start and end in seconds."""
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for one in document["highlights"]:
        rows.writerow(
            [
                one["rank"],
                f"{one['start']:.3f}",
                f"{one['end']:.3f}",
                format_timecode(one["start"], decimals=3, full=True),
                format_timecode(one["end"], decimals=3, full=True),
                f"{one['score']:.6f}",
                as_text(one["text"]),
                as_text(one["clip"]["file"]) if "clip" in one else "",
            ]
        )
    return text.getvalue()


def as_text(cell: str) -> str:
    """A cell that a spreadsheet shows but does not run: viewers' and streamers' words are not formulas."""
    return f"'{cell}" if cell.lstrip().startswith(("=", "+", "-", "@")) or cell.startswith(("\t", "\r")) else cell
