"""Scoring takes little memory: a process of its own over the demonstration, its peak as the system counts it."""

import os
import sys
from pathlib import Path

import pytest
from support.paths import EXAMPLES

MOST_MB = 1_050  # measured: 920, 1,660 before (docs/benchmarks.md)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux alone")
def test_the_demonstration_is_scored_in_a_gigabyte(tmp_path: Path) -> None:
    words = [str(EXAMPLES / "demo.flv"), "--comments", str(EXAMPLES / "demo.comments.xml"), "-o", str(tmp_path / "out")]
    command = [sys.executable, "-m", "kuaihl_cli", "score", *words, "--threads", "2", "--quiet"]
    process = os.posix_spawn(sys.executable, command, os.environ)
    _, status, usage = os.wait4(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert usage.ru_maxrss * 1024 / 1e6 < MOST_MB
