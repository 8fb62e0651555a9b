"""The paper's tables from runs made by hand: means, errors and paired differences worked out, every printed figure."""

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks" / "paper"))

import experiment
import report
import table1
import table2
import table3
from setting import SETTINGS, Setting, simulation_plan

from kuaihl.models.evaluation.bootstrap import THRESHOLDS
from kuaihl.models.evaluation.published import paper_table
from kuaihl.models.facts import DataSetFacts, LabelFacts
from kuaihl.models.signals import SignalsFacts

REACHED = {"tau above": {str(threshold): 0.9 for threshold in THRESHOLDS}, "tau_per_room": 0.8}
DATA: Any = SimpleNamespace(
    facts=SimpleNamespace(ceiling={f"{when} segment's true rate": REACHED for when in ("next", "this")})
)


def run(tau: float | None, seed: int = 0) -> dict[str, Any]:
    return {"tau above": {str(threshold): tau for threshold in THRESHOLDS}, "tau per room": tau, "seed": seed}


def cells(table: str) -> dict[str, list[str]]:
    """A table's rows by their first cell; of equal ones the first."""
    rows: dict[str, list[str]] = {}
    for line in table.splitlines()[2:]:
        first, *others = [cell.strip() for cell in line.strip("|").split("|")]
        rows.setdefault(first, others)
    return rows


def test_an_error_is_the_standard_deviation_over_the_root_of_the_number_of_seeds() -> None:
    # Deviations from 0.5 are -0.1, 0, 0.1: variance 0.02 / 2, so 0.1 / sqrt(3) = 0.0577.
    assert report.mean_and_error([0.4, 0.5, 0.6]) == "0.500 ± 0.058"
    assert report.mean_and_error([0.4]) == "0.400"
    assert report.mean_and_error([math.nan]) == "–"


def test_differences_are_paired_by_seed() -> None:
    one, base = [run(0.52), run(0.63)], [run(0.50), run(0.60)]
    # 2 and 3 points above: 2.5, and sqrt(0.5) / sqrt(2) = 0.5; unpaired, the seeds' own spread would drown it.
    assert report.difference(one, base) == "+2.5 ± 0.5"
    assert report.difference(base, one) == "-2.5 ± 0.5"


def test_a_seed_without_a_tau_is_left_out_of_differences_and_not_moved_up() -> None:
    assert report.difference([run(None), run(0.63)], [run(0.50), run(0.60)]) == "+3.0"


def test_table_1_has_groups_venues_and_every_printed_figure_under_ours() -> None:
    printed = paper_table("I")
    runs = {name: [run(0.40 + place / 100), run(0.42 + place / 100)] for place, name in enumerate(printed)}
    lines = table1.table(runs, DATA).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["*Video highlight detection*", "**Adaptive-H-FCSN**"]
    for name, row in printed.items():
        ours = next(place for place, line in enumerate(lines) if f"**{row.name}**" in line)
        assert row.venue in lines[ours]
        assert report.mean_and_error(experiment.values_of(runs[name])) in lines[ours]
        for value in row.tau.values():
            assert f"{value:.4f}" in lines[ours + 1]
        if row.mean_average_precision is not None:
            assert f"{row.mean_average_precision:.2f}" in lines[ours + 1]
        assert lines[ours].rstrip(" |").endswith("–")  # ours on PHD


def test_table_2_has_the_papers_ticks_and_differences_to_its_row_a() -> None:
    runs = [[run(0.50 + place / 100)] for place in range(len(table2.ROWS) + len(table2.BY_ALL_PAIRS))]
    found = cells(table2.table(runs, DATA))
    #               point pair0 pair1 pair2 pair3 no swap align   tau, to a, a room, printed, its own to a
    assert found["(d)"] == ["✓", "–", "–", "✓", "–", "–", "–", "0.530", "+3.0", "0.530", "0.5256", "-5.05"]
    assert found["(g)"] == ["✓", "–", "✓", "–", "–", "–", "✓", "0.560", "+6.0", "0.560", "0.5961", "+2.00"]
    assert found["(e)"][-1] == "+0.63"  # printed as 0.66, which does not fit its taus
    assert found["(a)"][8] == found["(a)"][-1] == "–"
    assert found["(d), all pairs"] == ["✓", "–", "–", "✓", "–", "–", "–", "0.580", "+8.0", "0.580", "–", "–"]


def test_rows_of_table_2_train_with_the_losses_that_are_ticked() -> None:
    for (letter, printed), variant in zip(paper_table("II").items(), table2.ROWS, strict=True):
        own = variant.objective
        ticked = {"point"} | ({own.pair_variant} if own.pair else set()) | ({own.align_variant} if own.align else set())
        assert ticked == set(printed.ticks), letter


def test_table_3_has_both_halves() -> None:
    runs = [[run(0.50 - place / 100)] for place in range(len(table3.VARIANTS))]
    found = cells(table3.table(runs, DATA))
    assert found["KuaiHL"] == ["✓", "✓", "✓", "✓", "–", "0.500", "–", "0.500", "0.5961", "–"]
    assert found["without visual"] == ["–", "✓", "✓", "✓", "–", "0.470", "-3.0", "0.470", "0.5489", "-4.72"]
    assert found["without audio"] == ["✓", "–", "✓", "✓", "–", "0.460", "-4.0", "0.460", "–", "–"]
    assert found["with signals and the second output"][:6] == ["✓", "✓", "✓", "✓", "–", "0.440"]
    assert found["with signals and the second output"][-2:] == ["–", "–"]
    assert found["KuaiHL w/o caption"] == ["✓", "–", "–", "–", "–", "–", "–", "–", "20.06", "-1.83"]


def test_the_papers_network_reads_no_signals_and_the_last_row_of_table_3_does() -> None:
    facts = DataSetFacts("edge", (), 30.0, LabelFacts(), 10, 6, 3, signals=SignalsFacts())
    told: Any = SimpleNamespace(facts=facts, rooms=())
    dims = [experiment.plan_of(variant, 0, told, Setting()).dims for variant in table3.VARIANTS]
    assert [(one.signals > 0, one.interest) for one in dims] == [(False, False)] * 6 + [(True, True)]


def test_what_was_run_is_not_run_again_and_a_torn_line_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = Setting(seeds=2)
    file = tmp_path / experiment.RUNS_FILE
    for seed in range(2):
        experiment.append(file, run(0.5 + seed / 10, seed) | {"key": experiment.FULL.key(setting, seed)})
    with file.open("a") as runs:
        runs.write('{"key": "torn')
    experiment.append(file, run(0.9) | {"key": experiment.FULL.key(setting, 7)})
    assert len(file.read_text().splitlines()) == 4

    def fail(*_: object) -> None:
        raise AssertionError("something is run again")

    monkeypatch.setattr(experiment, "make", fail)
    assert experiment.values_of(experiment.runs_of(experiment.FULL, tmp_path, setting)) == [0.5, 0.6]
    assert [json.loads(one.key(setting, 0))[0]["architecture"] for one in table1.SYSTEMS][-1] == "kuaihl"


def test_another_setting_or_objective_is_another_run() -> None:
    keys = {
        variant.key(setting, seed)
        for variant in (experiment.FULL, *table2.ROWS[:6], *table2.BY_ALL_PAIRS)
        for setting in SETTINGS.values()
        for seed in range(2)
    }
    assert len(keys) == 10 * 2 * 2
    assert experiment.FULL.key(Setting(jobs=1, seeds=9), 0) == experiment.FULL.key(Setting(), 0)


def test_settings_have_klives_rooms_per_host() -> None:
    for setting in SETTINGS.values():
        plan = simulation_plan(setting)
        assert plan.proportions == "klive"
        assert plan.rooms / plan.streamers == pytest.approx(1.80, abs=0.02)
    assert SETTINGS["full"].seeds >= 10
