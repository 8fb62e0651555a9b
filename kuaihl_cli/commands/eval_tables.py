"""The results of `kuaihl eval`: rows of figures in, tables, tab-separated lines or JSON out."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kuaihl_cli.terminal.json_output import print_document

if TYPE_CHECKING:
    from kuaihl.models.evaluation.bootstrap import Estimate
    from kuaihl.models.evaluation.compare import SystemResult

_BESIDES = {  # rows that do not belong to a bundle
    "published": "published, other data",  # it must not be mistaken for a figure of ours
    "ceiling": "the true rate",
    "humans": "with each other",
}


@dataclass(frozen=True)
class Heading:
    """The measure, its data, and its settings."""

    kind: str
    data: str
    split: str
    bootstrap: int
    seed: int
    counted: Mapping[str, Any]


def with_published(rows: "Sequence[SystemResult]", published: "Sequence[SystemResult]") -> "list[SystemResult]":
    """Each published row after our bundles of that architecture; rows of systems that we did not run come last."""
    ours = [row.facts.get("architecture") for row in rows]
    placed: list[SystemResult] = []
    for number, row in enumerate(rows):
        placed.append(row)
        if row.role == "bundle" and ours[number] not in ours[number + 1 :]:
            placed += [one for one in published if one.system == ours[number]]
    return placed + [one for one in published if one.system not in ours]


def print_tables(heading: Heading, rows: "Sequence[SystemResult]") -> None:
    """Print tables on a terminal; elsewhere one line per figure: table, system, column, value, interval."""
    if not sys.stdout.isatty():
        for row in rows:
            for title, figures in row.figures.items():
                for column, figure in figures.items():
                    numbers = (_format_number(number) for number in (figure.value, figure.low, figure.high))
                    name, detail = _label_row(row)
                    print(title, f"{name} ({detail})", column, *numbers, sep="\t")
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(_in_words(heading), style="dim", highlight=False)
    for title in dict.fromkeys(title for row in rows for title in row.figures):
        shown = [row for row in rows if title in row.figures]
        columns = list(dict.fromkeys(column for row in shown for column in row.figures[title]))
        table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("")
        for column in columns:
            table.add_column(column, justify="right", no_wrap=True)
        for row in shown:
            digits = 4 if row.role == "published" else 3  # as printed
            figures = row.figures[title]
            cells = [_format_cell(figures[column], digits) if column in figures else "" for column in columns]
            table.add_row("\n".join(_label_row(row)), *cells, style="" if row.role == "bundle" else "dim")
        console.print(table)


def _label_row(row: "SystemResult") -> tuple[str, str]:
    """The name of the system, and a note on it."""
    if row.facts.get("measured_on") == "PHD":
        return row.system, "published, on PHD"
    if row.role != "bundle":
        return row.system, _BESIDES[row.role]
    return row.system, row.facts["architecture"] + ("" if row.facts["causal"] else ", sees the future")


def _in_words(heading: Heading) -> str:
    """One line above the tables."""
    counted = ", ".join(
        f"{number:,} {name}" for name, number in heading.counted.items() if isinstance(number, int) and number
    )
    intervals = f"; in brackets 95% of {heading.bootstrap:,} draws" if heading.bootstrap else ""
    return f"{heading.data} ({heading.kind}), {counted}{intervals}"


def _format_cell(figure: "Estimate", digits: int) -> str:
    """A figure above its interval."""
    if math.isnan(figure.value):
        return "-"
    value = f"{figure.value:.{digits}f}"
    return value if math.isnan(figure.low) else f"{value}\n[{figure.low:.2f} {figure.high:.2f}]"


def _format_number(number: float) -> str:
    return "" if math.isnan(number) else f"{number:.4f}"


def print_json(heading: Heading, rows: "Sequence[SystemResult]") -> None:
    """Print one document; figures that could not be measured are null."""
    systems = [
        {
            "system": row.system,
            "role": row.role,
            **row.facts,
            "figures": {
                title: {column: _list_numbers(figure) for column, figure in figures.items()}
                for title, figures in row.figures.items()
            },
        }
        for row in rows
    ]
    print_document(json.dumps(asdict(heading) | {"systems": systems}, ensure_ascii=False, indent=2, allow_nan=False))


def _list_numbers(figure: "Estimate") -> dict[str, float | None]:
    found = {"value": figure.value, "low": figure.low, "high": figure.high}
    return {name: None if math.isnan(number) else round(number, 6) for name, number in found.items()}
