"""`kuaihl score rtmp://…` as a user runs it, against a real nginx-rtmp server fed in real time."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from support.rtmp_server import RtmpServer, end_publisher, make_broadcast

SECONDS = 2.0  # a segment, so that a test is quick


def scoring(url: str, output: Path, *more: str) -> subprocess.Popen[str]:
    options = ["-o", str(output), "--asr", "none", "--segment-seconds", str(SECONDS), "--timeout", "2", *more]
    command = [sys.executable, "-m", "kuaihl_cli", "score", url, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_scores(output: Path, lines: int) -> None:
    file, deadline = output / "scores.jsonl", time.monotonic() + 90
    while not file.exists() or file.read_text(encoding="utf-8").count("\n") < lines:
        assert time.monotonic() < deadline, "no scores came"
        time.sleep(0.2)


@pytest.mark.slow
def test_ctrl_c_ends_a_live_stream_cleanly_with_its_highlights_written(rtmp: RtmpServer, tmp_path: Path) -> None:
    rtmp.publish(make_broadcast(tmp_path / "room.flv", seconds=20.0), "room")
    time.sleep(1.0)
    process = scoring(rtmp.url("room"), tmp_path / "out")
    try:
        wait_for_scores(tmp_path / "out", 3)  # they are there while the stream runs
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    document = json.loads((tmp_path / "out" / "highlights.json").read_text(encoding="utf-8"))
    assert document["complete"] is False
    assert document["duration"] >= 3 * SECONDS


@pytest.mark.slow
def test_a_stream_that_comes_back_is_scored_on_with_its_gap_flagged(rtmp: RtmpServer, tmp_path: Path) -> None:
    media = make_broadcast(tmp_path / "room.flv", seconds=20.0)
    feeder = rtmp.publish(media, "room")
    time.sleep(1.0)
    process = scoring(rtmp.url("room"), tmp_path / "out")
    try:
        wait_for_scores(tmp_path / "out", 2)
        end_publisher(feeder)
        rtmp.publish(media, "room")
        seen = (tmp_path / "out" / "scores.jsonl").read_text(encoding="utf-8").count("\n")
        wait_for_scores(tmp_path / "out", seen + 3)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    scores = [json.loads(line) for line in (tmp_path / "out" / "scores.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [one["segment"] for one in scores] == list(range(len(scores)))
    assert all(after["start"] >= before["end"] - 0.001 for before, after in pairwise(scores))
    kinds = [event["kind"] for one in scores for event in one["events"]]
    assert "reconnect" in kinds or "rebase" in kinds or "gap" in kinds
    assert "reconnect" in errors or "rebase" in errors or "gap" in errors


@pytest.mark.slow
def test_after_a_kill_the_same_command_goes_on_with_the_clock_and_a_gap(rtmp: RtmpServer, tmp_path: Path) -> None:
    rtmp.publish(make_broadcast(tmp_path / "room.flv", seconds=60.0), "room")
    time.sleep(1.0)
    output = tmp_path / "out"
    process = scoring(rtmp.url("room"), output)
    try:
        wait_for_scores(output, 3)
    finally:
        process.kill()
        process.communicate()
    before = (output / "scores.jsonl").read_bytes()
    kept = before[: before.rindex(b"\n") + 1]
    time.sleep(3.0)
    process = scoring(rtmp.url("room"), output)
    try:
        wait_for_scores(output, kept.count(b"\n") + 3)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "going on behind segment" in errors
    after = (output / "scores.jsonl").read_bytes()
    assert after.startswith(kept)
    scores = [json.loads(line) for line in after.splitlines()]
    first = next(one for one in scores[kept.count(b"\n") - 1 :] if any("missing" in e["detail"] for e in one["events"]))
    last = scores[scores.index(first) - 1]
    assert first["gap"] and first["segment"] > last["segment"]
    assert all(one["start"] == pytest.approx(SECONDS * one["segment"]) for one in scores)
    # The stream's clock has followed the wall clock through the time that nobody was there. The first segment after it
    # waits until the lag is known, so the next one tells.
    then = scores[scores.index(first) + 1]
    assert then["end"] - last["end"] == pytest.approx(then["wall_time"] - last["wall_time"], abs=2.5)
    document = json.loads((output / "highlights.json").read_text(encoding="utf-8"))
    assert document["why"] == "stopped before the source ended"
    assert document["events"][0] in [event for one in scores for event in one["events"]]


def test_a_room_that_is_not_on_air_is_one_line_and_3(rtmp: RtmpServer, tmp_path: Path) -> None:
    process = scoring(rtmp.url("nobody"), tmp_path / "out")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3, errors
    assert [line for line in errors.splitlines() if line.startswith("kuaihl: error:")] == errors.strip().splitlines()
