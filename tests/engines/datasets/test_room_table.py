"""What is known of rooms, and who goes into which split."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kuaihl.engines.archive.names import stable_name
from kuaihl.engines.datasets.room_table import RoomFacts, read_room_table, share_out
from kuaihl.models.errors import DataError


def table(folder: Path, text: str) -> Path:
    (folder / "rooms.csv").write_text(text, encoding="utf-8")
    return folder / "rooms.csv"


def test_a_table_tells_streamer_split_and_start(tmp_path: Path) -> None:
    file = table(
        tmp_path, "room,split,streamer,start_time,note\na/1,test,小明,2026-03-01T20:30:00+08:00,x\n2,,,2026-03-02,\n"
    )
    assert read_room_table(file) == {
        "a_1": RoomFacts("小明", "test", datetime(2026, 3, 1, 12, 30, tzinfo=UTC)),
        stable_name("a/1"): RoomFacts("小明", "test", datetime(2026, 3, 1, 12, 30, tzinfo=UTC)),
        "2": RoomFacts("", "", datetime(2026, 3, 2, tzinfo=UTC)),
    }
    assert read_room_table(table(tmp_path, "room\nonly\n")) == {"only": RoomFacts()}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("room,split\na,train\nb,exam\n", "row 2: split 'exam'"),
        ("room,start_time\na,yesterday\n", "row 1: start_time 'yesterday'"),
        ("room,split\na,train\na,test\n", "row 2: room a is there twice"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_room_table(table(tmp_path, text))


def test_rooms_are_shared_out_eight_to_one_to_one_whatever_their_order() -> None:
    rooms = [f"room{number}" for number in range(500)]
    splits = share_out(rooms, {})
    assert splits == share_out(rooms[::-1], {})
    assert [list(splits.values()).count(split) for split in ("train", "validation", "test")] == [400, 50, 50]


def test_four_rooms_are_enough_for_every_split_and_one_is_trained_on() -> None:
    assert set(share_out("abcd", {}).values()) == {"train", "validation", "test"}
    assert share_out("a", {}) == {"a": "train"}


def test_what_is_known_stays() -> None:
    splits = share_out("abcdefgh", {"a": "test", "b": "", "z": "train"})
    assert splits["a"] == "test"
    assert splits.keys() == set("abcdefgh")
