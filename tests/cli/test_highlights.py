"""`kuaihl highlights`: highlights made again from a run folder alone, as a user types it; no model is there."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.clip_media import make_recording
from support.command import assert_one_line
from support.command import kuaihl as run_kuaihl
from support.curves import scored_stream, with_loudness
from support.paths import DOCS, EXAMPLES

from kuaihl.engines.outputs.lock import FolderLock
from kuaihl.engines.outputs.run_folder import STOPPED, was_interrupted
from kuaihl.engines.outputs.run_record import (
    RunRecord,
    SourceIdentity,
    identify_source,
    lacking_product,
    read_record,
    write_record,
)
from kuaihl.engines.outputs.scores_jsonl import ScoresWriter
from kuaihl.engines.types import ScoredSegment
from kuaihl_cli.main import main

SCORES = [0.4] * 6 + [0.9] + [0.4] * 8 + [0.7, 0.7] + [0.4] * 8 + [0.6] + [0.4] * 6


def kuaihl(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_kuaihl("highlights", *map(str, arguments), **environment)


def make_run(
    folder: Path, scored: Sequence[ScoredSegment], source: SourceIdentity | None = None, *, why: str | None = None
) -> Path:
    """A run folder as a run leaves it that was killed before its end; with `why`, as one whose source ended so."""
    folder.mkdir(parents=True)
    with ScoresWriter(folder / "scores.jsonl") as scores:
        for one in scored:
            scores.write(one)
    options = {"segment_seconds": 30.0, "frames": "keyframe", "language": None}
    ran = {"engine": "torch", "precision": "fp32", "asr": "none"}
    record = RunRecord(
        source or SourceIdentity("room.flv"), None, "edge", "ab" * 32, options=options, products={}, execution=ran
    )
    write_record(folder, record)
    if why is not None:
        (folder / "highlights.json").write_text(json.dumps({"complete": not why, **({"why": why} if why else {})}))
    return folder


def type_in(*arguments: str | Path) -> int:
    """The exit code of the command in this process, which spares the start of another one."""
    with pytest.raises(SystemExit) as end:
        main(["highlights", *map(str, arguments)])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Three peaks at 0.9, 0.7 (twice as long) and 0.6, in a source that was read to its end."""
    return make_run(tmp_path / "room.kuaihl", scored_stream(SCORES, interests=SCORES), why="")


def document_of(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / "highlights.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads((DOCS / "highlights.schema.json").read_text(encoding="utf-8")))
    assert isinstance(document, dict)
    return document


def spans_of(folder: Path) -> list[tuple[float, float]]:
    return [(one["start"], one["end"]) for one in document_of(folder)["highlights"]]


def test_it_writes_the_document_that_the_scores_alone_give(run: Path) -> None:
    result = kuaihl(run)
    assert result.returncode == 0, result.stderr
    document = document_of(run)
    assert (document["complete"], document["duration"], document["chosen_from"]) == (True, 960.0, ["score", "interest"])
    assert document["model"] == {"name": "edge", "sha256": "ab" * 32} and document["source"] == "room.flv"
    assert document["settings"]["asr"] == "none" and document["settings"]["length"] == "10s:120s"
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == ["1", "2", "3"]
    assert result.stderr == f"wrote {run}/\n"


def test_it_imports_no_model_and_nothing_of_one(run: Path) -> None:
    check = (
        "import sys; sys.argv = ['kuaihl', 'highlights', sys.argv[1], '--format', 'csv,srt,vtt']\n"
        "from kuaihl_cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print(sorted({'torch', 'transformers', 'onnxruntime', 'av', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check, str(run)], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize(
    ("options", "spans"),
    [
        (["--top", "1"], [(180, 210)]),
        (["--min-score", "0.65"], [(180, 210), (450, 510)]),
        (["--per-hour", "7.5"], [(180, 210), (450, 510)]),  # 16 minutes: 2 of them
        (["--per-hour", "0.1"], [(180, 210)]),
        (["--per-hour", "7.5", "--top", "1"], [(180, 210)]),
        (["--length", "10:45"], [(180, 210), (450, 480), (750, 780)]),
        (["--length", "0:40-2m", "--top", "1"], [(150, 210)]),
        (["--padding", "2s,4.5s"], [(178, 214.5), (448, 514.5), (748, 784.5)]),
        (["--padding", "4:00", "--top", "3"], [(0, 450), (210, 750), (510, 960)]),
        (["--padding", "4:00", "--no-overlap"], [(0, 330), (330, 630), (630, 960)]),
        (["--padding", "0,4:00", "--no-overlap"], [(180, 450), (450, 750), (750, 960)]),
    ],
)
def test_the_options_choose_and_run_json_records_them(
    run: Path, options: list[str], spans: list[tuple[float, float]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_in(run, *options, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert spans_of(run) == spans
    record, settings = read_record(run), document_of(run)["settings"]
    assert record is not None
    names = ("top", "min_score", "length", "padding", "per_hour", "overlap", "boundaries")
    choice = {name: settings[name] for name in names}
    assert choice.items() <= record.products.items()
    other = replace(record, products=record.products | {"length": "20s:30s"})
    assert (lacking_product(record, other) or "").startswith("length was")
    schema = json.loads((DOCS / "run.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads((run / "run.json").read_text(encoding="utf-8")), schema)


@pytest.mark.parametrize(
    ("options", "span"),
    [
        (["--boundaries", "loudness"], (168, 210)),
        (["--boundaries", "loudness", "--padding", "1"], (167, 211)),
        (["--boundaries", "segments"], (180, 210)),
        ([], (180, 210)),
    ],
)
def test_boundaries_go_where_it_gets_loud_without_the_recording(
    tmp_path: Path, options: list[str], span: tuple[float, float]
) -> None:
    stream = with_loudness(scored_stream(SCORES, interests=SCORES), lambda at: -15.0 if 170 <= at < 200 else -30.0)
    run = make_run(tmp_path / "run", stream, why="")
    assert type_in(run, *options, "--top", "1") == 0
    assert spans_of(run) == [span]
    assert document_of(run)["settings"]["boundaries"] == (options or ["", "sentences"])[1]


def test_padding_ends_at_missing_media(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", scored_stream(SCORES, interests=SCORES, gaps=[6, 7]), why="")
    assert type_in(run, "--padding", "20", "--top", "1") == 0
    assert spans_of(run) == [(180, 210)]


@pytest.mark.parametrize("options", [["--length", "20:5"], ["--length", "20"], ["--padding", "1,2,3"], ["--padding=-2"],
                                     ["--per-hour", "0"], ["--format", "docx"], ["--exact"],
                                     ["--fit", "blur", "--clips"], ["--aspect", "9:0", "--clips"],
                                     ["--captions", "ass"], ["--clip-name", "{rank}"],
                                     ["--clip-name", "{title}", "--clips"], ["--fit", "stretch"],
                                     ["--boundaries", "words"]])  # fmt: skip
def test_what_cannot_be_chosen_is_one_line_and_changes_nothing(
    run: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "highlights.json").read_bytes()
    assert type_in(run, *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert options[0].split("=")[0] in line
    assert (run / "highlights.json").read_bytes() == before


def test_options_come_from_a_configuration_file_too(run: Path, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[highlights]\nlength = "10s:45s"\npadding = 1\nper_hour = 7.5\n')
    assert type_in(run, "--config", tmp_path / "config.toml") == 0
    assert spans_of(run) == [(179, 211), (449, 481)]


@pytest.mark.parametrize("torn", [b"", b'{"segment": 32, "start": 960.0, "en'])
def test_a_run_that_was_killed_gets_its_highlights_and_can_still_go_on(tmp_path: Path, torn: bytes) -> None:
    run = make_run(tmp_path / "run", scored_stream(SCORES, interests=SCORES))
    with (run / "scores.jsonl").open("ab") as scores:
        scores.write(torn)
    held = (run / "scores.jsonl").read_bytes()
    assert type_in(run) == 0
    document = document_of(run)
    assert (document["complete"], document["why"], len(document["highlights"])) == (False, STOPPED, 3)
    assert was_interrupted(run) and (run / "scores.jsonl").read_bytes() == held


def test_what_a_kill_left_half_written_is_removed(run: Path) -> None:
    torn = run / ".6db73721a216.part"
    torn.write_bytes(b"{")
    assert type_in(run) == 0
    assert not torn.exists()


def test_a_source_that_was_cut_off_keeps_its_reason_and_a_line_tells_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", scored_stream(SCORES), why="the file is cut off")
    assert type_in(run) == 0
    assert "not complete: the file is cut off" in capsys.readouterr().err
    assert document_of(run)["why"] == "the file is cut off"


def test_a_folder_in_use_is_read_and_left_alone(run: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    lock = FolderLock(run)
    try:
        result = kuaihl(run, "--json")
        assert result.returncode == 0 and json.loads(result.stdout)["complete"] is False
        assert len(json.loads(result.stdout)["highlights"]) == 3
        assert f"process {os.getpid()} is writing into it: these are the highlights so far" in result.stderr
        assert_one_line(kuaihl(run, "--format", "csv"), 2, f"process {os.getpid()} is writing into it")
    finally:
        lock.release()
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


@pytest.mark.parametrize("held", ["nothing", "a file", "no record", "other lines", "no folder"])
def test_what_is_no_run_folder_is_one_line(tmp_path: Path, held: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "x"
    if held == "a file":
        folder.write_text("no folder")
    elif held != "no folder":
        folder.mkdir()
    if held in ("no record", "other lines"):
        make_run(tmp_path / "other", scored_stream(SCORES))
        (tmp_path / "other" / "scores.jsonl").rename(folder / "scores.jsonl")
    if held == "other lines":
        (tmp_path / "other" / "run.json").rename(folder / "run.json")
        (folder / "scores.jsonl").write_text('{"segment": 1}\n')
    assert type_in(folder) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert str(folder) in line
    assert not (folder / "highlights.json").exists() and not (folder / ".lock").exists()


def test_of_several_runs_those_that_can_be_made_are(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = kuaihl(tmp_path / "empty", run, "--quiet")
    assert result.returncode == 5 and "1 of 2 runs failed" in result.stderr
    assert "empty: FAILED: " in result.stderr and spans_of(run)


def test_the_files_of_an_earlier_choice_follow_the_new_one(run: Path) -> None:
    assert type_in(run, "--format", "csv,srt") == 0
    assert type_in(run, "--top", "1") == 0
    assert len((run / "highlights.csv").read_text(encoding="utf-8").splitlines()) == 2
    record = read_record(run)
    assert record is not None and record.products["formats"] == "csv,srt"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recording(tmp_path_factory.mktemp("media") / "room.mp4", seconds=60.0, height=32)


def test_clips_are_cut_from_the_recording_wherever_it_is_now(recording: Path, tmp_path: Path) -> None:
    levels = [0.4] * 4 + [0.9] + [0.4] * 7
    gone = replace(identify_source(str(recording)), name=str(tmp_path / "gone.mp4"))
    run = make_run(tmp_path / "run", scored_stream(levels, seconds=5.0, interests=levels), gone, why="")
    before = (run / "highlights.json").read_bytes()
    assert_one_line(kuaihl(run, "--clips"), 3, "gone.mp4", "--source")
    assert (run / "highlights.json").read_bytes() == before
    beside = tmp_path / "gone.mp4"
    beside.write_bytes(recording.read_bytes())
    write_record(run, replace(read_record(run), source=replace(gone, name="elsewhere/gone.mp4")))  # type: ignore[type-var]
    assert type_in(run, "--clips") == 0, "it lies beside the run folder"
    beside.unlink()
    shutil.rmtree(run / "clips")
    result = kuaihl(run, "--clips", "--source", recording, "--plot")
    assert result.returncode == 0 and "not the source" not in result.stderr, result.stderr
    (entry,) = document_of(run)["highlights"]
    assert (run / entry["clip"]["file"]).stat().st_size > 1000
    assert (run / "scores.png").read_bytes().startswith(b"\x89PNG")
    assert type_in(run, "--format", "csv") == 0  # the same span: its clip is still right
    assert document_of(run)["highlights"] == [entry]
    assert type_in(run, "--padding", "3") == 0
    assert "clip" not in document_of(run)["highlights"][0]


def test_captions_of_a_run_without_speech_are_said_to_be_none(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    levels = [0.4] * 4 + [0.9] + [0.4] * 7
    scored = [replace(one, text="") for one in scored_stream(levels, seconds=5.0, interests=levels)]
    run = make_run(tmp_path / "run", scored, identify_source(str(recording)), why="")
    assert type_in(run, "--clips", "--captions", "ass") == 0
    assert "clips have no captions: no speech was transcribed" in capsys.readouterr().err


def test_another_file_is_cut_at_the_same_times_and_a_line_says_so(recording: Path, tmp_path: Path) -> None:
    levels = [0.4] * 4 + [0.9] + [0.4] * 7
    run = make_run(
        tmp_path / "run",
        scored_stream(levels, seconds=5.0, interests=levels),
        replace(identify_source(str(recording)), size=12),
        why="",
    )
    result = kuaihl(run, "--clips")
    assert result.returncode == 0 and "not the source that was scored" in result.stderr
    stream = make_run(tmp_path / "live", scored_stream(levels), SourceIdentity("rtmp://host/live/room"))
    assert_one_line(kuaihl(stream, "--clips"), 2, "clips need a file", "--source")


def test_clips_are_made_as_wanted_and_the_files_say_how(recording: Path, tmp_path: Path) -> None:
    levels = [0.4] * 4 + [0.9] + [0.4] * 7
    said = "{what} a goal"
    scored = [replace(one, text=said) for one in scored_stream(levels, seconds=5.0, interests=levels)]
    run = make_run(tmp_path / "run", scored, identify_source(str(recording)), why="")
    assert (
        type_in(run, "--clips", "--padding", "0.7", "--exact", "--captions", "ass", "--clip-name", "{rank}_{words}")
        == 0
    )
    document = document_of(run)
    (entry,) = document["highlights"]
    assert entry["clip"]["start"] == entry["start"] and entry["clip"]["cut"] == "smart"
    words = entry["text"].replace("{", "").replace("} ", "_").replace(" ", "_")[:10]
    assert (
        entry["clip"]["file"].startswith(f"clips/1_{words}")
        and "｛what｝" in (run / entry["clip"]["captions"]).read_text()
    )
    style = {"exact": True, "clip_name": "{rank}_{words}", "aspect": None, "fit": None, "captions": "ass"}
    assert style.items() <= document["settings"].items()
    record = read_record(run)
    assert record is not None and style.items() <= record.products.items()
    assert lacking_product(record, record) is None
    upright = replace(record, products={**record.products, "aspect": "9:16", "fit": "blur"})
    assert lacking_product(record, upright) == "aspect was null"
    assert lacking_product(record, replace(record, products={**record.products, "clips": False})) is None
    assert type_in(run, "--padding", "0.7", "--format", "csv") == 0  # the same span: its clip is still right
    assert document_of(run)["highlights"] == [entry]


@pytest.mark.slow
def test_of_a_scored_demo_they_are_those_of_score_itself(tmp_path: Path) -> None:
    options = ["--top", "2", "--padding", "1s,2s", "--length", "10s:60s", "--per-hour", "100", "--clips"]
    command = ["score", str(EXAMPLES / "demo.flv"), "-o", str(tmp_path), "--threads", "1", "--quiet"]
    scored = run_kuaihl(*command, "--asr", "none", "--format", "csv", *options)
    assert scored.returncode == 0, scored.stderr
    made = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (tmp_path / "highlights.csv").unlink()
    assert kuaihl(tmp_path, *options, "--format", "csv").returncode == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == made


@pytest.mark.slow
def test_after_a_kill_they_are_those_of_the_segments_that_were_scored(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kuaihl_cli", "score", str(EXAMPLES / "demo.flv"), "-o", str(tmp_path / "run")]
    process = subprocess.Popen(
        [*command, "--asr", "none", "--segment-seconds", "5", "--threads", "1"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    lines = 0
    for _ in process.stderr:
        scores = tmp_path / "run" / "scores.jsonl"
        lines = scores.read_bytes().count(b"\n") if scores.exists() else 0
        if lines >= 8:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert kuaihl(tmp_path / "run").returncode == 0
    document = document_of(tmp_path / "run")
    assert document["why"] == STOPPED and document["settings"]["engine"] and document["duration"] >= 5.0 * lines
