"""The names of outputs: stable, within a file system's limits, and never those of another source."""

import os

import pytest

from kuaihl.engines.archive.names import (
    distinct_stems,
    path_name,
    room_id,
    safe_name,
    source_name,
    source_stem,
    stable_name,
)
from kuaihl.models.data.checks import record_problems
from kuaihl.models.facts import RoomRecord

BROKEN = os.fsdecode(b"\xff\xfe.flv")  # a name that is not UTF-8
ODD = [
    "🔥.flv",
    "💧.flv",
    "文" * 83,
    "文" * 84,
    "x" * 250,
    "x" * 251,
    BROKEN,
    "-rf.flv",
    ".hidden.flv",
    "a b",
    "a_b",
    "...",
]


def test_a_plain_path_stays_as_it_is() -> None:
    assert path_name(("2026-01-01_live.flv",)) == "2026-01-01_live.flv"
    assert path_name(("room", "录像.flv")) == "room__录像.flv"


@pytest.mark.parametrize("name", [safe_name, stable_name, room_id, lambda text: path_name((text,))])
@pytest.mark.parametrize("text", ODD)
def test_every_name_fits_a_file_system_and_a_data_set(name, text: str) -> None:  # type: ignore[no-untyped-def]
    made = name(text)
    assert len(f"{made}_01_00-00-00.safetensors".encode()) <= 255
    assert not list(record_problems([RoomRecord(made, "", 1, "train")]))


def test_no_two_paths_share_a_name() -> None:
    paths = [*((text,) for text in ODD), ("deep", "c.flv"), ("deep__c.flv",), ("d_", "c.flv"), ("d", "_c.flv")]
    paths += [("rec.ts",), ("rec.mp4",), ("x" * 120 + "1.flv",), ("x" * 120 + "2.flv",)]
    assert len({path_name(path) for path in paths}) == len(paths)


def test_a_room_is_called_as_its_recording_without_the_suffix() -> None:
    assert room_id("8792912.flv") == "8792912"
    assert room_id("deep__c.MKV") == "deep__c"
    assert room_id("v1.2") == "v1.2"


def test_a_line_of_a_manifest_has_one_name_wherever_it_stands() -> None:
    assert source_name("./x/live.flv") == source_name("x/live.flv") == "x__live.flv"
    there, here = source_name("/archive/x/live.flv"), source_name("../x/live.flv")
    assert there.startswith("live.flv-")
    assert here.startswith("live.flv-")
    assert there != here
    url = source_name("rtmp://host/live/two?room=1")
    assert url.startswith("two-")
    assert url == source_name("rtmp://user:secret@host/live/two?room=1")
    assert url != source_name("rtmp://host/live/two?room=2")


def test_names_from_strangers_become_plain_file_names() -> None:
    assert safe_name("../../root/.ssh") == "root_.ssh"
    assert safe_name("a" * 500) == "a" * 120
    assert safe_name("///") == "room"
    assert source_stem("https://host/a/b.m3u8?x=/../c") == "b"
    assert source_stem("what? really.flv") == "what_really"
    assert source_stem("-") == "stdin"
    assert source_stem("录像 2026.flv") == "录像_2026"


def test_sources_of_one_stem_are_told_apart_in_any_order() -> None:
    one, two, other = distinct_stems(["x/live.flv", "y/live.flv", "solo.flv"])
    assert other == "solo"
    assert one != two
    assert distinct_stems(["y/live.flv", "x/live.flv"]) == [two, one]
