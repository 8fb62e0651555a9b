"""`kuaihl score` and `kuaihl batch` as a user runs them: on the demo broadcast, with the edge bundle."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.paths import REPOSITORY

DEMO = REPOSITORY / "examples" / "demo.flv"
COMMENTS = REPOSITORY / "examples" / "demo.comments.xml"


def kuaihl(*arguments: str | Path, timeout: float = 280) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kuaihl_cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


def schema(name: str) -> dict[str, Any]:
    found = json.loads((REPOSITORY / "docs" / name).read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


@dataclass(frozen=True)
class Run:
    """What one run of the command left behind."""

    output: Path
    result: subprocess.CompletedProcess[str]

    @property
    def scores(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.output / "scores.jsonl").read_text(encoding="utf-8").splitlines()]

    @property
    def highlights(self) -> dict[str, Any]:
        document = json.loads((self.output / "highlights.json").read_text(encoding="utf-8"))
        assert isinstance(document, dict)
        return document


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    output = tmp_path_factory.mktemp("demo")
    options = ["--comments", COMMENTS, "--json", "--plot", "--clips", "--format", "csv,srt,vtt"]
    yield Run(output, kuaihl("score", DEMO, "-o", output, "--language", "en", *options))


@pytest.mark.slow
def test_the_demo_is_scored_from_its_first_segment_to_its_last(demo: Run) -> None:
    assert demo.result.returncode == 0, demo.result.stderr
    assert [line["segment"] for line in demo.scores] == list(range(9))
    for line in demo.scores:
        jsonschema.validate(line, schema("scores.schema.json"))
        assert line["predicts_start"] == line["end"]
    assert "golem" in " ".join(line["text"] for line in demo.scores).lower()
    assert sum(line["comments"] for line in demo.scores) > 100


@pytest.mark.slow
def test_standard_output_holds_the_document_and_nothing_else(demo: Run) -> None:
    assert json.loads(demo.result.stdout) == demo.highlights
    jsonschema.validate(demo.highlights, schema("highlights.schema.json"))
    assert demo.highlights["complete"] is True
    with_interest = all("interest" in line for line in demo.scores)
    assert demo.highlights["chosen_from"] == (["score", "interest"] if with_interest else ["score"])


@pytest.mark.slow
def test_the_demos_fights_score_higher_than_its_idle_stretches(demo: Run) -> None:
    truth = json.loads((REPOSITORY / "examples" / "demo.events.json").read_text(encoding="utf-8"))
    spans = [(one["start"], one["end"]) for one in truth["highlights"]]
    # The score made after a segment speaks of the next; bursts last, so judge it by the segment that it has just seen.
    exciting, dull = [], []
    for line in demo.scores[1:]:
        middle = (line["start"] + line["end"]) / 2
        (exciting if any(start <= middle <= end for start, end in spans) else dull).append(line["score"])
    assert min(exciting) > sum(dull) / len(dull)
    assert sum(exciting) / len(exciting) > sum(dull) / len(dull) + 0.03
    assert max(exciting) > max(dull)


@pytest.mark.slow
def test_both_of_the_demos_fights_are_highlights(demo: Run) -> None:
    truth = json.loads((REPOSITORY / "examples" / "demo.events.json").read_text(encoding="utf-8"))
    found = [(one["start"], one["end"]) for one in demo.highlights["highlights"]]
    for victory in (event for event in truth["events"] if event["kind"] == "victory"):
        assert any(start <= victory["time"] <= end for start, end in found), victory["words"]


@pytest.mark.slow
def test_every_output_that_was_asked_for_is_there(demo: Run) -> None:
    assert (demo.output / "scores.png").read_bytes().startswith(b"\x89PNG")
    assert (demo.output / "highlights.csv").read_text(encoding="utf-8").startswith("rank,start,end")
    assert (demo.output / "highlights.vtt").read_text(encoding="utf-8").startswith("WEBVTT")
    found = demo.highlights["highlights"]
    assert found, "the demo has two highlights that nobody should miss"
    for highlight in found:
        assert (demo.output / highlight["clip"]["file"]).stat().st_size > 10_000


@pytest.mark.slow
def test_a_batch_lists_the_bad_file_scores_the_rest_and_skips_them_the_second_time(
    tmp_path: Path, tiny_flv: Path
) -> None:
    archive, out = tmp_path / "archive", tmp_path / "out"
    archive.mkdir()
    for name in ("one.flv", "two.flv"):
        (archive / name).write_bytes(tiny_flv.read_bytes())
    (archive / "broken.flv").write_text("no media")
    first = kuaihl("batch", archive, "-o", out, "--asr", "none", "--min-age", "0")
    assert first.returncode == 5, first.stderr
    assert "2 done, 0 skipped, 1 failed" in first.stderr
    reasons = [json.loads(line) for line in (out / "batch.jsonl").read_text().splitlines()]
    assert [Path(one["source"]).name for one in reasons if one["status"] == "failed"] == ["broken.flv"]
    second = kuaihl("batch", archive, "-o", out, "--asr", "none", "--min-age", "0")
    assert second.returncode == 5
    assert "0 done, 2 skipped, 1 failed" in second.stderr


@pytest.mark.slow
def test_ctrl_c_ends_a_run_cleanly_with_its_highlights_written(tmp_path: Path) -> None:
    # Standard input stays open, as a live stream does, and says nothing more after the first two minutes.
    command = [sys.executable, "-m", "kuaihl_cli", "score", "-", "-o", str(tmp_path), "--asr", "none"]
    process = subprocess.Popen(
        [*command, "--segment-seconds", "5"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=False
    )
    assert process.stdin is not None
    try:
        process.stdin.write(DEMO.read_bytes()[: 3 << 20])
        process.stdin.flush()
        scores = tmp_path / "scores.jsonl"
        deadline = time.monotonic() + 120
        while not (scores.exists() and scores.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.2)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    document = json.loads((tmp_path / "highlights.json").read_text())
    assert document["complete"] is False
    assert document["duration"] > 0
    assert b"Traceback" not in errors


@pytest.mark.slow
def test_three_signals_end_a_piped_run_without_an_abort(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kuaihl_cli", "score", "-", "-o", str(tmp_path), "--asr", "none"]
    with subprocess.Popen(
        [*command, "--segment-seconds", "5"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(DEMO.read_bytes()[: 3 << 20])
        process.stdin.flush()
        scores = tmp_path / "scores.jsonl"
        deadline = time.monotonic() + 120
        while not (scores.exists() and scores.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.2)
        for _ in range(3):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
        code = process.wait(timeout=60)
        errors = process.stderr.read()
    assert code == 130, errors
    assert errors.splitlines()[-1] == b"kuaihl: error: interrupted"


@pytest.mark.slow
def test_a_named_pipe_is_opened_once_and_has_the_scores_of_the_file(tmp_path: Path) -> None:
    command = f"{sys.executable} -m kuaihl_cli score --asr none --no-comments --segment-seconds 30 -o"
    read = f"{command} {tmp_path / 'pipe'} <(cat {DEMO})"
    file = f"{command} {tmp_path / 'file'} {DEMO}"
    for line in (read, file):
        result = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=280)
        assert result.returncode == 0, result.stderr
    of_pipe, of_file = (
        [json.loads(line) | {"wall_time": 0} for line in (tmp_path / name / "scores.jsonl").read_text().splitlines()]
        for name in ("pipe", "file")
    )
    assert of_pipe == of_file


@pytest.mark.slow
def test_several_sources_each_have_a_folder_and_one_that_fails_stops_no_other(tmp_path: Path, tiny_flv: Path) -> None:
    (tmp_path / "again").mkdir()
    for name in ("one.flv", "again/one.flv"):
        (tmp_path / name).write_bytes(tiny_flv.read_bytes())
    (tmp_path / "one.xml").write_text('<i><d p="1.0,1,25,1,0,0,u,1">wow</d></i>', encoding="utf-8")
    sources = [tmp_path / name for name in ("one.flv", "missing.flv", "again/one.flv")]
    events = tmp_path / "events.jsonl"
    result = kuaihl("score", *sources, "-o", tmp_path / "out", "--asr", "none", "--threads", "1", "--events", events)
    assert result.returncode == 5, result.stderr
    assert f"{tmp_path / 'missing.flv'}: FAILED: " in result.stderr
    assert result.stderr.splitlines()[-1].startswith("kuaihl: error: 1 of 3 sources failed")
    assert "reading one.xml, which lies beside the recording" in result.stderr
    folders = list((tmp_path / "out").iterdir())
    assert sorted(Run(folder, result).scores[0]["comments"] for folder in folders) == [0, 1]
    rooms = {json.loads(line)["data"]["room"] for line in events.read_text(encoding="utf-8").splitlines()}
    assert rooms == {folder.name.removesuffix(".kuaihl") for folder in folders} and len(rooms) == 2


@pytest.mark.slow
def test_a_part_is_scored_with_the_recordings_times_and_comments_beside_it_are_left_unread(
    tmp_path: Path, tiny_flv: Path
) -> None:
    (tmp_path / "part.flv").write_bytes(tiny_flv.read_bytes())
    (tmp_path / "part.xml").write_text('<i><d p="2.0,1,25,1,0,0,u,1">wow</d></i>', encoding="utf-8")
    options = ["--asr", "none", "--segment-seconds", "0:02", "--start", "0:01", "--end", "4.5", "--json"]
    result = kuaihl("score", tmp_path / "part.flv", "-o", tmp_path / "out", *options, "--no-comments")
    assert result.returncode == 0, result.stderr
    lines = Run(tmp_path / "out", result).scores
    assert [(line["segment"], line["start"], line["end"]) for line in lines] == [(0, 1.0, 3.0), (1, 3.0, 4.5)]
    assert [line["comments"] for line in lines] == [0, 0]
    document = json.loads(result.stdout)
    jsonschema.validate(document, schema("highlights.schema.json"))
    assert (document["settings"]["start"], document["settings"]["end"], document["duration"]) == (1.0, 4.5, 4.5)


@pytest.mark.slow
def test_a_manifest_is_read_from_standard_input(tmp_path: Path, tiny_flv: Path) -> None:
    command = [sys.executable, "-m", "kuaihl_cli", "batch", "-", "-o", str(tmp_path / "out")]
    command += ["--asr", "none", "--min-age", "0"]
    manifest = f"# one recording\n{tiny_flv}\n"
    result = subprocess.run(command, input=manifest, capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stderr
    assert "1 done, 0 skipped, 0 failed" in result.stderr
    (folder,) = (tmp_path / "out").glob(f"{tiny_flv.name}-*")  # an absolute path is the last part and a hash
    assert (folder / "highlights.json").is_file()
