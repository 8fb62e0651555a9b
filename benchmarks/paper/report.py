"""Runs as Markdown in the paper's layout: mean ± standard error over seeds, paired differences, the paper's figures."""

import json
import math
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from experiment import Run, values_of
from setting import Setting

from kuaihl.models.data.klive import KLive
from kuaihl.models.evaluation.bootstrap import THRESHOLDS, is_above

NONE = "–"
PUBLISHED = (
    "The paper's figures are published ones, measured on KLive and PHD; ours are of simulated rooms. They stand in one "
    "table to be read, not to be compared."
)
PHD_DASH = (
    f"{NONE} in PHD's place: the videos and their features are other people's and not at hand; `kuaihl train` and "
    "`kuaihl eval` take yours."
)


def mean_and_error(values: Sequence[float], digits: int = 3, *, sign: bool = False) -> str:
    """Mean ± standard error of values, one per seed; NaN are left out, and one value has no error."""
    there = [value for value in values if math.isfinite(value)]
    if not there:
        return NONE
    mean = f"{statistics.fmean(there):{'+' if sign else ''}.{digits}f}"
    if len(there) < 2:
        return mean
    return f"{mean} ± {statistics.stdev(there) / math.sqrt(len(there)):.{digits}f}"


def difference(runs: Sequence[Run], base: Sequence[Run]) -> str:
    """By how many points of tau at Δ = 0 runs exceed others of the same seeds: mean ± standard error."""
    pairs = zip(values_of(runs), values_of(base), strict=True)
    return mean_and_error([100 * (one - other) for one, other in pairs], 1, sign=True)


def figure(value: float | None, digits: int = 4) -> str:
    """A published figure in its printed form."""
    return NONE if value is None else f"{value:.{digits}f}"


def points(value: float, base: float) -> str:
    """The difference of the paper's own figures, in points."""
    return f"{100 * (value - base):+.2f}"


def ticks(there: Sequence[str], columns: Sequence[str]) -> list[str]:
    return ["✓" if column in there else NONE for column in columns]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *map(list, rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def room_taus(runs: Sequence[Run]) -> str:
    return mean_and_error([math.nan if run["tau per room"] is None else run["tau per room"] for run in runs])


def ceiling_rows(data: KLive) -> list[tuple[str, list[str], str]]:
    """The upper bound: the true rate against the counts drawn from it; taus by Δ, and per room."""
    found = data.facts.ceiling
    assert found is not None, "simulated rooms have a ceiling"
    return [
        (name, [figure(found[name]["tau above"][str(threshold)], 3) for threshold in THRESHOLDS],
         figure(found[name]["tau_per_room"], 3))
        for name in ("next segment's true rate", "this segment's true rate")
    ]  # fmt: skip


def labels_above(data: KLive) -> str:
    """How many test segments each Δ leaves: a tau over a few is chance."""
    labels = np.concatenate([rate[valid] for rate, valid in map(data.labels, data.rooms_of("test"))])
    counts = [f"{is_above(labels, threshold).sum():,} above {threshold:g}" for threshold in THRESHOLDS]
    return f"Test segments by their true LVTR: {', '.join(counts)}."


def provenance(setting: Setting, data: KLive, runs: Iterable[Sequence[Run]]) -> str:
    """Command, commit, machines and setting, for the foot of a result."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    counts = {split: len(data.rooms_of(split)) for split in ("train", "validation", "test")}
    options = shlex.join(["", *sys.argv[1:]]).removeprefix("''")
    command, revision = f"python benchmarks/paper/{Path(sys.argv[0]).name}{options}", commit.stdout.strip() or "unknown"
    machines = "; ".join(sorted({run["machine"] for row in runs for run in row}))
    return (
        f"Made by `{command}` at commit {revision}. Trained on: {machines}. Rooms: {json.dumps(counts)}. "
        f"Setting: {json.dumps(asdict(setting))}. Mean ± standard error over {setting.seeds} seeds of training, on one "
        "set of test rooms: the error says nothing of other rooms."
    )


def write(file: Path, title: str, *parts: str) -> None:
    file.write_text("\n\n".join([f"# {title}", *parts]) + "\n", encoding="utf-8")
    print(file)
