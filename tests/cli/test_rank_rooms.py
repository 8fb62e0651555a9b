"""examples/rank_rooms.py adds KuaiHL's rolling score to a recommender's own, as supplement III-A prints it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import EXAMPLES

SCRIPT = EXAMPLES / "rank_rooms.py"


def rank(folder: Path, *rooms: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *rooms, "--scores", "scores.csv"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def run_folder(folder: Path, name: str, *scores: float, torn: str = "") -> None:
    (folder / name).mkdir()
    lines = [
        json.dumps({"segment": i, "score": score, "predicts_end": 30.0 * (i + 2)}) for i, score in enumerate(scores)
    ]
    (folder / name / "scores.jsonl").write_text("".join(f"{line}\n" for line in lines) + torn)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three rooms: the recommender's sums are 0.5, 0.6 and 0.4; the last scores of two are 0.4 and 0.2."""
    (tmp_path / "scores.csv").write_text("room,s_ctr,s_lvtr,s_more\na,0.1,0.3,0.1\nb,0.2,0.3,0.1\nnew,0.1,0.2,0.1\n")
    run_folder(tmp_path, "a", 0.9, 0.4)
    run_folder(tmp_path, "b", 0.3, 0.2, torn='{"segment": 2, "sco')
    (tmp_path / "new").mkdir()
    return tmp_path


def test_rooms_are_ranked_by_the_sum_with_the_last_whole_score(folder: Path) -> None:
    """a: 0.5 + 0.4 = 0.9 overtakes b: 0.6 + 0.2 = 0.8; the new one counts with their mean: 0.4 + 0.3 = 0.7."""
    result = rank(folder, "a", "b", "new")
    assert (result.returncode, result.stderr) == (0, "")
    assert [line.split() for line in result.stdout.splitlines()[1:]] == [
        ["1", "2", "0.9000", "0.5000", "0.4000", "90", "s", "a"],
        ["2", "1", "0.8000", "0.6000", "0.2000", "90", "s", "b"],
        ["3", "3", "0.7000", "0.4000", "-", "-", "new"],
    ]


def test_the_next_line_of_the_feed_changes_the_order(folder: Path) -> None:
    with (folder / "b" / "scores.jsonl").open("a") as feed:
        feed.write('re": 0.5, "predicts_end": 120.0}\n')
    assert [line.split()[-1] for line in rank(folder, "a", "b").stdout.splitlines()[1:]] == ["b", "a"]


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ("name,s_ctr\na,0.1\n", "has no column 'room'"),
        ("room,s_ctr\na,much\n", "line 2: room a has a score that is no number"),
        ("room,s_ctr\na,nan\n", "line 2: room a has a score that is not finite"),
        ("room,s_ctr\nb,0.1\n", "the csv has no row of room a"),
    ],
)
def test_scores_that_cannot_be_added_are_one_line(folder: Path, scores: str, said: str) -> None:
    (folder / "scores.csv").write_text(scores)
    result = rank(folder, "a")
    assert result.returncode == 3
    (line,) = result.stderr.splitlines()
    assert said in line
