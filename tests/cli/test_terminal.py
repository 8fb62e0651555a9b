"""What a person at a terminal sees: the command runs on a real pseudo-terminal, for pipes show other code."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest


def shown_on_a_terminal(*arguments: str | Path) -> tuple[int, str]:
    """Exit code of `kuaihl`, and everything that it wrote to a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "kuaihl_cli", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "100", "LINES": "30", "TERM": "xterm"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        written = bytearray()
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # Linux says so when the last writer has gone
                break
            if not piece:
                break
            written += piece
    os.close(ours)
    return process.returncode, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode("utf-8", "replace"))


@pytest.mark.slow
def test_a_terminal_shows_position_speed_and_a_table_of_highlights(tmp_path: Path, tiny_flv: Path) -> None:
    options = ["--asr", "none", "--segment-seconds", "2", "--top", "1"]
    code, shown = shown_on_a_terminal("score", tiny_flv, "-o", tmp_path / "out", *options)
    assert code == 0, shown
    assert "Traceback" not in shown
    assert tiny_flv.stem in shown
    assert "first segment" in shown or "real time" in shown
    assert "Highlights" in shown or "no highlights" in shown
    assert "wrote" in shown


def test_a_terminal_shows_an_error_as_one_line(tmp_path: Path) -> None:
    code, shown = shown_on_a_terminal("score", tmp_path / "nowhere.flv")
    assert code == 3
    assert [line for line in shown.splitlines() if line.strip()] == [shown.strip()]
    assert shown.startswith("kuaihl: error: ")
