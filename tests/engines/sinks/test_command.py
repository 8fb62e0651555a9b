"""The command for each closed highlight: a real program, with its variables, its input and its failures."""

import json
import shlex
import sys
import time
from pathlib import Path

import pytest
from support.cloud_events import make_event

from kuaihl.engines.sinks.settings import Sinks, SinkSettings
from kuaihl.models.errors import UsageError

NOTE = """
import json, os, sys
said = {name: value for name, value in os.environ.items() if name.startswith("KUAIHL_HIGHLIGHT_")}
said["stdin"] = json.load(sys.stdin)
open(sys.argv[1], "a").write(json.dumps(said) + "\\n")
"""


def python(script: str, *arguments: str) -> str:
    return shlex.join([sys.executable, "-c", script, *arguments])


def told_of(folder: Path, command: str, count: int = 1, timeout: float = 20.0) -> list[str]:
    with Sinks(SinkSettings(on_highlight=command, on_highlight_timeout=timeout), folder) as sinks:
        sinks(make_event(2))
        sinks(make_event(2, "highlight.opened"))
        for index in range(count):
            sinks(make_event(3 + index, "highlight.closed", words="a 'goal'; $HOME"))
        sinks.close()
        return sinks.take_notices()


def test_it_gets_the_highlight_as_variables_and_the_event_as_its_input(tmp_path: Path) -> None:
    assert not told_of(tmp_path / "run", python(NOTE, str(tmp_path / "said; $HOME")))
    (line,) = (tmp_path / "said; $HOME").read_text().splitlines()
    said = json.loads(line)
    assert said["stdin"]["type"] == "kuaihl.highlight.closed"
    assert said["KUAIHL_HIGHLIGHT_ID"] == said["stdin"]["id"]
    assert said["KUAIHL_HIGHLIGHT_ROOM"] == "room"
    assert (said["KUAIHL_HIGHLIGHT_START"], said["KUAIHL_HIGHLIGHT_END"]) == ("90.0", "150.0")
    assert said["KUAIHL_HIGHLIGHT_SCORE"] == "0.7"
    assert said["KUAIHL_HIGHLIGHT_TEXT"] == "a 'goal'; $HOME"
    assert said["KUAIHL_HIGHLIGHT_FOLDER"] == str(tmp_path / "run")


def test_a_failure_is_told_with_its_last_line_and_the_next_highlight_is_tried(tmp_path: Path) -> None:
    told = told_of(tmp_path, python("import sys; print('a'); sys.exit('no such bucket')"), count=2)
    assert len(told) == 2
    assert all("ended with code 1: no such bucket" in one for one in told)


def test_one_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    began = time.monotonic()
    (told,) = told_of(tmp_path, "sh -c 'sleep 30 & sleep 30'", timeout=0.3)
    assert "took longer than 0.3 s" in told
    assert time.monotonic() - began < 5


def test_a_highlight_that_was_told_runs_nothing_again(tmp_path: Path) -> None:
    for _ in range(2):
        assert not told_of(tmp_path / "run", python(NOTE, str(tmp_path / "said")))
    assert len((tmp_path / "said").read_text().splitlines()) == 1


@pytest.mark.parametrize("command", ["", "no-such-program x", "sh 'unbalanced"])
def test_what_is_no_command_is_refused_before_anything_is_scored(command: str) -> None:
    with pytest.raises(UsageError, match="on_highlight"):
        SinkSettings(on_highlight=command).check()
