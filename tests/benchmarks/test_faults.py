"""The campaign of forced faults: every part keeps one contract, and a fault that is not survived is a failure."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.paths import REPOSITORY

COMMAND = [sys.executable, str(REPOSITORY / "benchmarks" / "faults.py")]


@pytest.fixture
def contract(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    import fault_campaign.result  # type: ignore[import-not-found]

    return fault_campaign.result


@pytest.mark.parametrize(
    ("make", "passes"),
    [
        (lambda one: one.Result(3, 3), True),
        (lambda one: one.Result(3, 2), False),
        (lambda one: one.Result(3, 3, failures=("a fault: why",)), False),
        (lambda one: one.Result(3, 3, (one.Figure("drift", 0.4, "s", 0.5),)), True),
        (lambda one: one.Result(3, 3, (one.Figure("drift", 0.6, "s", 0.5),)), False),
        (lambda one: one.Result(3, 3, (one.Figure("segments", 999.0),)), True),
    ],
)
def test_a_part_passes_if_all_was_survived_within_the_limits(
    contract: Any, make: Callable[[Any], Any], passes: bool
) -> None:
    assert make(contract).passed is passes


def test_each_part_gets_its_faults_its_seed_and_a_folder_that_is_kept_if_it_fails(
    contract: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import faults  # type: ignore[import-not-found]

    assert all(callable(faults.load_part(name).run) for name in faults.PARTS)
    monkeypatch.setattr(faults.tempfile, "tempdir", str(tmp_path))
    plans, lost = [], [1, 0]
    part = ModuleType("part", "What it forces.\n\nMore.")

    def run(plan: Any) -> Any:
        plans.append(plan)
        missing = lost.pop(0)
        return contract.Result(plan.faults, plan.faults - missing, failures=("one: lost",) * missing)

    part.run = run  # type: ignore[attr-defined]
    monkeypatch.setattr(faults, "PARTS", ("part",))
    monkeypatch.setattr(faults, "load_part", {"part": part}.__getitem__)
    monkeypatch.setattr(sys, "argv", ["faults.py", "--faults", "7", "--seed", "3"])
    assert faults.main() == 1
    assert (plans[0].faults, plans[0].seed) == (7, 3) and plans[0].folder.is_dir()
    shown = capsys.readouterr().out
    assert "What it forces." in shown and "one: lost" in shown and "FAILED" in shown
    assert f"kept in {plans[0].folder}" in shown
    assert faults.main() == 0
    assert not plans[1].folder.exists() and "kept in" not in capsys.readouterr().out


def _hang(_: Path) -> None:
    while True:
        pass


BAD_READERS: dict[str, Callable[[Path], object]] = {
    "good": Path.read_bytes,
    "hangs": _hang,
    "greedy": lambda _: bytearray(600 << 20),
    "crashes": lambda _: os.kill(os.getpid(), signal.SIGSEGV),
    "raises": lambda _: {}["key"],
}


def bad_places(folder: Path, _: Path) -> dict[str, tuple[Path, Callable[[Path], object]]]:
    """Readers that behave at the first, valid file of each kind."""

    def after_the_first(name: str, path: Path) -> object:
        if name in seen:
            return BAD_READERS[name](path)
        seen.add(name)
        return None

    seen: set[str] = set()
    return {name: (folder / name, partial(after_the_first, name)) for name in BAD_READERS}


@pytest.mark.slow
def test_a_file_that_hangs_crashes_or_needs_gigabytes_is_one_failure(contract: Any, tmp_path: Path) -> None:
    from fault_campaign.fuzz import Readers, Task  # type: ignore[import-not-found]

    tasks = [Task(kind, seed) for seed in range(3) for kind in ("hangs", "greedy", "crashes", "raises", "good")][4:]
    readers = Readers(bad_places, tmp_path, tmp_path, dict.fromkeys(BAD_READERS, b"valid"))
    found = {task: answer.failure for task, answer in readers.answers(iter(tasks))}
    assert found.keys() == set(tasks)
    said = {"hangs": "more than 10 s", "greedy": "MemoryError", "crashes": "SIGSEGV", "raises": "KeyError"}
    for task, failure in found.items():
        assert said.get(task.kind, "") in failure if task.kind != "good" else not failure


@pytest.mark.slow
def test_live_faults_are_survived_on_the_wall_clock() -> None:
    ran = subprocess.run([*COMMAND, "live", "--faults", "4"], capture_output=True, text=True, timeout=250)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "| survived | 4 " in ran.stdout
