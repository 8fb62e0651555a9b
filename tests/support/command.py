"""The command in a process of its own, as for a user."""

import subprocess
import sys


def kuaihl(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, as a user does."""
    import os

    return subprocess.run(
        [sys.executable, "-m", "kuaihl_cli", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def assert_one_line(result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("kuaihl: error: "), result.stderr
    assert len(lines) == 1, result.stderr
    for word in words:
        assert word in lines[0]
