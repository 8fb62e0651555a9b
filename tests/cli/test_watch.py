"""`kuaihl watch` beside a recorder: files come, grow and get their comments; a signal ends it, and it goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.command import assert_one_line, kuaihl
from support.media import make
from support.processes import children_of, is_alive
from support.waiting import wait_until

LONG_AGO = 1_000_000_000.0
OPTIONS = ("--asr", "none", "--segment-seconds", "2", "--threads", "1", "--min-age", "1", "--json")


@pytest.fixture(scope="module")
def recording(made: Path) -> Path:
    return make(made / "watched.flv", seconds=4.0)


def watch(folder: Path, output: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kuaihl_cli", "watch", str(folder), "-o", str(output), *OPTIONS, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str], number: int) -> tuple[list[dict[str, Any]], str]:
    """What it printed on standard output and on standard error."""
    process.send_signal(number)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "kuaihl: error: interrupted"
    return [json.loads(line) for line in said.splitlines()], errors


def lines_in(file: Path) -> Callable[[int], bool]:
    return lambda number: file.is_file() and len(file.read_text().splitlines()) >= number


@pytest.mark.slow
def test_recordings_are_scored_as_they_are_finished_and_the_next_start_goes_on(tmp_path: Path, recording: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "room").mkdir(parents=True)
    shutil.copy(recording, folder / "before.flv")
    os.utime(folder / "before.flv", (LONG_AGO, LONG_AGO))
    has_lines = lines_in(out / "batch.jsonl")
    told = tmp_path / "told.jsonl"
    process = watch(folder, out, "--events", str(told))
    wait_until(lambda: has_lines(1), seconds=120.0)
    shutil.copy(recording, folder / "room" / "late.flv.part")
    (folder / "room" / "late.flv.part").rename(folder / "room" / "late.flv")
    (folder / "room" / "bad.flv").write_text("not a recording\n" * 50)
    wait_until(lambda: has_lines(3), seconds=120.0)
    (folder / "room" / "late.jsonl").write_text('{"time": 1.0, "text": "what a play"}\n')
    wait_until(lambda: has_lines(4), seconds=120.0)
    workers = children_of(process.pid)
    entries, errors = end(process, signal.SIGTERM)
    assert entries == [json.loads(line) for line in (out / "batch.jsonl").read_text().splitlines()]
    assert sorted((Path(one["output"]).name, one["status"]) for one in entries) == [
        ("before.flv", "done"),
        ("room__bad.flv", "failed"),
        ("room__late.flv", "done"),
        ("room__late.flv", "done"),
    ]
    assert "late.flv: scored again, for comments were left out" in errors
    assert "3 done, 0 skipped, 1 failed" in errors
    wait_until(lambda: not any(map(is_alive, workers)), seconds=10.0)
    ends = [one["source"] for one in map(json.loads, told.read_text().splitlines()) if one["type"].endswith("finished")]
    assert sorted(ends) == ["/kuaihl/rooms/before.flv", *["/kuaihl/rooms/room__late.flv"] * 2]

    shutil.copy(recording, folder / "while_away.flv")
    again = watch(folder, out, "--poll")
    wait_until(lambda: has_lines(6), seconds=120.0)  # what failed is tried again
    entries, errors = end(again, signal.SIGINT)
    assert sorted(Path(one["source"]).name for one in entries) == ["bad.flv", "while_away.flv"]
    assert "1 done, 2 skipped, 1 failed" in errors


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    assert_one_line(kuaihl("watch", str(tmp_path / "x"), "-o", str(tmp_path / "out")), 3, "x: no such folder")
    assert not (tmp_path / "out").exists()


def test_a_recording_cannot_be_finished_at_once(tmp_path: Path) -> None:
    result = kuaihl("watch", str(tmp_path), "-o", str(tmp_path / "out"), "--min-age", "0")
    assert_one_line(result, 2, "--min-age")
