"""A run: segments come out as they are scored, and however it ends, its files and highlights are there.

The network and its encoders are stand-ins; what they would score is given. The source is a real file.
"""

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.paths import DOCS, EXAMPLES
from support.small_model import model_without_encoders

from kuaihl.engines.highlights.clips import Clip, FailedClip
from kuaihl.engines.highlights.online import HighlightOpened
from kuaihl.engines.scoring import conclude as conclude_module
from kuaihl.engines.scoring import run as run_module
from kuaihl.engines.scoring.model import Model
from kuaihl.engines.scoring.reading import SourceReading
from kuaihl.engines.scoring.run import Run
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.types import Comment, Event, ScoredSegment
from kuaihl.models.errors import BatchError, SourceError, UsageError

DEMO = EXAMPLES / "demo.flv"
SETTINGS = ScoreSettings()


class Pipeline:
    """Stands in for `score_source`: yields the given segments, and knows when it was left."""

    def __init__(self, scored: Iterable[ScoredSegment]) -> None:
        self.scored, self.open = list(scored), False
        self.options: dict[str, Any] = {}

    def __call__(
        self, reading: SourceReading, *given: Any, stop: threading.Event, **options: Any
    ) -> Iterator[ScoredSegment]:
        self.open, self.options = True, options
        try:
            for segment in self.scored:
                if stop.is_set():
                    return
                yield segment
            reading.source.shortfall = None
        finally:
            self.open = False


def segment(index: int, score: float = 0.4, interest: float | None = 0.4) -> ScoredSegment:
    start = index * 30.0
    words = f"words of {index}"
    return ScoredSegment(
        index, start, start + 30, start + 30, start + 60, score, words, 0, False, 0.0, interest=interest
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return model_without_encoders(tmp_path_factory.mktemp("bundle"), SETTINGS)


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Nine segments, of which the seventh is what all others are not."""
    given = Pipeline(segment(index, interest=0.8 if index == 6 else 0.4) for index in range(9))
    monkeypatch.setattr(run_module, "score_source", given)
    return given


def document_of(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / "highlights.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads((DOCS / "highlights.schema.json").read_text(encoding="utf-8")))
    assert isinstance(document, dict)
    return document


def lines_of(folder: Path) -> int:
    return (folder / "scores.jsonl").read_text(encoding="utf-8").count("\n")


def test_a_run_writes_each_segment_before_it_gives_it_and_the_document_at_its_end(
    model: Model, pipeline: Pipeline, tmp_path: Path
) -> None:
    run = Run(model, str(DEMO), SETTINGS, output=tmp_path)
    assert run.name == "demo" and run.duration == pytest.approx(270, abs=0.2) and not run.is_live
    for count, _ in enumerate(run, start=1):
        assert lines_of(tmp_path) == len(run.segments) == count
        assert not (tmp_path / "highlights.json").exists()
    assert document_of(tmp_path) == run.finish().document
    assert run.finish().complete and run.finish().segments == tuple(pipeline.scored)


def test_both_outputs_of_the_network_choose_highlights(model: Model, pipeline: Pipeline, tmp_path: Path) -> None:
    settings = replace(SETTINGS, plot=True, formats="csv,srt,vtt")
    result = Run(model, str(DEMO), settings, output=tmp_path).finish()
    document = document_of(tmp_path)
    assert document["chosen_from"] == ["score", "interest"]
    (entry,), (highlight,) = document["highlights"], result.highlights
    assert (entry["start"], entry["end"], entry["segments"]) == (180.0, 210.0, [6])
    assert (highlight.start, highlight.end, highlight.score) == (180.0, 210.0, 0.8)
    assert (tmp_path / "scores.png").read_bytes().startswith(b"\x89PNG")
    assert {path.suffix for path in tmp_path.glob("highlights.*")} == {".json", ".csv", ".srt", ".vtt"}


@pytest.mark.parametrize("content", ["", "a note, no chat", "<i>" + "<d p='1'>&<" * 3000])
def test_comments_that_nobody_named_never_fail_a_recording(
    content: str, model: Model, pipeline: Pipeline, tmp_path: Path
) -> None:
    (tmp_path / "demo.flv").symlink_to(DEMO)
    (tmp_path / "demo.xml").write_text(content)
    source = str(tmp_path / "demo.flv")
    Run(model, source, SETTINGS, comments="auto").finish()
    feed = pipeline.options["comments"]
    assert feed.take(0, 30) == () and not feed.has_chat
    (event,) = feed.take_events(0.0)
    assert event.kind == "comments" and f"scored without comments: {tmp_path / 'demo.xml'}" in event.detail
    assert feed.take_events(30.0) == []
    with pytest.raises(SourceError, match=r"demo\.xml"):
        Run(model, source, SETTINGS, comments=tmp_path / "demo.xml")  # whoever names a file wants it read


def test_clips_are_cut_beside_their_highlights(model: Model, pipeline: Pipeline, tmp_path: Path) -> None:
    result = Run(model, str(DEMO), replace(SETTINGS, clips=True), output=tmp_path).finish()
    (clip,) = result.clips
    assert clip is not None and clip.path.stat().st_size > 10_000
    assert document_of(tmp_path)["highlights"][0]["clip"]["file"] == f"clips/{clip.path.name}"


def test_a_clip_that_cannot_be_cut_is_told_and_loses_nothing_else(
    model: Model, pipeline: Pipeline, tmp_path: Path
) -> None:
    (tmp_path / "clips").write_text("a file where the folder should be")
    told: list[str] = []
    settings = replace(SETTINGS, clips=True, formats="csv,srt,vtt")
    result = Run(model, str(DEMO), settings, output=tmp_path, report=told.append).finish()
    document = document_of(tmp_path)
    assert document["complete"] is True and len(list(tmp_path.glob("highlights.*"))) == 4
    (entry,) = document["highlights"]
    assert "clip" not in entry and "cannot be made" in entry["clip_failure"]
    assert result.clips == (None,) and result.failed_clips == (entry["clip_failure"],)
    assert f"clip of 3:00–3:30: {entry['clip_failure']}" in told
    with pytest.raises(BatchError, match="1 of 1 clips could not be cut") as caught:
        result.check_clips()
    assert caught.value.exit_code == 5 and "\n" not in str(caught.value)


def test_highlights_are_on_disk_before_the_first_clip_is_cut(
    model: Model, pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **options: object) -> list[Clip | FailedClip]:
        raise KeyboardInterrupt

    monkeypatch.setattr(conclude_module, "cut_clips", killed)
    with pytest.raises(KeyboardInterrupt):
        Run(model, str(DEMO), replace(SETTINGS, clips=True), output=tmp_path).finish()
    document = document_of(tmp_path)
    assert [entry["start"] for entry in document["highlights"]] == [180.0]
    assert document["complete"] is False, "a run that was killed must not pass for a finished one"


def test_without_an_output_nothing_is_written(
    model: Model, pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = Run(model, str(DEMO), SETTINGS).finish()
    assert len(result.segments) == 9 and len(result.highlights) == 1
    assert result.output is None and not list(tmp_path.iterdir())


def test_a_loop_that_is_left_ends_the_run_with_its_files_written(
    model: Model, pipeline: Pipeline, tmp_path: Path
) -> None:
    run = Run(model, str(DEMO), SETTINGS, output=tmp_path)
    for scored in run:
        if scored.segment == 7:
            break
    assert not pipeline.open
    document = document_of(tmp_path)
    assert document["complete"] is False and document["duration"] == 240.0
    assert [highlight.start for highlight in run.highlights] == [180.0]
    assert len(run.segments) == lines_of(tmp_path) == 8
    assert not list(run), "it does not begin again"


def test_close_inside_the_loop_ends_it(model: Model, pipeline: Pipeline) -> None:
    with Run(model, str(DEMO), SETTINGS) as run:
        for scored in run:
            if scored.segment == 2:
                run.close()
    assert len(run.segments) == 3 and not pipeline.open
    assert run.finish().complete is False
    run.close()


def test_close_from_another_thread_ends_the_loop(
    model: Model, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, closed = threading.Event(), threading.Event()

    def endless(*_: object, stop: threading.Event, **__: object) -> Iterator[ScoredSegment]:
        yield segment(0)
        waiting.set()
        assert stop.wait(20)
        closed.set()

    monkeypatch.setattr(run_module, "score_source", endless)
    run = Run(model, str(DEMO), SETTINGS)
    thread = threading.Thread(target=lambda: waiting.wait(20) and run.close())
    thread.start()
    assert len(list(run)) == 1
    thread.join()
    assert closed.is_set() and run.finish().complete is False


def test_a_stop_ends_it_after_what_was_read_and_a_second_one_at_once(
    model: Model, pipeline: Pipeline, tmp_path: Path
) -> None:
    stop = threading.Event()
    run = Run(model, str(DEMO), SETTINGS, output=tmp_path, stop=stop)
    for _ in run:
        stop.set()
    assert document_of(tmp_path)["complete"] is False
    stop, left = threading.Event(), tmp_path / "left"
    for _ in Run(model, str(DEMO), SETTINGS, output=left, stop=stop):
        stop.set()
        break
    assert not (left / "highlights.json").exists()


def test_what_was_scored_before_an_error_can_still_be_had(
    model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def failing(*_: object, **__: object) -> Iterator[ScoredSegment]:
        yield segment(0)
        raise SourceError("the disk went away")

    monkeypatch.setattr(run_module, "score_source", failing)
    run = Run(model, str(DEMO), SETTINGS, output=tmp_path)
    with pytest.raises(SourceError, match="went away"):
        run.finish()
    assert not (tmp_path / "highlights.json").exists()
    assert run.finish().complete is False and len(run.finish().segments) == 1
    assert document_of(tmp_path)["duration"] == 30.0


def test_openings_of_highlights_stand_beside_the_segment_that_shows_them(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = [0.3] * 7 + [0.9, 0.2, 0.2]
    given = Pipeline(segment(index, score, interest=None) for index, score in enumerate(scores))
    monkeypatch.setattr(run_module, "score_source", given)
    run = Run(model, str(DEMO), SETTINGS)
    seen = {scored.segment: run.changes for scored in run}
    assert [number for number, changes in seen.items() if changes] == [7, 8]
    (opened,) = seen[7]
    assert isinstance(opened, HighlightOpened) and opened.start == 240.0


def test_the_highlights_of_a_live_stream_are_on_disk_as_they_close(
    model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scores = [0.3] * 7 + [0.9, 0.2, 0.2]
    given = Pipeline(segment(index, score, interest=None) for index, score in enumerate(scores))
    monkeypatch.setattr(run_module, "score_source", given)
    run = Run(model, str(DEMO), SETTINGS, output=tmp_path)
    run.is_live = True  # as its source would be
    for scored in run:
        assert (tmp_path / "highlights.json").exists() == (scored.segment >= 8)
        if scored.segment == 8:
            document = document_of(tmp_path)
            assert (document["complete"], document["why"]) == (False, "the run has not ended")
            assert [one["start"] for one in document["highlights"]] == [one.start for one in run.highlights] != []
    assert document_of(tmp_path)["complete"] is True and "why" not in document_of(tmp_path)


def test_the_faults_of_a_bad_stream_are_not_written_again_at_each_highlight(
    model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scores = [0.3] * 7 + [0.9, 0.2, 0.2]
    fault = (Event("corrupt", 1.0, "a packet"),)
    bad = [replace(segment(index, score, interest=None), events=fault) for index, score in enumerate(scores)]
    monkeypatch.setattr(run_module, "score_source", Pipeline(bad))
    run = Run(model, str(DEMO), SETTINGS, output=tmp_path)
    run.is_live = True
    written = [document_of(tmp_path)["events"] for scored in run if scored.segment >= 8]
    assert written == [[], []]
    assert [one["kind"] for one in document_of(tmp_path)["events"]] == ["corrupt"] * 10
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "events.jsonl").read_text("utf-8").splitlines()]
    assert kinds.count("corrupt") == 10


def test_comments_may_be_handed_over_as_objects(model: Model, pipeline: Pipeline, tmp_path: Path) -> None:
    messages: list[str] = []
    comments = [Comment(35.0, "late"), Comment(5.0, "early"), Comment(float("nan"), "never"), Comment(6.0, " ")]
    run = Run(
        model,
        str(DEMO),
        replace(SETTINGS, comments_offset=1.0),
        output=tmp_path,
        comments=iter(comments),
        report=messages.append,
    )
    run.finish()
    feed = pipeline.options["comments"]
    assert [comment.text for comment in feed.take(0.0, 30.0)] == ["early"]
    assert [comment.time for comment in feed.take(0.0, 60.0)] == [6.0, 36.0]
    assert messages == ["2 comments from the caller, Comment objects (2 entries left out)"]
    assert document_of(tmp_path)["settings"]["comments"] == "in memory"


def test_auto_reads_the_comments_beside_a_recording_and_none_reads_none(
    model: Model, pipeline: Pipeline, tmp_path: Path
) -> None:
    (tmp_path / "demo.flv").symlink_to(DEMO)
    Run(model, str(tmp_path / "demo.flv"), SETTINGS, comments="auto").finish()
    assert pipeline.options["comments"] is None
    (tmp_path / "demo.xml").symlink_to(EXAMPLES / "demo.comments.xml")
    Run(model, str(tmp_path / "demo.flv"), SETTINGS, comments="auto").finish()
    assert len(pipeline.options["comments"].take(0.0, 270.0)) > 100
    Run(model, str(tmp_path / "demo.flv"), SETTINGS, comments=None).finish()
    assert pipeline.options["comments"] is None


@pytest.mark.parametrize(
    ("source", "settings", "output", "words"),
    [
        ("x.flv", ScoreSettings(clips=True), None, "name the output folder"),
        ("x.flv", ScoreSettings(formats="csv"), None, "name the output folder"),
        ("x.flv", ScoreSettings(formats="docx"), Path("out"), "docx"),
        ("x.flv", ScoreSettings(start=9.0, end=8.0), None, "not after the start"),
        ("rtmp://host/x", ScoreSettings(clips=True, exact=True), Path("out"), "exact: needs a file, and rtmp://host/x"),
        ("-", ScoreSettings(frames="exact"), None, "frames 'exact': needs a file, and - is a stream"),
        ("-", ScoreSettings(start=9.0), None, "start '9': needs a file, and - is a stream"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_opened(
    model: Model, source: str, settings: ScoreSettings, output: Path | None, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        Run(model, source, settings, output=output)


def test_a_source_that_cannot_be_read_is_an_error_before_the_first_segment(model: Model, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.flv"):
        Run(model, "nowhere.flv", SETTINGS, output=tmp_path / "out")
    with pytest.raises(SourceError, match=r"nowhere\.xml"):
        Run(model, str(DEMO), SETTINGS, output=tmp_path / "out", comments=Path("nowhere.xml"))
    assert not (tmp_path / "out").exists()
