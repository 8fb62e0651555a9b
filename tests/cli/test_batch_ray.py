"""`kuaihl batch --runner ray` on a cluster of two nodes, one of which is killed in the middle of a recording."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.media import make
from support.processes import children_of, is_alive
from support.waiting import wait_until

LONG_AGO = 1_000_000_000.0
SCORING = ("--asr", "none", "--segment-seconds", "2", "--threads", "1")
NAMES = [f"{name}.flv" for name in "abcde"]
# A node counts as dead some 5 s after its last word, instead of 20.
IMPATIENT = {"health_check_period_ms": 1000, "health_check_timeout_ms": 2000, "health_check_failure_threshold": 3}
PRIORITY = {"worker_niceness": 0}  # else a busy machine hardly runs them


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two nodes with a CPU each; the first is the head."""
    pytest.importorskip("ray", reason="Ray is not here: pip install 'kuaihl[ray]'")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 << 20}
    nodes = Cluster(True, head_node_args={**node, "include_dashboard": False, "_system_config": IMPATIENT | PRIORITY})
    nodes.add_node(**node)
    yield nodes
    nodes.shutdown()


def batch(archive: Path, output: Path, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "kuaihl_cli", "batch", str(archive), "-o", str(output), *SCORING, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def holder_in(output: Path, workers: list[int]) -> str:
    """The room that one of the processes has scored in part, by its lock."""
    for lock in output.glob("*/.lock"):
        words, scores = lock.read_text().split(), lock.with_name("scores.jsonl")
        if words and int(words[0]) in workers and scores.is_file() and scores.stat().st_size:
            return lock.parent.name
    return ""


def scores_of(output: Path) -> dict[str, list[dict[str, Any]]]:
    """Each room's lines, less the time of day."""
    lines = {file.parent.name: file.read_text().splitlines() for file in output.glob("*/scores.jsonl")}
    return {name: [json.loads(line) | {"wall_time": 0} for line in told] for name, told in lines.items()}


@pytest.mark.slow
def test_a_node_that_is_killed_loses_nothing_and_nothing_is_scored_twice(
    tmp_path: Path, made: Path, cluster: Any
) -> None:
    recording = make(made / "long.flv", seconds=20.0)
    (tmp_path / "in").mkdir()
    for name in NAMES:
        shutil.copy(recording, tmp_path / "in" / name)
        os.utime(tmp_path / "in" / name, (LONG_AGO, LONG_AGO))
    out, alone = tmp_path / "out", tmp_path / "alone"

    process = batch(tmp_path / "in", out, "--runner", "ray", "--address", cluster.address, "--jobs", "2")
    raylet = cluster.worker_nodes.copy().pop().all_processes["raylet"][0].process.pid
    victim = wait_until(lambda: holder_in(out, children_of(raylet)) or process.poll() is not None, seconds=280)
    workers = children_of(raylet)
    for each in (raylet, *workers):
        os.kill(each, signal.SIGKILL)
    said, errors = process.communicate(timeout=280)

    assert process.returncode == 0, errors
    assert said == ""
    assert f"{victim}: its " in errors and "; it is tried again" in errors, errors
    assert "5 done, 0 skipped, 0 failed" in errors
    assert not [line for line in errors.splitlines() if "raylet" in line or "(pid=" in line], errors
    told = [json.loads(line) for line in (out / "batch.jsonl").read_text().splitlines()]
    assert Counter(Path(one["source"]).name for one in told) == Counter(NAMES)
    wait_until(lambda: not any(map(is_alive, workers)), seconds=120.0)

    local = batch(tmp_path / "in", alone)
    assert local.wait(timeout=280) == 0
    assert scores_of(out) == scores_of(alone)
    assert {len(lines) for lines in scores_of(out).values()} == {10}
