"""Webhooks of recorders: payloads as the recorders post them, and what else may arrive."""

from pathlib import Path
from typing import Any

import pytest

from kuaihl.engines.archive.recorder_hooks import RECORDERS, Announcement, read_announcement
from kuaihl.models.errors import SourceError, UsageError

ROOT = Path("/rec")
FILE_CLOSED = {
    "EventType": "FileClosed",
    "EventTimestamp": "2026-11-25T17:52:50.5+08:00",
    "EventId": "98f85267",
    "EventData": {"RelativePath": "23058-room/day.flv", "FileSize": 816412, "SessionId": "7c7f", "RoomId": 23058},
}
POSTPROCESSED = {
    "type": "PostprocessingCompletedEvent",
    "id": "b1f3",
    "date": "2026-11-25 17:52:50+08:00",
    "data": {"room_id": 23058, "files": ["/rec/room/day.mp4", "/rec/room/day.xml", "/rec/room/day.jpg"]},
}
FILE_COMPLETED = {
    "id": "3a81165f",
    "version": 1,
    "time": "2026-11-25T09:52:50.020Z",
    "type": "file_completed",
    "data": {"filePath": "/rec/room/day.flv", "roomId": "123456", "platform": "Bilibili"},
}
SEGMENT_COMPLETED = {
    "event_type": "segment_completed",
    "priority": "low",
    "streamer_id": "s1",
    "data": {
        "SegmentCompleted": {
            "session_id": "x9",
            "segment_path": "/rec/room/day.flv",
            "segment_index": 3,
            "size_bytes": 1,
        }
    },
}
PAYLOADS = {
    "bililive-recorder": FILE_CLOSED,
    "blrec": POSTPROCESSED,
    "bililive-tools": FILE_COMPLETED,
    "rust-srec": SEGMENT_COMPLETED,
}


@pytest.mark.parametrize(
    ("recorder", "expected"),
    [
        ("bililive-recorder", Announcement("98f85267", (ROOT / "23058-room" / "day.flv",))),
        ("blrec", Announcement("b1f3", (ROOT / "room" / "day.mp4",))),
        ("bililive-tools", Announcement("3a81165f", (ROOT / "room" / "day.flv",))),
        ("rust-srec", Announcement("x9/3", (ROOT / "room" / "day.flv",))),
    ],
)
def test_a_finished_file_is_announced_by_its_path_and_an_id(recorder: str, expected: Announcement) -> None:
    assert read_announcement(recorder, PAYLOADS[recorder], ROOT) == expected


@pytest.mark.parametrize(
    ("recorder", "other"),
    [
        ("bililive-recorder", FILE_CLOSED | {"EventType": "FileOpening"}),
        ("blrec", {"type": "VideoFileCompletedEvent", "id": "1", "data": {"room_id": 1, "path": "/rec/a.flv"}}),
        ("bililive-tools", FILE_COMPLETED | {"type": "file_created"}),
        ("rust-srec", {"event_type": "stream_online", "data": {"StreamOnline": {}}}),
    ],
)
def test_other_events_announce_nothing(recorder: str, other: dict[str, Any]) -> None:
    assert read_announcement(recorder, other, ROOT) is None


def test_a_recorder_on_windows_writes_its_relative_paths_with_backslashes() -> None:
    payload = FILE_CLOSED | {"EventData": {"RelativePath": "23058-room\\day.flv"}}
    assert read_announcement("bililive-recorder", payload, ROOT) == Announcement(
        "98f85267", (ROOT / "23058-room" / "day.flv",)
    )


@pytest.mark.parametrize("name", ["../etc/a.flv", "/etc/a.flv", "room/../../a.flv", "a\0.flv", ".", "/rec2/a.flv"])
def test_no_path_leaves_the_folder_of_the_recorder(name: str) -> None:
    for recorder, payload in (
        ("bililive-recorder", FILE_CLOSED | {"EventData": {"RelativePath": name}}),
        ("blrec", POSTPROCESSED | {"data": {"files": [name]}}),
    ):
        with pytest.raises(SourceError, match="outside /rec"):
            read_announcement(recorder, payload, ROOT)


@pytest.mark.parametrize("recorder", RECORDERS)
@pytest.mark.parametrize("payload", [None, [], "text", {}, {"type": 1, "EventType": None, "event_type": {}}])
def test_a_payload_of_something_else_is_one_line(recorder: str, payload: object) -> None:
    with pytest.raises(SourceError, match=f"^not what {recorder} posts: "):
        read_announcement(recorder, payload, ROOT)


@pytest.mark.parametrize("recorder", RECORDERS)
def test_a_payload_that_lacks_its_last_part_is_one_line(recorder: str) -> None:
    payload = dict(PAYLOADS[recorder])
    del payload["EventData" if recorder == "bililive-recorder" else "data"]
    with pytest.raises(SourceError, match="posts: no "):
        read_announcement(recorder, payload, ROOT)


def test_an_unknown_recorder_is_told_those_that_are_known() -> None:
    with pytest.raises(UsageError, match="known are bililive-recorder, blrec"):
        read_announcement("obs", {}, ROOT)
