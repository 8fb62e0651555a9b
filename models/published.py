"""Figures that others published, to stand beside ours: a csv in, rows that are marked as published out.

The first column is `system`, the others are named as a table's columns: 0, 0.2, 0.4 and 0.6 for tau above that LVTR
(Table I), or mAP, tau, rho. Cells may be empty. They were measured on other data, and without intervals.
"""

import csv
import math
from pathlib import Path

import numpy as np

from kuaihl.models.contest import ALL, PRECISION, RANKS, Row
from kuaihl.models.errors import DataError
from kuaihl.models.evaluation import Estimate

PLACES = {"mAP": (PRECISION, "mAP"), "tau": (RANKS, "Kendall's tau"), "rho": (RANKS, "Spearman's rho")}


def read_published(path: Path) -> tuple[Row, ...]:
    """A row a system. Raises DataError naming the line that is no row of figures."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if not header or header[0] != "system":
                raise DataError(f"{path}: its first column is not called system")
            places = [place_of(path, name) for name in header[1:]]
            return tuple(row_of(path, reader.line_num, cells, places) for cells in reader if any(cells))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is no csv ({error})") from error


def place_of(path: Path, name: str) -> tuple[str, str]:
    """Table and column of a header's cell."""
    if name in PLACES:
        return PLACES[name]
    try:
        return ALL, f"Δ = {float(name):g}"
    except ValueError as error:
        raise DataError(f"{path}: column {name!r} is neither a threshold of LVTR nor {', '.join(PLACES)}") from error


def row_of(path: Path, line: int, cells: list[str], places: list[tuple[str, str]]) -> Row:
    """One line of the csv."""
    figures: dict[str, dict[str, Estimate]] = {}
    try:
        for (table, column), cell in zip(places, cells[1:], strict=True):
            value = float(cell) if cell.strip() else math.nan
            figures.setdefault(table, {})[column] = Estimate(value, math.nan, math.nan, np.empty(0))
    except ValueError as error:
        raise DataError(f"{path}, line {line}: is not a system and {len(places)} figures") from error
    return Row(cells[0], "published", figures)
