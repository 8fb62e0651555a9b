"""The command in a process of its own, as a user runs it."""

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
