"""A run tells programs what happens: everything, once, and whatever becomes of the receiver or of the run.

The network is small and its encoders are left out; the run folder, the sinks and the receivers are real.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from support.event_receiver import event_receiver
from support.kills import killed_at
from support.paths import DOCS, EXAMPLES
from support.ports import free_port
from support.small_model import model_without_encoders

from kuaihl.engines.scoring import journal as journal_module
from kuaihl.engines.scoring import run as run_module
from kuaihl.engines.scoring.conclude import ScoreResult
from kuaihl.engines.scoring.journal import Earlier
from kuaihl.engines.scoring.model import Model
from kuaihl.engines.scoring.reading import Cutting, SourceReading
from kuaihl.engines.scoring.run import Run
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.sinks.delivery import Retry
from kuaihl.engines.sinks.settings import SinkSettings
from kuaihl.engines.types import Event, ScoredSegment

DEMO = str(EXAMPLES / "demo.flv")
SETTINGS = ScoreSettings()
SCORES = [0.3] * 8 + [0.7, 0.8, 0.2, 0.2, 0.2, 0.8, 0.8]  # the second highlight is open at the end
FAULT = Event("corrupt", 65.0, "x")
FAST = Retry(first=0.01, longest=0.05)


def score_source(
    reading: SourceReading, encoders: object, scorer: object, cutting: Cutting, **__: object
) -> Iterator[ScoredSegment]:
    """Stands in for the pipeline: given scores, from segment `first` on."""
    for index, score in enumerate(SCORES):
        start = index * 30.0
        scored = ScoredSegment(
            index, start, start + 30, start + 30, start + 60, score, f"words {index}", 0, False, 1.7e9 + start
        )
        if index >= cutting.first:
            yield replace(scored, events=(FAULT,)) if index == 2 else scored
    reading.source.shortfall = None


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    torch.set_num_threads(1)  # a fork has one thread
    return model_without_encoders(tmp_path_factory.mktemp("bundle"), SETTINGS)


@pytest.fixture(autouse=True)
def pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "score_source", score_source)
    monkeypatch.setattr(journal_module, "_STATE_SECONDS", 1e9)  # no state: each run goes on from the lines alone


def score(model: Model, folder: Path, sinks: SinkSettings, earlier: Earlier = "resume") -> ScoreResult:
    return Run(model, DEMO, SETTINGS, output=folder, earlier=earlier, sinks=sinks).finish()


def to_file(file: Path) -> SinkSettings:
    return SinkSettings(events=str(file), retry=FAST)


def events_in(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def ids_in(file: Path) -> list[str]:
    return [one["id"] for one in events_in(file)]


def test_a_run_tells_its_segments_faults_highlights_and_end_in_order(model: Model, tmp_path: Path) -> None:
    result = score(model, tmp_path / "run", to_file(tmp_path / "told"))
    told = events_in(tmp_path / "told")
    assert all(one["specversion"] == "1.0" and one["source"] == "/kuaihl/rooms/demo" for one in told)
    assert len({one["id"] for one in told}) == len(told)
    assert [one["data"]["segment"] for one in told if one["type"] == "kuaihl.segment.scored"] == list(range(15))
    others = [(one["type"], one["subject"]) for one in told if one["type"] != "kuaihl.segment.scored"]
    assert others == [
        ("kuaihl.stream.event", "segment/2"),
        ("kuaihl.highlight.opened", "highlight/270000"),
        ("kuaihl.highlight.closed", "highlight/270000"),
        ("kuaihl.highlight.opened", "highlight/420000"),
        ("kuaihl.highlight.closed", "highlight/420000"),
        ("kuaihl.run.finished", "run"),
    ]
    end = told[-1]["data"]
    assert end["complete"] and end["segments"] == 15 and end["folder"] == str(tmp_path / "run")
    assert end["highlights"] == result.document["highlights"]


def test_a_run_that_was_told_whole_tells_nothing_twice_and_one_scored_anew_tells_all(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        score(model, tmp_path / "run", to_file(tmp_path / "told"))
    first = ids_in(tmp_path / "told")
    assert len(first) == 21
    later = 1.8e9

    def anew(*given: Any, **options: object) -> Iterator[ScoredSegment]:
        return (replace(one, wall_time=later) for one in score_source(*given, **options))

    monkeypatch.setattr(run_module, "score_source", anew)
    score(model, tmp_path / "run", to_file(tmp_path / "told"), "replace")
    both = ids_in(tmp_path / "told")
    assert both[:21] == first
    assert len(both) == len(set(both)) == 42


def test_after_a_kill_at_any_touch_of_the_folder_everything_is_told_once(model: Model, tmp_path: Path) -> None:
    score(model, tmp_path / "whole", to_file(tmp_path / "told"))
    undisturbed = ids_in(tmp_path / "told")
    touch, kills = 0, 0
    while True:
        folder, told = tmp_path / f"run{touch}", tmp_path / f"told{touch}"
        if not killed_at(touch, folder, lambda folder=folder, told=told: score(model, folder, to_file(told))):  # type: ignore[misc]
            break
        kills += 1
        score(model, folder, to_file(told))
        assert ids_in(told) == undisturbed, touch
        touch += 3
    assert kills > 10


def test_a_receiver_that_is_away_all_along_gets_everything_from_the_next_run(model: Model, tmp_path: Path) -> None:
    port = free_port()
    away = SinkSettings(webhooks=(f"http://127.0.0.1:{port}/hook",), retry=FAST, patience=0.05)
    lines: list[str] = []
    result = Run(model, DEMO, SETTINGS, output=tmp_path / "run", sinks=away, report=lines.append).finish()
    assert result.complete
    assert any("does not answer" in line for line in lines)
    assert any("21 events not delivered" in line for line in lines)
    with event_receiver(port) as receiver:
        score(model, tmp_path / "run", replace(away, patience=10.0))
        assert len(receiver.taken) == len({one["id"] for one in receiver.taken}) == 21


def test_what_happens_to_deliveries_is_among_the_events_of_the_run_folder(model: Model, tmp_path: Path) -> None:
    with event_receiver() as receiver:
        receiver.answers = [404]
        score(model, tmp_path / "run", SinkSettings(webhooks=(receiver.url,), retry=FAST))
    lines = events_in(tmp_path / "run" / "events.jsonl")
    (notice,) = [one for one in lines if one["kind"] == "delivery"]
    assert "answers 404" in notice["detail"]
    schema = json.loads((DOCS / "events.schema.json").read_text())
    for line in lines:
        jsonschema.validate(line, schema)


def test_a_run_without_a_folder_tells_too(model: Model, tmp_path: Path) -> None:
    Run(model, DEMO, SETTINGS, sinks=to_file(tmp_path / "told")).finish()
    assert len(ids_in(tmp_path / "told")) == 21


def test_a_run_that_is_never_begun_tells_nothing_and_leaves_no_folder(model: Model, tmp_path: Path) -> None:
    Run(model, DEMO, SETTINGS, output=tmp_path / "run", sinks=to_file(tmp_path / "told")).close()
    assert not (tmp_path / "run").exists() and not (tmp_path / "told").exists()


def test_a_run_that_is_left_early_tells_how_far_it_came_and_goes_on(model: Model, tmp_path: Path) -> None:
    with Run(model, DEMO, SETTINGS, output=tmp_path / "run", sinks=to_file(tmp_path / "told")) as run:
        for scored in run:
            if scored.segment == 9:
                break
    told = events_in(tmp_path / "told")
    assert [one["type"] for one in told[-2:]] == ["kuaihl.highlight.closed", "kuaihl.run.finished"]
    assert told[-1]["data"]["complete"] is False and told[-1]["data"]["why"]
    score(model, tmp_path / "run", to_file(tmp_path / "told"))
    ids = ids_in(tmp_path / "told")
    assert len(ids) == len(set(ids))
    assert events_in(tmp_path / "told")[-1]["data"]["complete"] is True
