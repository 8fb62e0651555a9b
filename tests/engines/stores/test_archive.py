"""Many recordings below an address: listed as a folder's are."""

from pathlib import Path

import pytest
from support.s3_server import BUCKET, S3Server

from kuaihl.engines.archive.stored_recordings import find_comments, read_store
from kuaihl.models.errors import SourceError, UsageError


def test_recordings_their_comments_and_what_is_none_are_told_apart(s3: S3Server, tmp_path: Path) -> None:
    for key in (
        *(
            "anna/day 1.flv",
            "anna/day 1.xml",
            "anna/day 1.part.flv",
            "anna/._x.flv",
            "anna/cover.jpg",
            "anna/notes.xml",
        ),
        *("bo/live.mp4", "bo/live.live_chat.json", "out/anna__day_1.flv/clips/01.mp4"),
    ):
        s3.put(f"rooms/{key}", b"x")

    found = read_store(s3.url("rooms/"), tmp_path, results=s3.url("rooms/out"), min_age=0.0)

    assert {room.source: room.comments for room in found.rooms} == {
        s3.url("rooms/anna/day 1.flv"): s3.url("rooms/anna/day 1.xml"),
        s3.url("rooms/anna/day 1.part.flv"): None,
        s3.url("rooms/bo/live.mp4"): s3.url("rooms/bo/live.live_chat.json"),
    }
    assert len({room.output for room in found.rooms}) == 3
    assert all(room.output.parent == tmp_path for room in found.rooms)
    left = {one.source.rpartition("/")[2]: one.is_expected for one in found.left_out}
    assert left == {"._x.flv": False, "cover.jpg": True, "notes.xml": True}
    for room in found.rooms:
        assert find_comments(room.source) == room.comments


def test_what_was_written_a_moment_ago_waits(s3: S3Server, tmp_path: Path) -> None:
    s3.put("young/a.flv", b"x")

    found = read_store(s3.url("young"), tmp_path, results=None, min_age=60.0)

    assert not found.rooms
    assert [one.is_growing for one in found.left_out] == [True]
    with pytest.raises(UsageError, match="name another one for the results"):
        read_store(s3.url("young"), tmp_path, results=s3.url("young/"))
    with pytest.raises(SourceError, match="no recordings below this address"):
        read_store(s3.url("nowhere"), tmp_path, results=None)


def test_a_prefix_is_listed_page_by_page(s3: S3Server, tmp_path: Path) -> None:
    from moto.s3.models import s3_backends

    backend = next(iter(s3_backends["123456789012"].values()))
    for number in range(1500):
        backend.put_object(BUCKET, f"many/{number:05}.flv", b"")

    found = read_store(s3.url("many"), tmp_path, results=None, min_age=0.0)

    assert len(found.rooms) == 1500
    assert s3.asked == {"GET": 2}
