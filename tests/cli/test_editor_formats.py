"""`--format` for editors, as a user types it: from a run folder alone, of a stream, and where it must be refused."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from support.command import assert_one_line
from support.command import kuaihl as run_kuaihl
from support.curves import scored_stream
from support.editors import edl_spans, otio_spans, resolve_markers
from support.paths import EXAMPLES
from support.rated_media import NTSC, make_rated

from kuaihl.engines.ingest.media_facts import probe_file
from kuaihl.engines.outputs import formats
from kuaihl.engines.outputs.formats import FORMATS
from kuaihl.engines.outputs.run_record import RunRecord, SourceIdentity, identify_source, read_record, write_record
from kuaihl.engines.outputs.scores_jsonl import ScoresWriter
from kuaihl.engines.types import Event, ScoredSegment
from kuaihl_cli.main import main

LEVELS = [0.4] * 4 + [0.9] + [0.4] * 7  # a highlight from 15 to 25 s, of segments of 5 s
SPAN = (450, 749)  # its frames at 29.97
ALL = ",".join(FORMATS)


def make_run(folder: Path, record: RunRecord, scored: Sequence[ScoredSegment] | None = None) -> Path:
    folder.mkdir()
    with ScoresWriter(folder / "scores.jsonl") as scores:
        for one in scored or scored_stream(LEVELS, seconds=5.0, interests=LEVELS):
            scores.write(one)
    write_record(folder, record)
    (folder / "highlights.json").write_text('{"complete": true}')
    return folder


def record_of(source: SourceIdentity) -> RunRecord:
    return RunRecord(source, None, "edge", "ab" * 32, options={"segment_seconds": 5.0})


def type_in(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main(["highlights", *map(str, arguments)])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_rated(tmp_path_factory.mktemp("media") / "show.mp4", NTSC, seconds=60.0)


@pytest.fixture
def run(recording: Path, tmp_path: Path) -> Path:
    """As a run leaves it."""
    record = record_of(identify_source(str(recording)))
    return make_run(tmp_path / "show.kuaihl", replace(record, media=probe_file(str(recording))))


def text_of(folder: Path, name: str) -> str:
    return (folder / FORMATS[name].file).read_text(encoding="utf-8")


def test_every_format_is_made_of_a_recording_that_is_gone(recording: Path, tmp_path: Path) -> None:
    media = probe_file(str(recording))
    gone = replace(identify_source(str(recording)), name="/gone/show.mp4")
    run = make_run(tmp_path / "run", replace(record_of(gone), media=replace(media, path="/gone/show.mp4")))
    assert type_in(run, "--format", ALL, "--quiet") == 0
    assert {one.file for one in FORMATS.values()} <= {path.name for path in run.iterdir()}
    assert otio_spans(text_of(run, "otio")) == edl_spans(text_of(run, "edl"), NTSC) == [SPAN]
    assert "file:///gone/show.mp4" in text_of(run, "fcpxml")
    assert json.loads(text_of(run, "llc"))["mediaFileName"] == "show.mp4"


def test_the_recording_is_not_opened_and_no_editor_s_package_imported_without_need(run: Path) -> None:
    check = (
        "import sys; sys.argv = ['kuaihl', 'highlights', sys.argv[1], '--format', sys.argv[2]]\n"
        "from kuaihl_cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print(sorted({'torch', 'av', 'opentimelineio'} & set(sys.modules)))"
    )
    names = ",".join(name for name in FORMATS if name != "otio")
    done = subprocess.run([sys.executable, "-c", check, str(run), names], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_a_run_of_an_earlier_version_looks_at_its_recording_once(recording: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", record_of(identify_source(str(recording))))
    assert type_in(run, "--format", "edl", "--quiet") == 0
    record = read_record(run)
    assert record is not None and record.media == probe_file(str(recording))
    other = make_run(tmp_path / "other", record_of(replace(identify_source(str(recording)), name="/gone/a.mp4")))
    assert_one_line(run_kuaihl("highlights", str(other), "--format", "edl"), 3, "/gone/a.mp4", "--source")
    assert type_in(other, "--format", "edl", "--source", recording, "--quiet") == 0
    assert text_of(other, "edl") == text_of(run, "edl").replace("TITLE: show", "TITLE: a")


def test_a_stream_has_no_frames_until_a_recording_is_named(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scored = scored_stream(LEVELS, seconds=5.0, interests=LEVELS)
    scored[6] = replace(scored[6], events=(Event("rebase", 30.0, "the time stamps jumped back", stamp=0.0),))
    live = make_run(tmp_path / "live", record_of(SourceIdentity("rtmp://host/live/room")), scored)
    before = sorted(path.name for path in live.iterdir())
    assert type_in(live, "--format", "csv,edl,otio") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "edl, otio need a file, and rtmp://host/live/room is a stream" in line and "--source" in line
    assert sorted(path.name for path in live.iterdir()) == before
    assert type_in(live, "--format", "youtube,twitch,ffmetadata,llc-csv", "--quiet") == 0
    assert text_of(live, "youtube").splitlines()[1] == "0:15 words of 3 words of 4"
    capsys.readouterr()
    assert type_in(live, "--format", "resolve", "--source", recording) == 0
    assert "not the source that was scored" in capsys.readouterr().err
    assert [one[:2] for one in resolve_markers(text_of(live, "resolve"), NTSC)] == [(450, 299)]


@pytest.mark.parametrize("command", ["score", "highlights", "batch"])
def test_a_package_that_is_missing_is_said_before_anything_is_done(
    command: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda _: None)
    source = {"score": EXAMPLES / "demo.flv", "highlights": run, "batch": EXAMPLES}[command]
    output = [] if command == "highlights" else ["-o", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as end:
        main([command, str(source), *output, "--format", "csv,otio"])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--format otio: needs opentimelineio: pip install 'kuaihl[editors]'" in line
    assert not (tmp_path / "out" / "scores.jsonl").exists() and not (run / "highlights.csv").exists()


def test_what_needs_a_file_is_refused_of_a_stream_before_it_is_scored(tmp_path: Path) -> None:
    result = run_kuaihl("score", "rtmp://127.0.0.1:9/live/room", "-o", str(tmp_path / "out"), "--format", "csv,edl")
    assert_one_line(result, 2, "--format edl: needs a file", "rtmp://127.0.0.1:9/live/room is a stream")


def test_an_unknown_format_is_refused_with_all_that_there_are(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_in(run, "--format", "premiere") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(name in line for name in FORMATS)


def test_highlights_without_a_place_in_the_recording_are_told(
    run: Path, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scored = scored_stream(LEVELS, seconds=5.0, interests=LEVELS)
    scored[6] = replace(scored[6], events=(Event("rebase", 30.0, "the time stamps jumped back", stamp=0.0),))
    record = read_record(run)
    assert record is not None
    jumped = make_run(tmp_path / "jumped", record, scored)
    assert type_in(jumped, "--format", "edl,csv,llc") == 0
    assert "1 of 1 highlights are not in edl, llc: the recording's time stamps jump" in capsys.readouterr().err
    assert "AX" not in text_of(jumped, "edl") and len(text_of(jumped, "csv").splitlines()) == 2
    # Of a mended copy the run's times are right.
    mended = tmp_path / "mended.mp4"
    mended.write_bytes(recording.read_bytes() + b"\0" * 8)
    assert type_in(jumped, "--format", "edl", "--source", mended) == 0
    assert edl_spans(text_of(jumped, "edl"), NTSC) == [SPAN]


def test_the_files_of_an_earlier_choice_follow_the_new_one(run: Path) -> None:
    assert type_in(run, "--format", "edl,youtube,xmeml", "--quiet") == 0
    assert type_in(run, "--padding", "1", "--quiet") == 0
    assert edl_spans(text_of(run, "edl"), NTSC) == [(420, 779)]
    record = read_record(run)
    assert record is not None and record.products["formats"] == "edl,xmeml,youtube"
