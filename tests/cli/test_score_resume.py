"""`kuaihl score` killed at random instants, then `--resume`: the scores are those of an undisturbed run."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.rtmp_server import find_ffmpeg

from kuaihl.engines.archive.jobs import Job
from kuaihl.engines.outputs.run_folder import is_finished
from kuaihl_cli.commands.score import ScoreOptions, _earlier

OPTIONS = ["--asr", "none", "--segment-seconds", "2", "--threads", "1", "--quiet"]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """44 s: black, a test card, black, a fractal; with a tone."""
    path = tmp_path_factory.mktemp("media") / "v.mp4"
    pictures = ["color=black:s=160x120:r=10:d=18", "testsrc2=s=160x120:r=10:d=6", "color=black:s=160x120:r=10:d=8"]
    command = [find_ffmpeg(), "-nostdin", "-loglevel", "error"]
    for picture in (*pictures, "mandelbrot=s=160x120:r=10", "sine=d=44"):
        command += ["-f", "lavfi", "-i", picture]
    command += ["-filter_complex", "[0][1][2][3]concat=n=4:v=1:a=0,format=yuv420p[v]", "-map", "[v]", "-map", "4:a"]
    command += ["-t", "44", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "20"]
    subprocess.run([*command, "-c:a", "aac", "-b:a", "48k", str(path)], check=True)
    return path


def command(recording: Path, output: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "kuaihl_cli", "score", str(recording), "-o", str(output), *OPTIONS, *more]


def scores(output: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (output / "scores.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name != "wall_time"} for line in lines]


@pytest.fixture(scope="module")
def undisturbed(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "out"
    subprocess.run(command(recording, output), check=True, capture_output=True, timeout=280)
    return output


def count_lines(output: Path) -> int:
    scores = output / "scores.jsonl"
    return scores.read_bytes().count(b"\n") if scores.exists() else 0


def kill_behind(recording: Path, output: Path, lines: int, delay: float) -> None:
    """Run with --resume, and kill it `delay` seconds after it has written so many more lines."""
    process = subprocess.Popen(command(recording, output, "--resume"), stderr=subprocess.PIPE)
    wanted = count_lines(output) + lines
    while process.poll() is None and count_lines(output) < wanted:
        time.sleep(0.005)
    time.sleep(delay)
    process.kill()
    process.communicate()


@pytest.mark.timeout(900)
def test_after_kills_the_scores_are_those_of_an_undisturbed_run(
    recording: Path, undisturbed: Path, tmp_path: Path
) -> None:
    draw, output = random.Random(3), tmp_path / "out"
    for _ in range(3):
        kill_behind(recording, output, draw.choice((0, 1, 1, 2, 9)), draw.uniform(0.0, 0.3))
        if count_lines(output):
            refused = subprocess.run(command(recording, output), capture_output=True, text=True, timeout=280)
            assert refused.returncode == 2
            # The run may have ended just before the kill: then there is nothing to go on with.
            assert ("--resume goes on with them" in refused.stderr) is not is_finished(output)
    result = subprocess.run(command(recording, output, "--resume"), capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stderr
    assert scores(output) == scores(undisturbed)
    assert (output / "highlights.json").read_bytes() == (undisturbed / "highlights.json").read_bytes()
    again = subprocess.run(command(recording, output, "--resume"), capture_output=True, text=True, timeout=280)
    assert again.returncode == 0 and "is finished" in again.stderr


@pytest.mark.parametrize(
    ("source", "why", "given", "expected"),
    [
        ("room.flv", None, {}, "refuse"),  # killed: no highlights.json
        ("room.flv", None, {"resume": True}, "resume"),
        ("room.flv", None, {"skip": True}, "resume"),
        ("room.flv", None, {"force": True}, "replace"),
        ("rtmp://host/live/room", None, {}, "resume"),
        ("rtmp://host/live/room", "stopped before the source ended", {}, "resume"),
        ("rtmp://host/live/room", "the connection was closed; not back within 60.0 s", {}, "refuse"),
        ("rtmp://host/live/room", "the connection was closed; not back within 60.0 s", {"resume": True}, "resume"),
        ("rtmp://host/live/room", None, {"force": True}, "replace"),
        ("-", None, {}, "refuse"),
    ],
)
def test_scores_are_replaced_only_on_demand_and_a_live_url_goes_on_by_itself(
    tmp_path: Path, source: str, why: str | None, given: dict[str, bool], expected: str
) -> None:
    (tmp_path / "scores.jsonl").write_text("{}\n")
    if why is not None:
        (tmp_path / "highlights.json").write_text(json.dumps({"complete": False, "why": why}))
    options = ScoreOptions(sources=(source,), output=tmp_path, **given)  # type: ignore[arg-type]
    assert _earlier(Job(source, tmp_path), options) == expected


def catches(process: int, number: int) -> bool:
    """Whether a process has a handler of its own for a signal."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) & (1 << (number - 1)))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_ctrl_c_while_the_models_load_leaves_nothing_that_the_next_run_refuses(recording: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    process = subprocess.Popen(command(recording, output), stderr=subprocess.PIPE, text=True)
    while not catches(process.pid, signal.SIGTERM):  # from then on a first Ctrl-C asks for a clean end
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=280)
    assert process.returncode == 130, errors
    assert not output.exists()
