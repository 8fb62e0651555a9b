"""Runs as a Markdown table, mean ± standard deviation over seeds, with what was run, where, and on which commit."""

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from experiment import Setting

from kuaihl.models.evaluation import THRESHOLDS
from kuaihl.models.klive import KLive

Runs = Mapping[str, Sequence[Mapping[str, Any]]]  # by the row's label
COLUMNS = [*(f"tau, Δ = {threshold:g}" for threshold in THRESHOLDS), "tau a room"]


def figures(runs: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """The values of each column, one a seed; seeds without one are left out."""
    columns = [[run["tau above"][str(threshold)] for run in runs] for threshold in THRESHOLDS]
    columns.append([run["tau a room"] for run in runs])
    return [[value for value in column if value is not None] for column in columns]


def cell(values: Sequence[float]) -> str:
    if not values:
        return "–"
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.3f} ± {spread:.3f}"


def table(rows: Runs, head: str = "system") -> str:
    """Markdown; a row a label."""
    lines = [f"| {head} | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(map(cell, figures(runs))) + " |" for name, runs in rows.items()]
    return "\n".join(lines)


def ceiling(data: KLive) -> str:
    """Rows for what nothing can pass: the true rate against the counts drawn from it."""
    found = data.facts.ceiling or {}
    lines = []
    for name in ("next segment's true rate", "this segment's true rate"):
        taus = [found[name]["tau above"][str(threshold)] for threshold in THRESHOLDS] + [found[name]["tau a room"]]
        lines.append(f"| *{name}* | " + " | ".join("–" if tau is None else f"{tau:.3f}" for tau in taus) + " |")
    return "\n".join(lines)


def provenance(setting: Setting, data: KLive) -> str:
    """Command, commit, machine and setting, for the foot of a result."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    counts = {split: len(data.rooms_of(split)) for split in ("train", "validation", "test")}
    command, revision = f"python benchmarks/paper/{Path(sys.argv[0]).name}", commit.stdout.strip() or "unknown"
    machine = f"{processor()} ({platform.machine()}), {os.cpu_count()} cores, torch {torch.__version__}"
    return (
        f"Made by `{command}` at commit {revision}, on {machine}. Rooms: {json.dumps(counts)}. "
        f"Setting: {json.dumps(asdict(setting))}. Mean ± standard deviation over {setting.seeds} seeds of training."
    )


def processor() -> str:
    """What the machine calls its processor, where it tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "processor unknown"


def write(file: Path, title: str, *parts: str) -> None:
    file.write_text("\n\n".join([f"# {title}", *parts]) + "\n", encoding="utf-8")
    print(file)
