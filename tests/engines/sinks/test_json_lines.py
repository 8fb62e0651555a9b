"""Events as JSON Lines."""

import json
import os
import subprocess
import sys
from pathlib import Path

from support.cloud_events import make_event
from support.waiting import wait_until

from kuaihl.engines.sinks.delivery import Retry
from kuaihl.engines.sinks.settings import Sinks, SinkSettings


def settings(events: Path | str) -> SinkSettings:
    return SinkSettings(events=str(events), patience=5.0, retry=Retry(first=0.01, longest=0.05))


def segments_of(file: Path) -> list[int]:
    return [json.loads(line)["data"]["segment"] for line in file.read_text(encoding="utf-8").splitlines()]


def test_each_event_is_a_line_at_the_end_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    for room in ("one", "two"):
        with Sinks(settings(file), tmp_path / room) as sinks:
            for index in range(3):
                sinks(make_event(index, room=room))
    assert segments_of(file) == [0, 1, 2, 0, 1, 2]


def test_a_run_that_goes_on_repeats_no_line(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    for last in (2, 5):
        with Sinks(settings(file), tmp_path / "run") as sinks:
            for index in range(last + 1):
                sinks(make_event(index))
    assert segments_of(file) == [0, 1, 2, 3, 4, 5]


def test_a_kill_between_the_line_and_its_record_repeats_none_and_a_torn_line_goes(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    with Sinks(settings(file), tmp_path / "run") as sinks:
        sinks(make_event(0))
    file.write_text(file.read_text() + make_event(1).to_json() + "\n" + '{"specversion": "1.')
    with Sinks(settings(file), tmp_path / "run") as sinks:
        sinks(make_event(1))
        sinks(make_event(2))
    assert segments_of(file) == [0, 1, 2]


def test_a_file_that_cannot_be_written_is_tried_until_it_can(tmp_path: Path) -> None:
    file = tmp_path / "later" / "events.jsonl"
    with Sinks(settings(file), tmp_path / "run") as sinks:
        sinks(make_event(0))
        told: list[str] = []
        wait_until(lambda: told.extend(sinks.take_notices()) or told, "the notice")  # type: ignore[func-returns-value]
        assert "cannot be written (No such file or directory)" in told[0]
        file.parent.mkdir()
    assert segments_of(file) == [0]


SCRIPT = """
import sys
from pathlib import Path
from support.cloud_events import make_event
from kuaihl.engines.sinks.settings import Sinks, SinkSettings
with Sinks(SinkSettings(events="-"), Path(sys.argv[1]) if sys.argv[1:] else None) as sinks:
    for index in range(2000):
        sinks(make_event(index, words="直播😀" * 70))
    sinks.close()
    print(sinks.take_notices(), file=sys.stderr)
"""


def run_script(*folder: Path) -> "subprocess.Popen[str]":
    path = os.pathsep.join(one for one in sys.path if one)
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": path, "PYTHONIOENCODING": "gbk"},
    )


def test_a_slow_reader_of_standard_output_gets_every_line_in_utf_8_whatever_the_locale() -> None:
    process = run_script()
    assert process.stdout is not None and process.stderr is not None
    lines = process.stdout.readlines()
    assert [json.loads(line)["data"]["segment"] for line in lines] == list(range(2000))
    assert json.loads(lines[0])["data"]["text"] == "直播😀" * 70
    assert process.stderr.read() == "[]\n"
    assert process.wait(10) == 0


def test_a_reader_that_leaves_ends_nothing() -> None:
    process = run_script()
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    assert "standard output: nobody reads it any more" in errors and "Traceback" not in errors
    assert process.wait(10) == 0


def test_the_next_reader_gets_what_one_that_left_did_not(tmp_path: Path) -> None:
    process = run_script(tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 0
    process = run_script(tmp_path)
    assert process.stdout is not None
    segments = [json.loads(line)["data"]["segment"] for line in process.stdout]
    assert segments == list(range(segments[0], 2000))
    assert segments[0] < 500, "a pipe holds 64 KiB"
    assert process.wait(10) == 0
