"""Figures that others published, to stand beside ours: those of the paper's tables, or of the user's own csv.

Both become rows that are marked as published and have no intervals. Those of live rooms were measured on other data,
since KLive is not public. The paper's are in `published_figures/kuaihl-icme2024.csv`, copied from its Tables I, II and
III (ICME 2024, arXiv 2407.12002).
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np

from kuaihl.models.errors import DataError
from kuaihl.models.evaluation.bootstrap import THRESHOLDS, Estimate
from kuaihl.models.evaluation.compare import ALL, PRECISION, RANKS, SystemResult, by_threshold

_PAPER_FILE = "published_figures/kuaihl-icme2024.csv"
_PLACES = {"mAP": (PRECISION, "mAP"), "tau": (RANKS, "Kendall's tau"), "rho": (RANKS, "Spearman's rho")}

PaperTable = Literal["I", "II", "III"]


@dataclass(frozen=True)
class PaperRow:
    """A row of one of the paper's tables, as printed."""

    name: str  # Table II: its letter
    group: str  # Table I: VHD or LSHD; Table III: KLive or PHD
    venue: str  # Table I; "Ours" is KuaiHL's
    ticks: tuple[str, ...]  # Table II: losses, as training calls them; Table III: inputs, v a x u c
    tau: Mapping[float, float]  # by Δ, on KLive; Tables II and III print Δ = 0 alone
    mean_average_precision: float | None  # per cent, on PHD
    change: float | None  # Tables II and III: points against the full model or row a, positive for ↑


def paper_table(table: PaperTable) -> dict[str, PaperRow]:
    """The rows of a table in their order.

    Their keys are the architectures (Table I), a to g (Table II), and klive, klive-without-id, -text and -visual, phd,
    phd-without-visual and -caption (Table III). Two printed changes do not fit the figures beside them: e has 0.66
    instead of 0.63, phd-without-caption −1.11 instead of −1.83.
    """
    text = (files("kuaihl.models.evaluation") / _PAPER_FILE).read_text(encoding="utf-8")
    return {
        cells["row"]: PaperRow(
            name=cells["name"],
            group=cells["group"],
            venue=cells["venue"],
            ticks=tuple(cells["ticks"].split()),
            tau={threshold: float(cells[f"{threshold:g}"]) for threshold in THRESHOLDS if cells[f"{threshold:g}"]},
            mean_average_precision=float(cells["mAP"]) if cells["mAP"] else None,
            change=float(cells["change"]) if cells["change"] else None,
        )
        for cells in csv.DictReader(text.splitlines())
        if cells["table"] == table
    }


def paper_rows(kind: str) -> tuple[SystemResult, ...]:
    """The systems of Table I with their figures for a kind of data set: klive has taus, phd mAP, others nothing."""
    rows = []
    for system, printed in paper_table("I").items():
        figures = {}
        if kind == "klive":
            figures[ALL] = by_threshold({threshold: _without_interval(tau) for threshold, tau in printed.tau.items()})
        elif kind == "phd" and printed.mean_average_precision is not None:
            table, column = _PLACES["mAP"]
            figures[table] = {column: _without_interval(_to_share(printed.mean_average_precision))}
        if figures:
            facts = {"source": "ICME 2024, Table I", "group": printed.group, "venue": printed.venue}
            facts["measured_on"] = "KLive" if kind == "klive" else "PHD"
            rows.append(SystemResult(system, "published", figures, facts))
    return tuple(rows)


def read_published(path: Path) -> tuple[SystemResult, ...]:
    """One row per system of the user's own csv. Raises DataError naming the line that is not a row of figures.

    The first column is `system`. The others are named like a table's columns: 0, 0.2, 0.4 and 0.6 for tau above that
    LVTR (Table I), or mAP, tau, rho. Cells may be empty.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if not header or header[0] != "system":
                raise DataError(f"{path}: its first column is not called system")
            places = [_place_of(path, name) for name in header[1:]]
            return tuple(_row_of(path, reader.line_num, cells, places) for cells in reader if any(cells))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is no csv ({error})") from error


def _place_of(path: Path, name: str) -> tuple[str, str]:
    """Table and column of a header's cell."""
    if name in _PLACES:
        return _PLACES[name]
    try:
        return ALL, f"Δ = {float(name):g}"
    except ValueError as error:
        raise DataError(f"{path}: column {name!r} is neither a threshold of LVTR nor {', '.join(_PLACES)}") from error


def _row_of(path: Path, line: int, cells: list[str], places: list[tuple[str, str]]) -> SystemResult:
    """One line of the csv."""
    figures: dict[str, dict[str, Estimate]] = {}
    try:
        for (table, column), cell in zip(places, cells[1:], strict=True):
            value = float(cell) if cell.strip() else math.nan
            figures.setdefault(table, {})[column] = _without_interval(_to_share(value) if table == PRECISION else value)
    except ValueError as error:
        raise DataError(f"{path}, line {line}: is not a system and {len(places)} figures") from error
    return SystemResult(cells[0], "published", figures)


def _to_share(precision: float) -> float:
    """A mean average precision in [0, 1]; a value above 1 can only be per cent, as papers print it."""
    return precision / 100 if precision > 1 else precision


def _without_interval(value: float) -> Estimate:
    """A figure without an interval."""
    return Estimate(value, math.nan, math.nan, np.empty(0))
