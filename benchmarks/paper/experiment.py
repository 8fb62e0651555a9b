"""One variant of the paper's experiments, trained and tested with one seed on the simulated set; never run twice.

A run's results go to `runs.jsonl` in the working folder and its weights beside it, so tables and figures share runs.
Table I's KuaiHL, Table II's row g and the first row of Table III are the same. Seeds are paired: a seed has the same
data in the same order in every variant. An interrupted script continues where it stopped.
"""

import hashlib
import json
import math
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from setting import SIMULATOR, Setting, data_set, tell

from kuaihl.engines.runtimes.processor import read_processor
from kuaihl.models.architectures import build_network
from kuaihl.models.data.klive import KLive, streamer_index
from kuaihl.models.evaluation.bootstrap import THRESHOLDS, evaluate
from kuaihl.models.evaluation.room_scores import score_rooms
from kuaihl.models.losses.objective import Objective
from kuaihl.models.training.loop import train
from kuaihl.models.training.plan import Ablation, TrainingPlan, dims_for, text_without
from kuaihl.models.training.report import EpochReport, StepReport

RUNS_FILE = "runs.jsonl"
OFF = 0.0
UNREAD: list[Ablation] = ["signals"]  # by the paper's network

Run = dict[str, Any]  # a line of `runs.jsonl`


@dataclass(frozen=True)
class Variant:
    """A row of a table."""

    name: str
    architecture: str = "kuaihl"
    objective: Objective = field(default_factory=Objective)
    without: tuple[Ablation, ...] = ()
    signals: bool = False  # together with the second output; the paper has neither

    def key(self, setting: Setting, seed: int) -> str:
        """The key that identifies this run; its name is not part of it."""
        common = {name: value for name, value in asdict(setting).items() if name not in ("seeds", "jobs")}
        one = {"architecture": self.architecture, "without": list(self.without), "objective": asdict(self.objective)}
        if self.signals:
            one["signals"] = True
        return json.dumps([one, common, SIMULATOR, seed], sort_keys=True)


FULL = Variant("KuaiHL")


def runs_of(variant: Variant, work: Path, setting: Setting) -> list[Run]:
    """One run per seed, from `runs.jsonl` or made now."""
    return runs_of_all([variant], work, setting)[0]


def run_of(variant: Variant, seed: int, work: Path, setting: Setting) -> Run:
    """The run of one seed, which is below the setting's number of seeds."""
    return runs_of(variant, work, setting)[seed]


def runs_of_all(variants: Sequence[Variant], work: Path, setting: Setting) -> list[list[Run]]:
    """The runs of some variants, one per seed: missing ones are made, `setting.jobs` at a time."""
    wanted = [(variant, seed) for seed in range(setting.seeds) for variant in variants]
    missing = {variant.key(setting, seed): (variant, seed) for variant, seed in wanted}
    for key in known_runs(work):
        missing.pop(key, None)
    if missing:
        data_set(work, setting)  # once, before workers need it
        make(list(missing.values()), work, setting)
    found = known_runs(work)
    return [[found[variant.key(setting, seed)] for seed in range(setting.seeds)] for variant in variants]


def known_runs(work: Path) -> dict[str, Run]:
    """Earlier runs by key. Lines torn by an interruption are skipped."""
    file = work / RUNS_FILE
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        try:
            run = json.loads(line)
        except ValueError:
            continue
        found[run["key"]] = run
    return found


def make(missing: Sequence[tuple[Variant, int]], work: Path, setting: Setting) -> None:
    """Train and test the missing runs; keeps each run when it is done, and prints how many are left."""
    began = time.perf_counter()
    # Spawned: a forked process would inherit torch's threads in whatever state they are.
    pool = ProcessPoolExecutor(min(setting.jobs, len(missing)), mp_context=get_context("spawn"))
    try:
        running = [pool.submit(made, variant, seed, work, setting) for variant, seed in missing]
        for done, future in enumerate(as_completed(running), start=1):
            run = future.result()
            append(work / RUNS_FILE, run)
            left = len(missing) - done
            minutes = (time.perf_counter() - began) / done * left / 60
            tau = run["tau above"]["0.0"]
            tell(f"{run['variant']}, seed {run['seed']}: tau {tau:.3f}; {left} left, {minutes:.0f} min")
    finally:
        pool.shutdown(cancel_futures=True)  # after a failure or Ctrl-C no run starts


def append(file: Path, run: Run) -> None:
    """Add a line, even after a torn one."""
    torn = file.exists() and not file.read_bytes().endswith(b"\n")
    with file.open("a", encoding="utf-8") as runs:
        runs.write(("\n" if torn else "") + json.dumps(run) + "\n")


def made(variant: Variant, seed: int, work: Path, setting: Setting) -> Run:
    """Train and test, on one thread."""
    torch.set_num_threads(1)
    data = data_set(work, setting)
    plan = plan_of(variant, seed, data, setting)
    course: list[dict[str, float]] = []

    def hear(report: StepReport | EpochReport) -> None:
        if isinstance(report, StepReport):
            course.append(asdict(report))

    key = variant.key(setting, seed)
    weights = f"run-{hashlib.sha256(key.encode()).hexdigest()[:12]}.safetensors"
    began = time.perf_counter()
    trained = train(data, plan, device="cpu", on_report=hear)
    assert trained is not None
    rooms = score_rooms(trained.network, data, data.rooms_of("test"), trained.streamers, text=plan.text)
    found = evaluate(rooms, draws=0)
    save_file({name: part.contiguous() for name, part in trained.network.state_dict().items()}, work / weights)
    return {
        "key": key,
        "variant": variant.name,
        "seed": seed,
        "tau above": {str(threshold): number(found.tau[threshold].value) for threshold in THRESHOLDS},
        "tau per room": number(found.tau_per_room[0.0].value),
        "validation tau": trained.best.tau,
        "parameters": sum(part.numel() for part in trained.network.parameters()),
        "seconds": round(time.perf_counter() - began, 1),
        "machine": f"{read_processor().name}, one thread, torch {torch.__version__}",
        "course": course,
        "weights": weights,
    }


def plan_of(variant: Variant, seed: int, data: KLive, setting: Setting) -> TrainingPlan:
    shape = {"width": setting.width, "heads": setting.heads, "layers": setting.layers}
    return TrainingPlan(
        dims=dims_for(
            data.facts,
            len(streamer_index(data.rooms)),
            [*variant.without, *([] if variant.signals else UNREAD)],
            **shape,
        ),
        objective=variant.objective,
        architecture=variant.architecture,
        text=text_without(variant.without),
        epochs=setting.epochs,
        learning_rate=setting.learning_rate,
        seed=seed,
    )


def trained_network(variant: Variant, seed: int, work: Path, setting: Setting) -> torch.nn.Module:
    """The network of a run, ready to score."""
    run = run_of(variant, seed, work, setting)
    plan = plan_of(variant, seed, data_set(work, setting), setting)
    network = build_network(plan.architecture, plan.dims)
    network.load_state_dict(load_file(work / run["weights"]))
    return network.eval()


def values_of(runs: Iterable[Run], threshold: float = 0.0) -> list[float]:
    """Tau above a threshold, one per seed. A run without one gives NaN and stays in its place: seeds are paired."""
    return [math.nan if (tau := run["tau above"][str(threshold)]) is None else float(tau) for run in runs]


def number(value: float) -> float | None:
    """JSON has no NaN, so it becomes None."""
    return value if math.isfinite(value) else None
