"""Labelled broadcasts as streams of segments, and how well scores order their labels: on four tiny sets of our own."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.paths import REPOSITORY

REAL = REPOSITORY / "benchmarks" / "real"
sys.path.insert(0, str(REAL))

import intervals  # noqa: E402
from cross_validation import MARGIN, fit_ridge, parts_of  # noqa: E402
from measures import HEAD, ORDER, measured  # noqa: E402
from page import in_short, section, verdict  # noqa: E402
from rules import knows_no_domain, rule_scores  # noqa: E402
from sets import READERS, RealSet, share_within, sound_of  # noqa: E402

from kuaihl.models.evaluation.average_precision import average_precision  # noqa: E402
from kuaihl.models.evaluation.bootstrap import Estimate  # noqa: E402
from kuaihl.models.evaluation.rank_correlation import kendall_tau_b  # noqa: E402
from kuaihl.models.signals import SIGNAL_NAMES  # noqa: E402
from kuaihl.models.training.linear_fit import past_of  # noqa: E402

CHAT_SECONDS = 15_000  # 500 segments, 25 blocks
GAME_STEPS = 61


def lines(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(file, "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four formats: a goal in each half, a chat that swells in its highlights, loud steps in a game's."""
    root = tmp_path_factory.mktemp("real")
    said = [[0.0, 10.0, "They pass."], [25.0, 37.0, "What a goal! Goal!"], [70.0, 80.0, "Half time."]]
    halves = [
        {"half": f"game{game}-{half}", "sentences": said, "summary": summary, "events": []}
        for game, half, summary in ((1, 1, [[30.0, 45.0]]), (1, 2, None), (2, 1, [[33.0, 93.0]]))
    ]
    lines(root / "football" / "halves.jsonl.gz", halves)
    spans = [[300.0, 330.0], [3015.0, 3090.0], [7500.0, 7530.0], [10500.0, 10530.0], [14000.0, 14030.0]]
    share = share_within(spans, CHAT_SECONDS // 30)
    messages = [
        {"time": 30 * i + j, "author": f"viewer{j}", "text": "哈哈" if share[i] else "晚上好"}
        for i in range(len(share))
        for j in range(1 + i % 2 + round(4 * share[i]))
    ]
    lines(root / "chat_zh" / "messages.jsonl.gz", messages)
    (root / "chat_zh" / "highlights.json").write_text(json.dumps({"seconds": CHAT_SECONDS, "highlights": spans}))
    bursts = [
        {"broadcast": broadcast, "start": 100.0 * i, "end": 100.0 * i + 15, "reaction": i % 2, "messages": said}
        for broadcast in (1, 2)
        for i, said in enumerate([["hello", "hi"], ["LOL"], ["what time is it"], ["hahaha", "lol", "no"]])
    ]
    lines(root / "chat_en" / "bursts.jsonl.gz", bursts[::-1])
    (root / "esports").mkdir()
    for name in ("game1", "game2"):
        label = np.zeros(GAME_STEPS, np.float32)
        label[12:20], label[20:22] = 1.0, 0.5
        sound = np.full((GAME_STEPS, 128), 5.0, np.float16)
        sound[:, :64] = -40.0 + 10.0 * label[:, None] + 0.01 * np.arange(GAME_STEPS)[:, None]
        np.savez(root / "esports" / f"{name}.npz", label=label, sound=sound, start=5.0 * np.arange(GAME_STEPS))
    return root


def value(real: RealSet, recording: int, name: str) -> list[float]:
    return [float(each) for each in real.recordings[recording].values[:, SIGNAL_NAMES.index(name)]]


def test_a_label_is_the_share_of_the_segment_inside_the_spans() -> None:
    # [15, 40] covers half of the first segment and a third of the second; [80, 200] goes past the end.
    assert share_within([[15, 40], [80, 200]], 3) == pytest.approx([0.5, 1 / 3, 1 / 3])


def test_halves_without_a_summary_are_left_out_and_sentences_lie_where_their_middle_is(folder: Path) -> None:
    real = READERS["football"](folder)
    assert [each.name for each in real.recordings] == ["game1-1", "game2-1"]
    first = real.recordings[0]
    assert first.speech == ("They pass.", "What a goal! Goal!", "Half time.")  # (25 + 37) / 2 is 31 s
    assert value(real, 0, "spoken_exclamations") == pytest.approx([0.0, np.log(3), 0.0])
    assert first.present == pytest.approx([0.0, 0.5, 0.0])
    assert first.next == pytest.approx([0.5, 0.0, np.nan], nan_ok=True)
    assert np.isnan(value(real, 0, "loudness")).all() and np.isnan(value(real, 0, "comments")).all()


def test_a_whole_chat_is_one_recording_on_a_grid_from_0(folder: Path) -> None:
    real = READERS["chat_zh"](folder)
    (chat,) = real.recordings
    assert len(chat.present) == 500
    assert chat.present[[10, 100, 101, 102, 103]] == pytest.approx([1.0, 0.5, 1.0, 1.0, 0.0])
    assert value(real, 0, "chatters")[:2] == pytest.approx([np.log(2), np.log(3)])
    assert len(set(chat.drawn)) == 25


def test_bursts_are_segments_in_order_of_time_with_counts_per_30_s(folder: Path) -> None:
    real = READERS["chat_en"](folder)
    assert [list(each.present) for each in real.recordings] == [[0, 1, 0, 1]] * 2
    assert value(real, 0, "comments") == pytest.approx([np.log(1 + 2 * count) for count in (2, 1, 1, 3)])  # of 15 s
    assert not real.follows


def test_a_game_is_six_streams_a_step_apart(folder: Path) -> None:
    real = READERS["esports"](folder)
    assert [len(each.present) for each in real.recordings] == [10, 10, 9, 9, 9, 9] * 2
    # From step 0: steps 12 to 17 are in, 18 and 19 in with 20 and 21 near. From step 3: 9 to 14 hold three.
    assert real.recordings[0].present[:5] == pytest.approx([0, 0, 1, 0.5, 0])
    assert real.recordings[3].present[:4] == pytest.approx([0, 0.5, 5 / 6 + 1 / 12, 1 / 12])
    assert {each.unit for each in real.recordings} == {"game1", "game2"}


def test_the_mean_of_a_step_below_its_own_loudest_cell_is_fullness_in_bels_and_no_level() -> None:
    steps = np.zeros((6, 128))
    steps[:, :64], steps[:, 64:] = -30.0, 10.0
    steps[:, 0] = -94.0
    assert sound_of(steps) == {"fullness": pytest.approx((63 * -3.0 - 9.4) / 64)}


def test_weights_are_how_often_a_segment_is_there() -> None:
    random = np.random.default_rng(0)
    scores, labels = random.integers(0, 6, 30).astype(float), random.integers(0, 2, 30).astype(float)
    often = random.integers(0, 4, (1, 30)).astype(float)
    again = np.repeat(np.arange(30), often[0].astype(int))
    assert intervals.kendall_tau(scores, labels, often)[0] == pytest.approx(kendall_tau_b(scores[again], labels[again]))
    assert intervals.average_precision(scores, labels, often)[0] == pytest.approx(
        average_precision(scores[again], labels[again])
    )


def test_the_area_is_the_share_of_pairs_in_order_and_ties_are_half() -> None:
    # Of the pairs (3, 1), (3, 2), (2, 1), (2, 2): three in order, one tied.
    area = intervals.roc_area(np.array([1.0, 2.0, 3.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0]), np.ones((1, 4)))
    assert area[0] == pytest.approx(3.5 / 4)


def test_a_rule_that_is_silent_has_tau_0_and_one_that_speaks_once_is_judged_on_few_pairs() -> None:
    labels, once = np.array([1.0, 0.0, 0.0, 0.0, 0.0]), np.ones((1, 5))
    assert intervals.kendall_tau(np.zeros(5), labels, once)[0] == 0
    assert intervals.kendall_tau(labels, labels, once)[0] == pytest.approx(1.0)
    # The same rule without ties: 4 of 10 pairs are in order and the others by chance, over sqrt(10 * 4).
    assert intervals.tau_without_ties(labels, labels, once)[0] == pytest.approx(4 / np.sqrt(40))


@pytest.mark.parametrize("name", ["chat_zh", "esports"])
def test_blocks_are_drawn_within_each_recording(folder: Path, name: str) -> None:
    sample = intervals.sampling(READERS[name](folder), draws=20)
    for unit in np.unique(sample.units):
        blocks = np.unique(sample.blocks[sample.units == unit])
        assert (sample.drawn[:, blocks].sum(axis=1) == len(blocks)).all()


def test_each_segment_is_tested_once_and_nothing_near_it_in_its_recording_is_learned_from(folder: Path) -> None:
    parts = parts_of(READERS["chat_zh"](folder))
    assert (np.sum([part.test for part in parts], axis=0) == 1).all()
    for part in parts:
        assert not (part.train & part.validation).any() and part.train.any() and part.validation.any()
        tested = np.flatnonzero(part.test)
        for place in np.flatnonzero(part.train | part.validation):
            assert np.abs(tested - place).min() > MARGIN


def test_games_of_two_are_learned_from_the_other_one(folder: Path) -> None:
    real = READERS["esports"](folder)
    units = np.concatenate([[each.unit] * len(each.present) for each in real.recordings])
    for part, tested, learned in zip(parts_of(real), ("game1", "game2"), ("game2", "game1"), strict=True):
        assert set(units[part.test]) == {tested}
        assert set(units[part.train]) == set(units[part.validation]) == {learned}


def test_the_past_is_the_last_four_segments_newest_first() -> None:
    assert past_of(np.array([[1.0], [2.0], [3.0]]), 4).tolist() == [[1, 0, 0, 0], [2, 1, 0, 0], [3, 2, 1, 0]]


@pytest.mark.parametrize("width", [1, 60])  # fewer features than segments, and more
def test_ridge_finds_a_line_and_never_sees_what_is_hidden(width: int) -> None:
    line = np.linspace(-1, 1, 40)
    features = np.repeat(100 * line[:, None], width, axis=1)
    targets = np.where(np.arange(40) < 30, 2 * line, np.nan)[:, None]
    fitted = fit_ridge(features, targets, np.arange(40) < 30, np.arange(40) % 5)
    assert fitted[:, 0] == pytest.approx(2 * line, abs=0.001)


def test_rules_are_the_signals_that_a_set_knows(folder: Path) -> None:
    assert set(rule_scores(READERS["esports"](folder))) == {"fullness", "fullness, standardised"}
    assert knows_no_domain("fullness, standardised") and not knows_no_domain("peak")


def test_the_best_rule_is_named_and_differences_are_paired(folder: Path) -> None:
    real = READERS["chat_zh"](folder)
    chatters = rule_scores(real)["laughter"]
    found = measured(real, {HEAD: {"present": chatters, "next": -chatters}}, ["a network: not asked for"], draws=50)
    assert found.best["present"]["domain-free"] == "laughter"  # it is 1 in the highlights and 0 elsewhere
    same = found.differences["present"]["head − best domain-free rule"]
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert found.differences["next"]["head − best domain-free rule"].value < 0
    assert found.systems["present"][HEAD][ORDER].value == pytest.approx(
        kendall_tau_b(chatters, real.recordings[0].present)
    )
    text = section(found)
    assert in_short([found]).splitlines()[-2].endswith("| laughter | +0.000 (+0.000 – +0.000) | not decided |")
    assert "best domain-free rule: laughter" in text and "Skipped: a network: not asked for." in text


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.01, 0.2, "above"), (-0.2, -0.01, "below"), (-0.1, 0.1, "not decided")]
)
def test_a_difference_is_decided_if_its_interval_is_clear_of_0(low: float, high: float, expected: str) -> None:
    assert verdict(Estimate((low + high) / 2, low, high, np.array([low, high]))) == expected


def run_all(*options: str) -> str:
    return subprocess.run(
        [sys.executable, str(REAL / "run_all.py"), *options], check=True, capture_output=True, text=True
    ).stdout


def test_without_the_folder_it_says_so(tmp_path: Path) -> None:
    assert run_all("--real", str(tmp_path / "none")).startswith(f"skipped: {tmp_path / 'none'} is not there")


@pytest.mark.slow
def test_the_shipped_head_is_measured_beside_the_rules(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "real.json"
    printed = run_all("--real", str(folder), "--set", "esports", "--fast", "--json", str(file))
    assert "| shipped head |" in printed and "Made by `python benchmarks/real/run_all.py" in printed
    found = json.loads(file.read_text())["esports"]
    best = found["rules"]["present"][found["best rule"]["present"]["domain-free"]]
    head = found["systems"]["present"]["shipped head"]
    above = found["differences"]["present"]["head − best domain-free rule"]
    assert above[0] == pytest.approx(head["order"][0] - best["order"][0])
