"""Runs on a small simulated set: what is kept after a failure, and what a second call makes."""

import sys
from pathlib import Path

import pytest
from support.paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks" / "paper"))

from experiment import FULL, Variant, known_runs, runs_of_all
from setting import Setting, data_folder, simulation_plan
from support.small_bank import made_up_bank

from kuaihl.models.errors import ModelError
from kuaihl.models.losses.objective import Objective
from kuaihl.models.simulation.dataset import write_simulated_set

SMALL = Setting(rooms=10, width=8, heads=2, layers=1, seeds=2, jobs=1)
POINT = Variant("L_point", objective=Objective(pair=0.0, align=0.0))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A working folder that has the rooms of SMALL."""
    banks = made_up_bank(0), made_up_bank(1)
    write_simulated_set(data_folder(tmp_path, SMALL), simulation_plan(SMALL), *banks, profile="edge", encoders=())
    return tmp_path


@pytest.mark.slow
def test_a_second_call_runs_nothing_and_a_new_variant_runs_alone(work: Path) -> None:
    (first,) = runs_of_all([POINT], work, SMALL)
    assert [run["seed"] for run in first] == [0, 1]
    written = {file: file.stat().st_mtime_ns for file in work.iterdir()}
    assert runs_of_all([POINT], work, SMALL) == [first]
    assert {file: file.stat().st_mtime_ns for file in work.iterdir()} == written
    again, new = runs_of_all([POINT, FULL], work, SMALL)
    assert again == first
    assert len(known_runs(work)) == 4
    assert new[0]["weights"] != first[0]["weights"]


@pytest.mark.slow
def test_a_run_that_fails_stops_the_rest_and_keeps_what_was_done(work: Path) -> None:
    unlike = Variant("of no architecture", "no-such")
    with pytest.raises((KeyError, ModelError)):
        runs_of_all([POINT, unlike, FULL], work, SMALL)  # seed 0 of each, then seed 1
    kept = known_runs(work)
    assert POINT.key(SMALL, 0) in kept
    assert FULL.key(SMALL, 1) not in kept
    assert len(list(work.glob("run-*.safetensors"))) <= 3  # one done, one or two handed out ahead of the failure
