"""A spool loses nothing and tells nothing twice, whatever happens to the process that writes it."""

import os
import signal
import time
from pathlib import Path

import pytest
from support.cloud_events import make_event
from support.waiting import wait_until

from kuaihl.engines.sinks.spool import Spool, has_waiting


def waiting_in(spool: Spool) -> list[int]:
    """The segments of the events that wait, each of which is then delivered."""
    found = []
    while (waiting := spool.next()) is not None:
        found.append(int(waiting.event["data"]["segment"]))
        spool.finish(waiting)
    return found


def test_events_wait_in_order_until_they_are_delivered(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", "x")
    assert all(spool.append(make_event(index)) for index in range(3))
    assert len(spool) == 3
    assert waiting_in(spool) == [0, 1, 2]
    assert spool.next() is None


def test_a_room_without_an_event_leaves_no_file(tmp_path: Path) -> None:
    Spool(tmp_path / "s", "x").close()
    assert not (tmp_path / "s").exists()


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    torn = tmp_path / ".6db73721a216.part"
    torn.write_bytes(b"{")
    Spool(tmp_path, "x").append(make_event(0))
    assert not torn.exists()


def test_what_was_not_delivered_is_there_for_the_next_process(tmp_path: Path) -> None:
    first = Spool(tmp_path, "x")
    for index in range(4):
        first.append(make_event(index))
    delivered = first.next()
    assert delivered is not None
    first.finish(delivered)
    first.close()
    assert has_waiting(tmp_path)
    assert waiting_in(Spool(tmp_path, "x")) == [1, 2, 3]
    assert waiting_in(Spool(tmp_path, "x")) == []
    assert not has_waiting(tmp_path)
    assert not has_waiting(tmp_path / "none")


def test_what_was_told_is_not_taken_again_even_if_it_was_delivered_long_ago(tmp_path: Path) -> None:
    first = Spool(tmp_path, "x")
    for index in range(4):
        first.append(make_event(index))
    waiting_in(first)
    again = Spool(tmp_path, "x")
    assert not any(again.append(make_event(index)) for index in range(4))
    assert again.append(make_event(3, "highlight.opened"))  # of the last segment, and not told yet
    assert not again.append(make_event(3, "highlight.opened"))
    assert again.append(make_event(4))
    assert waiting_in(again) == [3, 4]


def test_a_room_that_is_scored_anew_is_told_anew_behind_what_waits(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "x")
    spool.append(make_event(7))
    assert spool.append(make_event(0, run="r2"))
    assert waiting_in(spool) == [7, 0]


def test_beyond_the_limit_the_oldest_make_room_and_are_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "x", limit=10_000)
    for index in range(100):
        spool.append(make_event(index, words="x" * 500))
    left = waiting_in(spool)
    assert left == list(range(100 - len(left), 100)) and len(left) > 8
    assert spool.dropped == 100 - len(left)
    assert (tmp_path / "x.jsonl").stat().st_size < 25_000, "the file does not grow either"
    assert not Spool(tmp_path, "x").append(make_event(99, words="x" * 500))


def test_without_a_folder_events_live_as_long_as_the_process() -> None:
    spool = Spool(None, "x")
    spool.append(make_event(0))
    assert waiting_in(spool) == [0]
    spool.close()


def test_a_torn_line_at_the_end_is_left_out(tmp_path: Path) -> None:
    first = Spool(tmp_path, "x")
    first.append(make_event(0))
    with (tmp_path / "x.jsonl").open("ab") as file:
        file.write(b'{"number": 1, "run": "r1", "segm')
    again = Spool(tmp_path, "x")
    assert again.append(make_event(1))
    assert waiting_in(Spool(tmp_path, "x")) == [0, 1]


def test_a_spool_that_could_be_opened_by_half_is_opened_at_the_next_try(tmp_path: Path) -> None:
    (tmp_path / "x.done").mkdir()
    spool = Spool(tmp_path, "x")
    with pytest.raises(OSError, match="directory"):
        spool.append(make_event(0))
    (tmp_path / "x.done").rmdir()
    assert spool.append(make_event(0))
    assert waiting_in(spool) == [0]
    assert waiting_in(Spool(tmp_path, "x")) == []


@pytest.mark.parametrize("moment", [0.005, 0.02, 0.04])
def test_a_kill_loses_no_event_and_repeats_only_the_one_in_flight(tmp_path: Path, moment: float) -> None:
    """The child notes what it has appended, and what it has delivered before the spool knows of it."""
    appended, delivered = tmp_path / "appended", tmp_path / "delivered"
    limit = 20_000  # the file is written anew every hundred events
    child = os.fork()
    if not child:
        spool = Spool(tmp_path, "x", limit=limit)
        with appended.open("ab", buffering=0) as taken, delivered.open("ab", buffering=0) as file:
            for index in range(100_000):
                spool.append(make_event(index))
                taken.write(b"%d\n" % index)
                while len(spool) > 5 and (waiting := spool.next()) is not None:
                    file.write(b"%d\n" % waiting.event["data"]["segment"])
                    spool.finish(waiting)
        os._exit(1)
    wait_until(lambda: delivered.exists() and delivered.stat().st_size > 1000, "deliveries")
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    told = [int(line) for line in delivered.read_text().split()] + waiting_in(Spool(tmp_path, "x", limit=limit))
    last = int(appended.read_text().split()[-1])
    assert told == sorted(told)
    assert set(told) >= set(range(last + 1))
    assert len(told) - len(set(told)) <= 1
