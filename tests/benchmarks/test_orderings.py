"""An ordering of the paper counts as found, or as the other way round, only if the seeds decide it."""

import sys
from pathlib import Path
from typing import Any

import pytest
from support.paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks" / "paper"))

from orderings import CLAIMS, OTHER, SAME, STUDENT, UNDECIDED, orderings, verdict
from report import labels_above
from support.small_dataset import small_dataset

from kuaihl.models.data.klive import open_klive
from kuaihl.models.evaluation.published import PaperTable, paper_table


def runs(*taus: float | None, step: float = 0.0) -> list[dict[str, Any]]:
    """A run a seed with that tau at Δ = 0, and `step` less at each further Δ."""
    return [
        {"tau above": {str(d): None if tau is None else tau - i * step for i, d in enumerate((0.0, 0.2, 0.4, 0.6))}}
        for tau in taus
    ]


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        # Three seeds: mean 2, deviation 1, error 1 / sqrt 3 = 0.577; t of two degrees 4.303 asks for 2.484.
        ([1.0, 2.0, 3.0], UNDECIDED),
        ([1.5, 2.0, 2.5], SAME),  # error 0.289 asks for 1.242
        ([-1.5, -2.0, -2.5], OTHER),
        ([2.0], UNDECIDED),  # one seed decides nothing
        ([], UNDECIDED),
        ([1.5, float("nan"), 2.0, 2.5], SAME),
        ([0.0, 0.0, 0.0], UNDECIDED),
        ([1.0, 1.0], SAME),  # without any spread every difference counts
    ],
)
def test_a_difference_decides_if_student_allows(differences: list[float], expected: str) -> None:
    assert verdict(differences) == expected


def test_students_quantiles_are_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    for degrees, value in enumerate(STUDENT, start=1):
        assert value == pytest.approx(stats.t.ppf(0.975, degrees), abs=5e-4)


@pytest.mark.parametrize("table", ["I", "II", "III"])
def test_every_claim_is_borne_out_by_the_papers_own_figures(table: PaperTable) -> None:
    printed = paper_table(table)
    for higher, lower in CLAIMS[table]:
        for threshold in printed[lower].tau:
            assert printed[higher].tau[threshold] > printed[lower].tau[threshold]


def test_a_row_has_both_differences_and_the_words_for_ours() -> None:
    found = {key: runs(0.40, 0.42, 0.44) for key in paper_table("II")}
    found["b"] = runs(0.45, 0.48, 0.49)  # 5, 6 and 5 points above a: mean 5.33, error 0.33
    found["d"] = runs(0.43, 0.44, 0.46)  # 3, 2 and 2 points above a: the paper has it below
    lines = orderings("II", found).splitlines()
    assert "| (b) above (a) | 0 | +0.96 | +5.3 ± 0.3 | as in the paper |" in lines
    assert "| (a) above (d) | 0 | +5.05 | -2.3 ± 0.3 | the other way round |" in lines
    assert "| (g) above (f) | 0 | +0.42 | +0.0 ± 0.0 | not decided |" in lines
    assert len(lines) == 2 + len(CLAIMS["II"])


def test_table_one_is_asked_at_every_threshold_and_a_seed_without_a_tau_is_left_out() -> None:
    found = {key: runs(0.30, 0.31, None, 0.32) for key in paper_table("I")}
    found["kuaihl"] = runs(0.40, 0.41, 0.45, 0.42, step=0.03)  # 10, 7, 4 and 1 points above all at the four Δ
    lines = [line for line in orderings("I", found).splitlines() if "PR-Net" in line]
    assert lines == [
        "| KuaiHL above PR-Net | 0 | +1.13 | +10.0 ± 0.0 | as in the paper |",
        "| KuaiHL above PR-Net | 0.2 | +0.53 | +7.0 ± 0.0 | as in the paper |",
        "| KuaiHL above PR-Net | 0.4 | +2.25 | +4.0 ± 0.0 | as in the paper |",
        "| KuaiHL above PR-Net | 0.6 | +1.60 | +1.0 ± 0.0 | as in the paper |",
    ]


def test_the_segments_that_each_threshold_leaves_are_counted(tmp_path: Path) -> None:
    data = open_klive(small_dataset(tmp_path / "data"))
    counts = dict.fromkeys((0.0, 0.2, 0.4, 0.6), 0)
    for record in data.rooms_of("test"):
        room = data.room(record)
        assert room.views is not None and room.long_views is not None
        for views, long_views in zip(room.views[1:].tolist(), room.long_views[1:].tolist(), strict=True):
            for threshold in counts:
                counts[threshold] += views >= 60 and long_views > threshold * views
    assert counts[0.0] > counts[0.2] > counts[0.4] > counts[0.6] > 0
    said = ", ".join(f"{count} above {threshold:g}" for threshold, count in counts.items())
    assert labels_above(data) == f"Test segments by their true LVTR: {said}."
