"""`kuaihl batch` on archives as they are: odd files, interruptions, and disks that are full."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.command import assert_one_line, kuaihl
from support.media import make
from support.processes import children_of, is_alive
from support.waiting import wait_until

from kuaihl.engines.outputs.lock import FolderLock

OPTIONS = ("--asr", "none", "--segment-seconds", "2", "--threads", "1")
LONG_AGO = 1_000_000_000.0


@pytest.fixture(scope="module")
def recording(made: Path) -> Path:
    return make(made / "short.flv", seconds=4.0)


def put(source: Path, *names: str) -> None:
    """Copies of a recording that nobody has written to for long."""
    for name in names:
        target = Path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
        os.utime(target, (LONG_AGO, LONG_AGO))


def batch(archive: str | Path, output: str | Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kuaihl_cli", "batch", str(archive), "-o", str(output), *OPTIONS, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


def lines(file: Path) -> Iterator[dict[str, Any]]:
    return map(json.loads, file.read_text(encoding="utf-8").splitlines())


@pytest.mark.slow
def test_an_archive_of_odd_files_is_scored_and_the_rest_is_listed(
    tmp_path: Path, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    long, broken = "x" * 251 + ".flv", os.fsdecode(b"\xff\xfe.flv")
    put(recording, "in/rec.flv", f"in/{long}", f"in/deep/{broken}", "in/._rec.flv")
    content = recording.read_bytes()
    Path("in/cut.flv").write_bytes(content[: len(content) // 2])
    os.utime("in/cut.flv", (LONG_AGO, LONG_AGO))
    Path("in/notes.flv").write_text("not a recording\n" * 50)
    os.utime("in/notes.flv", (LONG_AGO, LONG_AGO))
    shutil.copy(recording, "in/growing.flv")
    os.mkfifo("in/pipe.ts")
    Path("in/gone.mp4").symlink_to("nowhere.mp4")
    Path("in/cover.jpg").touch()

    result = batch("in", "out", "--json")

    assert result.returncode == 5, result.stderr
    status = {Path(one["source"]).name: one for one in lines(tmp_path / "out" / "batch.jsonl")}
    done = {name for name, one in status.items() if one["status"] == "done"}
    assert done == {"rec.flv", long, broken, "cut.flv"}
    assert all((tmp_path / one["output"] / "highlights.json").is_file() for name, one in status.items() if name in done)
    assert [name for name, one in status.items() if one["status"] == "failed"] == ["notes.flv"]
    assert any(warning.startswith("cut off at") for warning in status["cut.flv"]["warnings"])
    assert status["rec.flv"]["warnings"] == []
    left = {Path(one["source"]).name: one["reason"] for one in lines(tmp_path / "out" / "left_out.jsonl")}
    assert left.keys() == {"._rec.flv", "growing.flv", "pipe.ts", "gone.mp4", "cover.jpg"}
    assert "in/growing.flv: left out: changed " in result.stderr
    assert "WARNING: cut off at" in result.stderr
    assert "4 done (1 with warnings), 0 skipped, 1 failed" in result.stderr
    summary = json.loads(result.stdout)
    assert (summary["done"], summary["failed"], summary["not_done"]) == (4, 1, 0)
    assert [Path(one["source"]).name for one in summary["failures"]] == ["notes.flv"]
    assert summary["media_seconds"] == pytest.approx(14.0, abs=0.5)  # three of 4 s, and a half
    ledger = json.loads(kuaihl("batch", "status", "out", "--json").stdout)
    assert {state: number for state, number in ledger["counts"].items() if number} == {
        "done": 4,
        "failed": 1,
        "left out": 4,
    }
    assert "notes.flv: failed (1 try): " in kuaihl("batch", "status", "out").stdout


@pytest.mark.slow
def test_sigterm_ends_a_batch_and_its_workers_as_ctrl_c_does(tmp_path: Path, recording: Path) -> None:
    names = [str(tmp_path / "in" / f"{number}.flv") for number in range(40)]
    put(recording, *names)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "kuaihl_cli", "batch", str(tmp_path / "in"), "-o", str(out), *OPTIONS]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: (out / "batch.jsonl").is_file() and (out / "batch.jsonl").stat().st_size, seconds=120.0)
    workers = children_of(process.pid)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "kuaihl: error: interrupted"
    assert " not done" in errors.splitlines()[-2]
    assert workers
    wait_until(lambda: not any(map(is_alive, workers)), seconds=10.0)


@pytest.mark.slow
def test_a_full_disk_ends_a_batch_and_it_goes_on_with_space(tmp_path: Path, recording: Path) -> None:
    """/dev/full stands for the disk: whatever is written to the first recording's scores finds no space."""
    put(recording, *(str(tmp_path / "in" / f"{name}.flv") for name in "abc"))
    out = tmp_path / "out"
    (out / "b.flv").mkdir(parents=True)
    (out / "b.flv" / "scores.jsonl").symlink_to("/dev/full")
    result = batch(tmp_path / "in", out)
    assert result.returncode == 5
    assert "1 done, 0 skipped, 1 failed, 1 not done" in result.stderr
    assert "make space, then run the same command again" in result.stderr.splitlines()[-1]
    (out / "b.flv" / "scores.jsonl").unlink()
    result = batch(tmp_path / "in", out)
    assert result.returncode == 0, result.stderr
    assert "2 done, 1 skipped, 0 failed" in result.stderr


@pytest.mark.slow
def test_the_line_that_a_killed_batch_could_not_write_is_written_by_the_next_and_its_litter_is_removed(
    tmp_path: Path, recording: Path
) -> None:
    put(recording, *(str(tmp_path / "in" / f"{name}.flv") for name in "ab"))
    whole = recording.read_bytes()
    (tmp_path / "in" / "b.flv").write_bytes(whole[: len(whole) // 2])
    os.utime(tmp_path / "in" / "b.flv", (LONG_AGO, LONG_AGO))
    out = tmp_path / "out"
    assert batch(tmp_path / "in", out).returncode == 0
    told = list(lines(out / "batch.jsonl"))
    first, second = (out / "batch.jsonl").read_text().splitlines(keepends=True)
    (out / "batch.jsonl").write_text(first + second[:20])
    for litter in (".0123456789ab.part", "b.flv/.0123456789ab.part", "b.flv/.lock"):
        (out / litter).write_text("")
    again = batch(tmp_path / "in", out)
    assert "0 done, 2 skipped, 0 failed" in again.stderr
    found = list(lines(out / "batch.jsonl"))
    assert [one | {"seconds": 0} for one in found] == [one | {"seconds": 0} for one in told]
    assert found[1]["warnings"]
    assert not list(out.rglob(".*"))
    batch(tmp_path / "in", out)
    assert list(lines(out / "batch.jsonl")) == found


@pytest.mark.slow
def test_a_room_that_another_batch_is_scoring_is_left_to_it(tmp_path: Path, recording: Path) -> None:
    put(recording, *(str(tmp_path / "in" / f"{name}.flv") for name in "ab"))
    out = tmp_path / "out"
    (out / "a.flv").mkdir(parents=True)
    lock = FolderLock(out / "a.flv")
    result = batch(tmp_path / "in", out)
    lock.release()
    assert result.returncode == 0, result.stderr
    assert f"a.flv: {out}/a.flv: process {os.getpid()} is writing into it, skipped" in result.stderr
    assert "1 done, 1 skipped, 0 failed" in result.stderr
    assert [Path(one["source"]).name for one in lines(out / "batch.jsonl")] == ["b.flv"]


@pytest.mark.slow
def test_two_batches_at_once_score_every_room_once(tmp_path: Path, recording: Path) -> None:
    names = [f"{name}.flv" for name in "abcdef"]
    put(recording, *(str(tmp_path / "in" / name) for name in names))
    command = [sys.executable, "-m", "kuaihl_cli", "batch", tmp_path / "in", "-o", tmp_path / "out", *OPTIONS]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate(timeout=280)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    told = [Path(one["source"]).name for one in lines(tmp_path / "out" / "batch.jsonl") if one["status"] == "done"]
    assert sorted(told) == names, said


@pytest.mark.slow
def test_what_has_changed_is_scored_again_and_nothing_else(tmp_path: Path, recording: Path) -> None:
    put(recording, *(str(tmp_path / "in" / f"{name}.flv") for name in ("grown", "same", "with_comments")))
    whole = (tmp_path / "in" / "grown.flv").read_bytes()
    (tmp_path / "in" / "grown.flv").write_bytes(whole[: len(whole) // 2])  # a recorder that has stalled for a minute
    os.utime(tmp_path / "in" / "grown.flv", (LONG_AGO, LONG_AGO))
    first = batch(tmp_path / "in", tmp_path / "out")
    assert "3 done (1 with warnings), 0 skipped, 0 failed" in first.stderr
    (tmp_path / "in" / "grown.flv").write_bytes(whole)
    os.utime(tmp_path / "in" / "grown.flv", (LONG_AGO, LONG_AGO))
    (tmp_path / "in" / "with_comments.jsonl").write_text('{"time": 1.0, "text": "what a play"}\n')
    os.utime(tmp_path / "in" / "with_comments.jsonl", (LONG_AGO, LONG_AGO))
    second = batch(tmp_path / "in", tmp_path / "out")
    assert second.returncode == 0, second.stderr
    assert "2 done, 1 skipped, 0 failed" in second.stderr
    assert "grown.flv: scored again, for the source has changed" in second.stderr
    assert "with_comments.flv: scored again, for comments were left out" in second.stderr
    lines_of_scores = (tmp_path / "out" / "with_comments.flv" / "scores.jsonl").read_text().splitlines()
    assert [json.loads(line)["comments"] for line in lines_of_scores] == [1, 0]


def test_another_choice_of_highlights_is_made_from_the_scores_that_are_there(tmp_path: Path, recording: Path) -> None:
    put(recording, str(tmp_path / "in" / "a.flv"))
    assert batch(tmp_path / "in", tmp_path / "out").returncode == 0
    scores = tmp_path / "out" / "a.flv" / "scores.jsonl"
    before = scores.read_bytes(), scores.stat().st_mtime_ns
    again = batch(tmp_path / "in", tmp_path / "out", "--top", "1", "--format", "csv")
    assert again.returncode == 0, again.stderr
    assert "a.flv: highlights chosen anew, for csv is missing" in again.stderr
    assert "0 done, 1 skipped, 0 failed" in again.stderr
    assert (scores.read_bytes(), scores.stat().st_mtime_ns) == before
    assert (scores.parent / "highlights.csv").is_file()
    assert json.loads((scores.parent / "highlights.json").read_text())["settings"]["top"] == 1
    third = batch(tmp_path / "in", tmp_path / "out", "--top", "1", "--format", "csv")
    assert "chosen anew" not in third.stderr


def test_an_output_that_cannot_be_made_or_lies_among_the_recordings_is_one_line(
    tmp_path: Path, recording: Path
) -> None:
    put(recording, str(tmp_path / "in" / "a.flv"))
    archive = str(tmp_path / "in")
    assert_one_line(kuaihl("batch", archive, "-o", "/proc/out"), 2, "/proc/out", "cannot be made")
    assert_one_line(kuaihl("batch", archive, "-o", archive), 2, "the folder of the recordings")


def test_a_language_that_nobody_can_transcribe_ends_it_before_a_room(tmp_path: Path, recording: Path) -> None:
    put(recording, str(tmp_path / "in" / "a.flv"))
    result = kuaihl("batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--language", "xx")
    assert result.returncode == 2
    summary, error = result.stderr.splitlines()
    assert summary == "0 done, 0 skipped, 0 failed, 1 not done"
    assert error.startswith("kuaihl: error: --language xx: this Whisper does not know it")


def test_a_folder_that_is_called_status_is_reached_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("status").mkdir()
    assert_one_line(kuaihl("batch", "./status", "-o", "out"), 3, "status: no recordings in this folder")
    assert_one_line(kuaihl("batch", "status", "status"), 3, "status: holds no ledger and no run folder")


def test_a_folder_of_growing_files_alone_is_said_and_no_error(tmp_path: Path, recording: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(recording, tmp_path / "in" / "a.flv")
    result = kuaihl("batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"))
    assert result.returncode == 0, result.stderr
    first, last = result.stderr.splitlines()
    assert "a.flv: left out: changed " in first
    assert last == "0 done, 0 skipped, 0 failed"
