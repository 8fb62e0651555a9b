"""A log of views is counted by room and segment, whatever it is written in and in whatever order (paper, eq. 1)."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kuaihl.engines.archive.names import room_id
from kuaihl.engines.datasets import table_file
from kuaihl.engines.datasets.view_log import read_view_log
from kuaihl.models.errors import DataError, SourceError

ROWS = [
    ("one", 0.0, 61.0),
    ("one", 29.9, 60.0),  # not MORE than 60 s
    ("two", 95.0, 1000.0),
    ("one", 30.0, 60.1),
    ("one", -3.0, 90.0),  # before the start
]


def write_csv(path: Path, rows: list[tuple[object, object, object]], header: str = "room,time,watched") -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return path


def write_parquet(path: Path, rows: list[tuple[str, float, float]]) -> Path:
    room, time, watched = zip(*rows, strict=True)
    pq.write_table(pa.table({"watched": watched, "time": time, "extra": time, "room": room}), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_impressions_are_counted_in_the_segment_in_which_they_began(tmp_path: Path, kind: str) -> None:
    file = write_csv(tmp_path / "log", ROWS) if kind == "csv" else write_parquet(tmp_path / "log", ROWS)
    log = read_view_log(file, 30.0)
    assert (log.impressions, log.before_start) == (5, 1)
    views, long_views = log.counts("one", 4)
    np.testing.assert_array_equal(views, [2, 1, 0, 0])
    np.testing.assert_array_equal(long_views, [1, 1, 0, 0])
    views, long_views = log.counts("two", 4)
    np.testing.assert_array_equal(views, [0, 0, 0, 1])
    np.testing.assert_array_equal(long_views, [0, 0, 0, 1])


def test_a_log_read_in_many_pieces_gives_the_counts_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    rows = [(f"room{random.integers(7)}", random.uniform(0, 900), random.exponential(60)) for _ in range(20_000)]
    file = write_parquet(tmp_path / "log", rows)
    whole = read_view_log(file, 30.0)
    monkeypatch.setattr(table_file, "BATCH_ROWS", 333)
    pieces = read_view_log(file, 30.0)
    assert whole.rooms.keys() == pieces.rooms.keys()
    for room in whole.rooms:
        np.testing.assert_array_equal(whole.rooms[room], pieces.rooms[room])
        mine = [(time, watched) for name, time, watched in rows if name == room]
        segment = np.array([int(time // 30) for time, _ in mine])
        long_views = np.bincount(segment[np.array([watched for _, watched in mine]) > 60], minlength=30)
        np.testing.assert_array_equal(whole.counts(room, 30)[0], np.bincount(segment, minlength=30))
        np.testing.assert_array_equal(whole.counts(room, 30)[1], long_views)


def test_ids_that_are_numbers_are_ids(tmp_path: Path) -> None:
    log = read_view_log(write_csv(tmp_path / "log", [(8792912, 1.0, 2.0), (8792912, 3, 99)]), 30.0)
    assert log.counts("8792912", 1)[0].tolist() == [2]
    pq.write_table(pa.table({"room": [8792912], "time": [5], "watched": [61]}), tmp_path / "whole.parquet")
    assert read_view_log(tmp_path / "whole.parquet", 30.0).counts("8792912", 1)[1].tolist() == [1]


def test_a_room_is_found_by_its_file_name_unless_two_have_the_same(tmp_path: Path) -> None:
    log = read_view_log(write_csv(tmp_path / "log", [("live/7", 1, 2), ("live?7", 1, 2), ("live/8", 1, 2)]), 30.0)
    assert log.counts("live_8", 1)[0].tolist() == [1]
    assert log.counts(room_id("live?7.flv"), 1)[0].tolist() == [1]
    with pytest.raises(DataError, match="several rooms"):
        log.counts("live_7", 1)
    with pytest.raises(DataError, match="no impressions"):
        log.counts("live_9", 1)


def test_times_that_are_no_seconds_from_the_start_are_noticed(tmp_path: Path) -> None:
    log = read_view_log(write_csv(tmp_path / "log", [("one", 100_000 + second, 5) for second in range(60)]), 30.0)
    with pytest.raises(DataError, match="after the end of the recording"):
        log.counts("one", 10)
    with pytest.raises(DataError, match="row 2"):
        read_view_log(write_csv(tmp_path / "unix", [("one", 1, 1), ("one", 1_770_000_000, 1)]), 30.0)


@pytest.mark.parametrize("bad", [("one", "nan", 3), ("one", "", 3), ("one", 3, -1), ("one", 3, "inf")])
def test_a_row_that_is_no_impression_is_named(tmp_path: Path, bad: tuple[object, object, object]) -> None:
    with pytest.raises(DataError, match=r"log, row 3: time"):
        read_view_log(write_csv(tmp_path / "log", [("one", 1, 1), ("one", 2, 2), bad]), 30.0)


def test_what_is_no_log_is_told_in_one_line(tmp_path: Path) -> None:
    files = {
        "line 3: 'noon' is no number": write_csv(tmp_path / "words", [("one", 1, 3), ("one", "noon", 3)]),
        "column watched": write_csv(tmp_path / "columns", [("one", 1, 1)], header="room,time,seconds"),
        "no impressions": write_csv(tmp_path / "nothing", []),
        "cannot be read": tmp_path / "missing",
    }
    (tmp_path / "torn").write_bytes(b"PAR1 and nothing more")
    files["csv or parquet"] = tmp_path / "torn"
    for said, file in files.items():
        with pytest.raises(SourceError) as told:
            read_view_log(file, 30.0)
        assert str(file) in str(told.value)
        assert said in str(told.value)
        assert "\n" not in str(told.value)


def test_what_was_watched_in_milliseconds_is_noticed(tmp_path: Path) -> None:
    seconds = [("a", float(start), 5.0 + start % 90) for start in range(300)]
    assert read_view_log(write_csv(tmp_path / "log", seconds), 30.0).impressions == 300
    with pytest.raises(DataError, match="not milliseconds"):
        read_view_log(write_csv(tmp_path / "log", [(room, at, 1000 * long) for room, at, long in seconds]), 30.0)


def test_a_column_that_stands_twice_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("room,time,watched,time\na,1,2,3\n")
    with pytest.raises(SourceError, match="has the column time more than once"):
        read_view_log(tmp_path / "log", 30.0)
