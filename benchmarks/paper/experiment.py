"""One variant of the paper's experiments, trained and tested with one seed on the simulated set; never run twice.

What a run found goes to `runs.jsonl` in the working folder and its weights beside it, so tables and figures share runs:
Table I's KuaiHL, Table II's row g and the first row of Table III are the same three.
"""

import argparse
import json
import math
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from kuaihl.models.architectures import build_network
from kuaihl.models.evaluation import THRESHOLDS, evaluate
from kuaihl.models.klive import KLive, open_klive
from kuaihl.models.objective import Objective
from kuaihl.models.room_scores import score_rooms
from kuaihl.models.streamer_index import streamer_index
from kuaihl.models.training import train
from kuaihl.models.training_plan import Ablation, TrainingPlan, dims_for, text_without
from kuaihl.models.training_report import EpochReport, StepReport

RUNS_FILE, DATA_FOLDER = "runs.jsonl", "data"
OFF = 0.0


@dataclass(frozen=True)
class Setting:
    """What all runs have in common: small enough for two CPU cores, the same for every system."""

    rooms: int = 300
    streamers: int = 40
    width: int = 64
    heads: int = 4
    layers: int = 2
    epochs: int = 1
    learning_rate: float = 3e-3
    seeds: int = 3
    threads: int = 2


@dataclass(frozen=True)
class Variant:
    """A row of a table."""

    name: str
    architecture: str = "kuaihl"
    objective: Objective = field(default_factory=Objective)
    without: tuple[Ablation, ...] = ()

    def key(self, setting: Setting, seed: int) -> str:
        """What tells this run from every other one; its name does not."""
        common = {name: value for name, value in asdict(setting).items() if name not in ("seeds", "threads")}
        one = {"architecture": self.architecture, "without": list(self.without), "objective": asdict(self.objective)}
        return json.dumps([one, common, seed], sort_keys=True)


FULL = Variant("KuaiHL")


def arguments(description: str | None) -> tuple[Path, Path, Setting]:
    """The options of every script here: where runs are kept, where results go, and the setting."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("paper-runs"), help="data set, runs and weights go here")
    parser.add_argument("--results", type=Path, default=Path(__file__).parents[2] / "docs" / "results")
    for name, value in asdict(Setting()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    given = vars(parser.parse_args())
    work, results = given.pop("work"), given.pop("results")
    work.mkdir(parents=True, exist_ok=True)
    results.mkdir(parents=True, exist_ok=True)
    setting = Setting(**given)
    torch.set_num_threads(setting.threads)
    return work, results, setting


def data_set(work: Path, setting: Setting) -> KLive:
    """The simulated set, made on the first call."""
    folder = work / f"{DATA_FOLDER}-{setting.rooms}-{setting.streamers}"
    if not (folder / "rooms.parquet").is_file():
        from kuaihl.engines.cold_start_features import feature_bank
        from kuaihl.engines.profiles import EDGE, load_encoders, profile_record
        from kuaihl.models.simulated_set import SimulationPlan, write_simulated_set

        encoders = load_encoders(EDGE, device="cpu", threads=setting.threads, asr="none")
        banks = [feature_bank(split, encoders, tell) for split in ("train", "held-out")]
        plan = SimulationPlan(setting.rooms, setting.streamers)
        write_simulated_set(folder, plan, *banks, profile=EDGE.name, encoders=profile_record(EDGE))
    return open_klive(folder)


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def runs_of(variant: Variant, work: Path, setting: Setting) -> list[dict[str, Any]]:
    """A run a seed, from `runs.jsonl` or made now."""
    return [run_of(variant, seed, work, setting) for seed in range(setting.seeds)]


def run_of(variant: Variant, seed: int, work: Path, setting: Setting) -> dict[str, Any]:
    """Taus on the test rooms and the course of the losses of one run."""
    file, key = work / RUNS_FILE, variant.key(setting, seed)
    done = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    for run in done:
        if run["key"] == key:
            return dict(run)
    run = made(variant, seed, work, setting, f"run-{len(done):03}.safetensors") | {"key": key}
    with file.open("a", encoding="utf-8") as runs:
        runs.write(json.dumps(run) + "\n")
    return run


def made(variant: Variant, seed: int, work: Path, setting: Setting, weights: str) -> dict[str, Any]:
    """Train and test."""
    data = data_set(work, setting)
    plan = plan_of(variant, seed, data, setting)
    course: list[dict[str, float]] = []
    epochs: list[dict[str, float]] = []

    def hear(report: StepReport | EpochReport) -> None:
        (course if isinstance(report, StepReport) else epochs).append(asdict(report))

    began = time.perf_counter()
    trained = train(data, plan, device="cpu", tell=hear)
    assert trained is not None
    seconds = time.perf_counter() - began
    rooms = score_rooms(trained.network, data, data.rooms_of("test"), trained.streamers, text=plan.text)
    found = evaluate(rooms, draws=0)
    save_file({name: part.contiguous() for name, part in trained.network.state_dict().items()}, work / weights)
    tell(f"{variant.name}, seed {seed}: tau {found.tau[0.0].value:.3f}, {seconds:.0f} s")
    return {
        "variant": variant.name,
        "seed": seed,
        "tau above": {str(threshold): number(found.tau[threshold].value) for threshold in THRESHOLDS},
        "tau a room": number(found.tau_a_room[0.0].value),
        "validation tau": trained.best.tau,
        "parameters": sum(part.numel() for part in trained.network.parameters()),
        "seconds": round(seconds, 1),
        "course": course,
        "epochs": epochs,
        "weights": weights,
    }


def plan_of(variant: Variant, seed: int, data: KLive, setting: Setting) -> TrainingPlan:
    shape = {"width": setting.width, "heads": setting.heads, "layers": setting.layers}
    return TrainingPlan(
        dims=dims_for(data.facts, len(streamer_index(data.rooms)), variant.without, **shape),
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


def number(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None
