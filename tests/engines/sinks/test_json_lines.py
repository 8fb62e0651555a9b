"""Events as JSON Lines."""

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cloud_events import make_event
from support.waiting import wait_until

from kuaihl.engines.sinks import json_lines
from kuaihl.engines.sinks.delivery import Retry, Unreachable
from kuaihl.engines.sinks.json_lines import JsonLines
from kuaihl.engines.sinks.settings import Sinks, SinkSettings
from kuaihl.engines.sinks.spool import Waiting


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


def test_a_kill_repeats_no_line_behind_which_other_rooms_wrote_theirs(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    others = "".join(make_event(index, room="two").to_json() + "\n" for index in range(3))
    file.write_text(make_event(0).to_json() + "\n" + others)
    with Sinks(settings(file), tmp_path / "run") as sinks:
        sinks(make_event(0))
        sinks(make_event(1))
    assert segments_of(file) == [0, 0, 1, 2, 1]


def test_a_line_that_somebody_else_is_writing_is_waited_for_and_not_called_torn(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    line = make_event(0, room="two").to_json() + "\n"
    with file.open("w") as other, Sinks(settings(file), tmp_path / "run") as sinks:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write(line[:20])
        other.flush()
        sinks(make_event(1))
        time.sleep(0.1)
        other.write(line[20:])
        other.flush()
        fcntl.flock(other, fcntl.LOCK_UN)
    assert segments_of(file) == [0, 1]


def test_a_file_that_stays_locked_is_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    with file.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Unreachable, match="others keep it locked"):
            JsonLines(str(file), timeout=0.05).send(waiting(0))


def test_a_file_that_cannot_be_written_is_tried_until_it_can(tmp_path: Path) -> None:
    file = tmp_path / "later" / "events.jsonl"
    with Sinks(settings(file), tmp_path / "run") as sinks:
        sinks(make_event(0))
        told: list[str] = []
        wait_until(lambda: told.extend(sinks.take_notices()) or told, "the notice")  # type: ignore[func-returns-value]
        assert "cannot be written (No such file or directory)" in told[0]
        file.parent.mkdir()
    assert segments_of(file) == [0]


@pytest.fixture
def reading_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Of a pipe that is standard output for events."""
    reader, writer = os.pipe()
    monkeypatch.setattr(json_lines, "_STDOUT_DESCRIPTOR", writer)
    yield reader
    os.close(reader)  # whoever still writes ends
    with json_lines._PRINTING:
        os.close(writer)


def waiting(index: int, room: str = "room", words: str = "") -> Waiting:
    event = make_event(index, room=room, words=words)
    return Waiting(index, event.id, event.to_dict())


def read_lines(reader: int, count: int) -> list[str]:
    found = b""
    while found.count(b"\n") < count:
        found += os.read(reader, 3000)
    return found.decode().splitlines()


def test_rooms_that_share_standard_output_tear_no_line_of_each_other(reading_end: int) -> None:
    def send_all(room: str) -> None:
        for index in range(40):
            JsonLines("-").send(waiting(index, room, "x" * 6000))

    threads = [threading.Thread(target=send_all, args=(room,)) for room in ("a", "b", "c", "d")]
    for thread in threads:
        thread.start()
    time.sleep(0.1)  # until the pipe is full
    rooms = [json.loads(line)["data"]["room"] for line in read_lines(reading_end, 160)]
    assert {room: rooms.count(room) for room in rooms} == {"a": 40, "b": 40, "c": 40, "d": 40}
    for thread in threads:
        thread.join(5)


def test_behind_a_line_that_is_not_read_the_others_are_tried_again(reading_end: int) -> None:
    stuck = threading.Thread(target=JsonLines("-").send, args=(waiting(0, words="x" * 100_000),))
    stuck.start()
    wait_until(json_lines._PRINTING.locked, "the line under way")
    other = JsonLines("-", timeout=0.05)
    with pytest.raises(Unreachable, match="nobody reads it at present"):
        other.send(waiting(1))
    lines = read_lines(reading_end, 1)
    stuck.join(5)
    other.send(waiting(1))
    lines += read_lines(reading_end, 1)
    assert [json.loads(line)["data"]["segment"] for line in lines] == [0, 1]


def test_a_reader_that_stalls_holds_up_the_end_for_the_patience_only(reading_end: int, tmp_path: Path) -> None:
    sinks = Sinks(SinkSettings(events="-", reader_patience=0.1), tmp_path)
    for index in range(3):
        sinks(make_event(index, words="x" * 100_000))
    began = time.monotonic()
    sinks.close()
    assert time.monotonic() - began < 3
    assert any("3 events not delivered" in line for line in sinks.take_notices())


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
