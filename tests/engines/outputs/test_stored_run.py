"""A run folder in an object store: whole where its run.json is, however a process ended."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.media import make
from support.paths import EXAMPLES
from support.s3_server import S3Server
from support.small_model import small_model

from kuaihl.engines.highlights.clips import Clip, cut_clips
from kuaihl.engines.outputs.run_folder import has_scores
from kuaihl.engines.outputs.run_record import identify_source, identity_change, read_record
from kuaihl.engines.outputs.stored_run import is_stored_whole, put_run, with_stored_run
from kuaihl.engines.scoring.model import Model
from kuaihl.engines.scoring.run import Run
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.stores import file as file_module
from kuaihl.engines.types import Highlight
from kuaihl.models.errors import SourceUnavailable, UsageError

DEMO = EXAMPLES / "demo.flv"
COMMENTS = b'{"time": 1.0, "text": "hello"}\n{"time": 5.0, "text": "what a goal"}\n'


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return small_model(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def recording(made: Path) -> Path:
    return make(made / "stored_run.flv", seconds=12.0)


def score(model: Model, source: str, output: Path) -> dict[str, Any]:
    wanted = ScoreSettings(segment_seconds=2.0)
    Run(model, source, wanted, output=output, comments="auto").finish()
    document: dict[str, Any] = json.loads((output / "highlights.json").read_text())
    return document


def test_a_recording_and_its_comments_in_a_store_give_the_scores_and_clips_of_a_file(
    tmp_path: Path, recording: Path, model: Model, s3: S3Server
) -> None:
    beside = tmp_path / "room.flv"
    beside.write_bytes(recording.read_bytes())
    beside.with_suffix(".jsonl").write_bytes(COMMENTS)
    url = s3.put("score/room.flv", recording.read_bytes())
    s3.put("score/room.jsonl", COMMENTS)

    score(model, str(beside), tmp_path / "here")
    there = score(model, url, tmp_path / "there")

    lines = [(tmp_path / run / "scores.jsonl").read_text().splitlines() for run in ("here", "there")]
    here_scores, there_scores = ([(one["score"], one["comments"]) for one in map(json.loads, run)] for run in lines)
    assert there_scores == here_scores and sum(comments for _, comments in there_scores) == 2
    assert there["source"] == url and there["settings"]["comments"] == s3.url("score/room.jsonl")
    record = read_record(tmp_path / "there")
    assert record is not None and record.media is not None and record.media.path == url
    assert identity_change(record.source, identify_source(url)) is None
    assert record.source.ends_sha256 == identify_source(str(beside)).ends_sha256


def test_a_run_whose_store_fails_goes_on_with_what_was_scored(
    tmp_path: Path, model: Model, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_module, "_BLOCK", 64 << 10)
    url, settings = s3.put("failing/room.flv", DEMO.read_bytes()), ScoreSettings()
    segments = iter(Run(model, url, settings, output=tmp_path / "run"))
    first = next(segments)
    s3.refuse = lambda _method, _path: 503
    with pytest.raises(SourceUnavailable):
        list(segments)
    s3.refuse = lambda _method, _path: None

    again = Run(model, url, settings, output=tmp_path / "run", earlier="update")

    assert again.segments[0] == first
    whole = Run(model, str(DEMO), settings).finish().segments
    assert [one.score for one in again.finish().segments] == [one.score for one in whole]


def test_a_clip_is_cut_from_what_lies_near_it_in_an_object(
    tmp_path: Path, model: Model, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_module, "_BLOCK", 64 << 10)
    url = s3.put("clips/room.flv", DEMO.read_bytes())
    scored = Run(model, str(DEMO), ScoreSettings(), output=tmp_path / "run").finish().segments
    highlight = Highlight(scored[-3].start, scored[-3].end - 10.0, 0.9, (scored[-3].segment,))
    clips = []
    for name, source in (("file", str(DEMO)), ("object", url)):
        (tmp_path / name).mkdir()
        s3.sent.clear()
        clips += cut_clips(source, [highlight], tmp_path / name, name, scored=scored, seek=True)

    file, stored = (clip.path.read_bytes() for clip in clips if isinstance(clip, Clip))
    assert file == stored
    assert s3.sent["clips/room.flv"] < 0.5 * DEMO.stat().st_size


def test_a_run_is_put_whole_and_replaced_whole(tmp_path: Path, recording: Path, model: Model, s3: S3Server) -> None:
    url = s3.url("runs/room.kuaihl")
    score(model, str(recording), tmp_path / "run")
    (tmp_path / "run" / "clips").mkdir()
    (tmp_path / "run" / "clips" / "01.mp4").write_bytes(b"clip")
    written = {path.relative_to(tmp_path / "run").as_posix() for path in (tmp_path / "run").rglob("*.*")}

    put_run(tmp_path / "run", url)

    assert set(s3.keys("runs")) == {f"runs/room.kuaihl/{name}" for name in written}
    assert not (tmp_path / "run").exists()
    assert is_stored_whole(url)
    assert with_stored_run(url, tmp_path, has_scores)

    score(model, str(recording), tmp_path / "run")
    put_run(tmp_path / "run", url)
    assert not any("clips" in key for key in s3.keys("runs"))
    assert is_stored_whole(url)


@pytest.mark.parametrize("ends_at", ["scores.jsonl", "run.json"])
def test_a_process_that_ends_while_it_puts_a_run_leaves_none_that_looks_whole(
    tmp_path: Path, recording: Path, model: Model, s3: S3Server, ends_at: str
) -> None:
    url = s3.url(f"torn-{ends_at}/room.kuaihl")
    score(model, str(recording), tmp_path / "run")
    put_run(tmp_path / "run", url)
    score(model, str(recording), tmp_path / "run")
    s3.refuse = lambda method, path: 500 if method == "PUT" and path.endswith(ends_at) else None

    with pytest.raises(SourceUnavailable):
        put_run(tmp_path / "run", url)

    s3.refuse = lambda _method, _path: None
    assert not is_stored_whole(url)
    assert has_scores(tmp_path / "run"), "nothing is lost"
    put_run(tmp_path / "run", url)
    assert is_stored_whole(url)


def test_of_two_machines_that_put_one_room_the_second_says_so(
    tmp_path: Path, recording: Path, model: Model, s3: S3Server
) -> None:
    url, run = s3.url("two/room.kuaihl"), tmp_path / "run"
    score(model, str(recording), run)

    def other_is_first(method: str, path: str) -> int | None:
        if method == "PUT" and path.endswith("/highlights.json"):
            s3.refuse = lambda _method, _path: None
            s3.put("two/room.kuaihl/run.json", b"of the other one")
        return None

    s3.refuse = other_is_first

    with pytest.raises(UsageError, match="another process has put it meanwhile"):
        put_run(run, url)


def test_a_place_that_refuses_is_not_a_source_that_cannot_be_read(
    tmp_path: Path, recording: Path, model: Model, s3: S3Server
) -> None:
    score(model, str(recording), tmp_path / "run")
    s3.refuse = lambda method, _path: 403 if method == "PUT" else None

    with pytest.raises(UsageError, match="the store refuses access"):
        put_run(tmp_path / "run", s3.url("refused/room.kuaihl"))
