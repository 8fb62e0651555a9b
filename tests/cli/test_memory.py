"""Scoring takes little memory: a process of its own over the demonstration, its peak as the system counts it."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import EXAMPLES

MOST_MB = 850  # measured: 751 to 775 (docs/benchmarks.md)
# The peak of its own pages alone: wait4's ru_maxrss begins with that of the process that spawned it.
SCORE_AND_REPORT = """
from pathlib import Path
from kuaihl_cli.main import main
try:
    main()
finally:
    print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_demonstration_is_scored_in_less_than_a_gigabyte(tmp_path: Path) -> None:
    words = [EXAMPLES / "demo.flv", "--comments", EXAMPLES / "demo.comments.xml", "-o", tmp_path / "out"]
    command = [sys.executable, "-c", SCORE_AND_REPORT, "score", *map(str, words), "--threads", "2", "--quiet"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    assert int(result.stdout.split()[-1]) * 1024 / 1e6 < MOST_MB, result.stdout
