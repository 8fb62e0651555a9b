"""A run that is killed at any instant leaves a folder with which the next one goes on to the very same files.

The network is small and its encoders are left out; the journal, the scorer's state and the files are the real ones.
"""

import json
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import torch
from support.kills import killed_at
from support.paths import DOCS, EXAMPLES
from support.small_bundle import segments
from support.small_model import model_without_encoders

from kuaihl.engines.outputs.lock import FolderLock, check_unlocked
from kuaihl.engines.outputs.run_folder import has_scores, is_finished, tidy_finished, was_interrupted
from kuaihl.engines.outputs.run_record import can_go_on, read_record
from kuaihl.engines.outputs.scores_jsonl import read_scores
from kuaihl.engines.scoring import journal as journal_module
from kuaihl.engines.scoring import run as run_module
from kuaihl.engines.scoring.conclude import ScoreResult
from kuaihl.engines.scoring.journal import AlreadyScored, Earlier
from kuaihl.engines.scoring.model import Model
from kuaihl.engines.scoring.reading import Cutting, SourceReading
from kuaihl.engines.scoring.remake import remake_highlights
from kuaihl.engines.scoring.run import Run
from kuaihl.engines.scoring.scorer import StreamingScorer
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.types import Event, ScoredSegment
from kuaihl.models.errors import UsageError

DEMO = str(EXAMPLES / "demo.flv")
SETTINGS = ScoreSettings()
COUNT = 14
FILES = ("scores.jsonl", "events.jsonl", "highlights.json", "run.json")


def score_source(
    reading: SourceReading, _encoders: object, scorer: StreamingScorer, cutting: Cutting, **_: object
) -> Iterator[ScoredSegment]:
    """Stands in for the pipeline: real scores of made-up features, with faults, from segment `first` on."""
    for encoded in segments(COUNT, gaps=(4,)):
        if encoded.index >= cutting.first:
            event = Event("gap", encoded.start + 1.0, "why") if encoded.gap else Event("corrupt", encoded.start, "x")
            yield scorer.score(replace(encoded, events=(event,), keyframe_times=(encoded.start + 0.25,)))
    reading.source.shortfall = None


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    torch.set_num_threads(1)  # a fork has one thread
    return model_without_encoders(tmp_path_factory.mktemp("bundle"), SETTINGS)


@pytest.fixture(autouse=True)
def pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "score_source", score_source)
    monkeypatch.setattr(journal_module, "_STATE_SECONDS", 0.0)


def score(model: Model, folder: Path, earlier: Earlier = "resume", settings: ScoreSettings = SETTINGS) -> ScoreResult:
    return Run(model, DEMO, settings, output=folder, earlier=earlier).finish()


def contents(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text(encoding="utf-8") for name in FILES if (folder / name).exists()}


@pytest.fixture(scope="module")
def undisturbed(model: Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "score_source", score_source)
        folder = tmp_path_factory.mktemp("whole") / "out"
        assert score(model, folder).complete
        found = contents(folder)
        assert found.keys() == set(FILES) and found["scores.jsonl"].count("\n") == COUNT
        return found


def test_after_a_kill_at_any_touch_of_the_folder_the_run_goes_on_to_the_same_files(
    model: Model, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    touch = 0
    while killed_at(touch, folder := tmp_path / f"out{touch}", lambda folder=folder: score(model, folder)):  # type: ignore[misc]
        assert score(model, folder).complete
        assert contents(folder) == undisturbed, touch
        assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
        touch += 1
    assert touch > 3 * COUNT


def test_a_run_may_be_killed_again_and_again(model: Model, undisturbed: dict[str, str], tmp_path: Path) -> None:
    draw = random.Random(0)
    kills = [killed_at(draw.randrange(40), tmp_path / "out", lambda: score(model, tmp_path / "out")) for _ in range(6)]
    assert sum(kills) > 3
    score(model, tmp_path / "out")
    assert contents(tmp_path / "out") == undisturbed


@pytest.mark.parametrize("state", ["", "damaged", "missing"])
def test_without_a_usable_state_the_lines_stay_and_the_rest_is_the_same(
    model: Model, undisturbed: dict[str, str], tmp_path: Path, state: str
) -> None:
    killed_at(40, tmp_path / "out", lambda: score(model, tmp_path / "out"))
    lines = (tmp_path / "out" / "scores.jsonl").read_text(encoding="utf-8")
    assert 0 < lines.count("\n") < COUNT
    file = tmp_path / "out" / "state.safetensors"
    file.unlink() if state == "missing" else file.write_text(state)
    score(model, tmp_path / "out")
    assert contents(tmp_path / "out") == undisturbed


@pytest.mark.parametrize("torn", [1, 7, 200])
def test_a_line_that_was_torn_is_written_again(
    model: Model, undisturbed: dict[str, str], tmp_path: Path, torn: int
) -> None:
    killed_at(40, tmp_path / "out", lambda: score(model, tmp_path / "out"))
    scores = tmp_path / "out" / "scores.jsonl"
    following = undisturbed["scores.jsonl"].splitlines()[scores.read_text(encoding="utf-8").count("\n")]
    with scores.open("a", encoding="utf-8") as file:
        file.write(following[:torn])
    score(model, tmp_path / "out")
    assert contents(tmp_path / "out") == undisturbed


def test_the_events_of_a_killed_run_end_when_its_highlights_are_made(
    model: Model, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """As if the run had been stopped there; and it can still go on."""
    for touch in range(0, 100, 7):
        folder = tmp_path / f"out{touch}"
        killed_at(touch, folder, lambda folder=folder: score(model, folder))  # type: ignore[misc]
        if not has_scores(folder) or not was_interrupted(folder):
            continue
        remake_highlights(folder, SETTINGS)
        segments = [one.scored for one in read_scores(folder / "scores.jsonl")]
        events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
        kinds = [one["kind"] for one in events if one["kind"].startswith("highlight_")]
        assert kinds.count("highlight_opened") == len(kinds) / 2, kinds
        assert [one["segment"] for one in events] == sorted(one["segment"] for one in events)
        assert {one["segment"] for one in events if one["kind"] == "corrupt"} <= {one.segment for one in segments}
        score(model, folder)
        assert contents(folder)["events.jsonl"] == undisturbed["events.jsonl"]


def test_a_replaced_run_stays_until_the_new_one_has_a_line(model: Model, tmp_path: Path) -> None:
    (other := tmp_path / "other").mkdir()
    score(model, other, settings=replace(SETTINGS, language="en"))
    old, first = contents(other), 0
    while True:
        folder = tmp_path / f"out{first}"
        folder.mkdir()
        for name, content in old.items():
            (folder / name).write_text(content, encoding="utf-8")
        if not killed_at(first, folder, lambda folder=folder: score(model, folder, "replace")):  # type: ignore[misc]
            break
        assert has_scores(folder)
        with pytest.raises(UsageError, match="already holds"):
            score(model, folder, "refuse")  # it only looks, after the repair
        found = contents(folder)
        assert found == old or json.loads(found["run.json"])["options"]["language"] is None, first
        assert found["scores.jsonl"]
        first += 1
    assert first > 3 * COUNT and not (folder / ".earlier").exists()


def test_a_run_without_a_line_leaves_the_earlier_one_as_it_was(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(model, tmp_path / "out")
    old = contents(tmp_path / "out")

    def failing(*_: object, **__: object) -> Iterator[ScoredSegment]:
        raise OSError("no")
        yield

    monkeypatch.setattr(run_module, "score_source", failing)
    for folder in ("out", "new"):
        with pytest.raises(OSError, match="no"):
            score(model, tmp_path / folder, "replace")
    assert contents(tmp_path / "out") == old
    assert not (tmp_path / "new").exists()


def test_a_stop_before_the_first_segment_writes_nothing_that_a_later_run_would_refuse(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "score_source", lambda *_, **__: (one for one in ()))
    assert not score(model, tmp_path / "out", "refuse").segments
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (replace(SETTINGS, segment_seconds=10.0), "segment_seconds was 30.0"),
        (replace(SETTINGS, comments_offset=1.0), "comments_offset was 0.0"),
    ],
)
def test_scores_of_another_kind_are_not_gone_on_with(
    model: Model, tmp_path: Path, settings: ScoreSettings, words: str
) -> None:
    score(model, tmp_path / "out")
    old = contents(tmp_path / "out")
    with pytest.raises(UsageError, match=words):
        score(model, tmp_path / "out", "resume", settings)
    assert contents(tmp_path / "out") == old


def test_two_runs_never_write_into_one_folder(model: Model, tmp_path: Path) -> None:
    run = Run(model, DEMO, SETTINGS, output=tmp_path / "out")
    for command in (
        lambda: Run(model, DEMO, SETTINGS, output=tmp_path / "out"),
        lambda: check_unlocked(tmp_path / "out"),
    ):
        with pytest.raises(UsageError, match=rf"out: process {os.getpid()} is writing into it"):
            command()
    run.close()
    assert score(model, tmp_path / "out").complete


def test_what_another_run_has_scored_meanwhile_is_not_scored_again(model: Model, tmp_path: Path) -> None:
    """Whoever gets the lock looks again: the folder was empty when both of them looked first."""
    folder = tmp_path / "out"
    assert killed_at(40, folder, lambda: score(model, folder, "update")) and was_interrupted(folder)
    assert score(model, folder, "update").complete  # which goes on with an interrupted one
    old = contents(folder)
    with pytest.raises(AlreadyScored, match="another run has scored it"):
        score(model, folder, "update")
    assert contents(folder) == old and sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert score(model, folder, "update", replace(SETTINGS, language="en")).complete
    assert json.loads(contents(folder)["run.json"])["options"]["language"] == "en"


def test_a_dead_process_holds_no_lock(tmp_path: Path) -> None:
    child = os.fork()
    if not child:
        FolderLock(tmp_path)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert (tmp_path / ".lock").read_text() == f"{child}\n"
    FolderLock(tmp_path).release()
    assert not list(tmp_path.iterdir())


def test_an_interrupted_run_is_told_from_one_that_its_source_ended(model: Model, tmp_path: Path) -> None:
    assert not was_interrupted(tmp_path)
    killed_at(30, tmp_path / "killed", lambda: score(model, tmp_path / "killed"))
    assert was_interrupted(tmp_path / "killed")
    record = read_record(tmp_path / "killed")
    assert record is not None and can_go_on(tmp_path / "killed", record)
    assert not can_go_on(tmp_path / "killed", replace(record, bundle_sha256="ab" * 32))
    for _ in (left := Run(model, DEMO, SETTINGS, output=tmp_path / "left")):
        break
    assert was_interrupted(tmp_path / "left") and not left.finish().complete
    score(model, tmp_path / "left")
    assert not was_interrupted(tmp_path / "left")


def test_what_a_kill_behind_the_last_file_left_is_removed_and_a_folder_in_use_is_left_alone(
    model: Model, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    touch, finished = 0, 0
    while killed_at(touch, folder := tmp_path / f"out{touch}", lambda folder=folder: score(model, folder)):  # type: ignore[misc]
        touch += 1
        if is_finished(folder):
            finished += 1
            lock = FolderLock(folder)
            tidy_finished(folder)
            assert len(list(folder.iterdir())) > len(FILES)
            os.close(lock._descriptor)  # as its process dies
            lock._descriptor = -1
            tidy_finished(folder)
            assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
            assert contents(folder) == undisturbed
    assert finished


def test_events_are_written_as_they_happen_and_keep_to_their_schema(model: Model, tmp_path: Path) -> None:
    schema = json.loads((DOCS / "events.schema.json").read_text(encoding="utf-8"))
    run = Run(model, DEMO, SETTINGS, output=tmp_path)
    for scored in run:
        lines = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
        entries = [json.loads(line) for line in lines]
        for entry in entries:
            jsonschema.validate(entry, schema)
        last = [entry["kind"] for entry in entries if entry["segment"] == scored.segment]
        assert last[:1] == [scored.events[0].kind] and len(last) == 1 + len(run.changes)
