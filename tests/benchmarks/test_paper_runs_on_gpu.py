"""The paper's runs as one stacked network per row are the runs of `experiment.py`, one by one, on the same rooms."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks" / "paper"))

import experiment
import on_gpu
from experiment import FULL, Variant, made, plan_of
from on_gpu import all_variants, make_runs
from setting import Setting, data_folder, simulation_plan
from support.small_bank import made_up_bank
from table1 import SYSTEMS

from kuaihl.models.data.klive import KLive
from kuaihl.models.losses.objective import Objective
from kuaihl.models.simulation.dataset import write_simulated_set
from kuaihl.models.training.plan import TrainingPlan

SMALL = Setting(rooms=20, width=8, heads=2, layers=1, seeds=2, jobs=1, epochs=2)
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU, and there is none here"),
        ],
    ),
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder that has the rooms of SMALL."""
    folder = tmp_path_factory.mktemp("work")
    banks = made_up_bank(0), made_up_bank(1)
    write_simulated_set(data_folder(folder, SMALL), simulation_plan(SMALL), *banks, profile="edge", encoders=())
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_without_random_draws_both_ways_give_the_same_runs(
    device: str, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = Objective(align=0.0)  # L_align draws orders
    variant = Variant("speech and signals", objective=alone, without=("visual", "id"), signals=True)

    def plan_without_draws(variant: Variant, seed: int, data: KLive, setting: Setting) -> TrainingPlan:
        plan = plan_of(variant, seed, data, setting)
        return replace(plan, dims=replace(plan.dims, dropout=0.0, id_dropout=0.0))

    monkeypatch.setattr(experiment, "plan_of", plan_without_draws)
    monkeypatch.setattr(on_gpu, "plan_of", plan_without_draws)
    together = make_runs([variant], work, SMALL, torch.device(device))
    assert [run["seed"] for run in together] == [0, 1]
    for run in together:
        single = made(variant, run["seed"], work, SMALL)
        assert run["key"] == single["key"]
        assert run["parameters"] == single["parameters"]
        assert run["validation tau"] == pytest.approx(single["validation tau"], abs=0.01)
        assert run["tau above"]["0.0"] == pytest.approx(single["tau above"]["0.0"], abs=0.01)
        assert run["tau per room"] == pytest.approx(single["tau per room"], abs=0.01)
        assert len(run["course"]) == len(single["course"])
        for ours, theirs in zip(run["course"], single["course"], strict=True):
            assert ours == pytest.approx(theirs, abs=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_rows_learn_together(device: str, work: Path) -> None:
    rows = [*SYSTEMS, *all_variants()] if device == "cuda" else SYSTEMS  # the rest takes a CPU too long
    variants = list({variant.key(SMALL, 0): variant for variant in rows}.values())
    setting = replace(SMALL, epochs=1)
    runs = make_runs(variants, work, setting, torch.device(device))
    assert [(run["variant"], run["seed"]) for run in runs] == [(one.name, seed) for one in variants for seed in (0, 1)]
    for run in runs:
        assert run["course"][-1]["total"] < 2.5
        assert -1 <= run["tau above"]["0.0"] <= 1
    assert FULL.key(setting, 0) in {run["key"] for run in runs}
