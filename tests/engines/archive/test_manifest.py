"""What a batch is to score: folders and manifests as rooms."""

import io
import os
import sys
import time
from pathlib import Path

import pytest

from kuaihl.engines.archive.jobs import Job
from kuaihl.engines.archive.manifest import read_archive
from kuaihl.models.errors import SourceError, UsageError


def rooms_of(archive: Path, output: Path) -> tuple[Job, ...]:
    return read_archive(archive, output, min_age=0.0).rooms


def test_a_folder_gives_its_recordings_with_the_comments_beside_them(tmp_path: Path) -> None:
    for name in ("b.flv", "a.mp4", "a.live_chat.json", "b.xml", "notes.txt", "deep/c.mkv"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    rooms = rooms_of(tmp_path / "in", tmp_path / "out")
    assert [Path(room.source).name for room in rooms] == ["a.mp4", "b.flv", "c.mkv"]
    assert [room.comments and room.comments.name for room in rooms] == ["a.live_chat.json", "b.xml", None]
    assert [room.output.name for room in rooms] == ["a.mp4", "b.flv", "deep__c.mkv"]
    assert [room.room for room in rooms] == ["a", "b", "deep__c"]


def test_a_new_neighbour_changes_no_name(tmp_path: Path) -> None:
    (tmp_path / "rec.ts").touch()
    (before,) = rooms_of(tmp_path, tmp_path / "out")
    for name in ("rec.mp4", "\U0001f525.ts", "rec.aac"):
        (tmp_path / name).touch()
    assert before in rooms_of(tmp_path, tmp_path / "out")


def test_what_an_earlier_batch_cut_is_not_scored_again(tmp_path: Path) -> None:
    (tmp_path / "out" / "a" / "clips").mkdir(parents=True)
    (tmp_path / "out" / "a" / "clips" / "a_01.mp4").touch()
    (tmp_path / "a.mp4").touch()
    assert len(rooms_of(tmp_path, tmp_path / "out")) == 1
    with pytest.raises(UsageError, match="the folder of the recordings"):
        rooms_of(tmp_path, tmp_path / "out" / "..")


def test_a_folder_of_files_that_are_not_ready_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    archive = read_archive(tmp_path, tmp_path / "out", min_age=60.0)
    assert (archive.rooms, len(archive.left_out)) == ((), 1)
    (tmp_path / "a.mp4").rename(tmp_path / "a.txt")
    with pytest.raises(SourceError, match="no recordings in this folder"):
        read_archive(tmp_path, tmp_path / "out", min_age=60.0)


def test_a_manifest_names_paths_urls_and_objects(tmp_path: Path) -> None:
    manifest = tmp_path / "rooms.txt"
    manifest.write_text(
        "# tonight\none.flv\nrtmp://host/live/two?token=1\n"
        '{"source": "three.flv", "comments": "three.jsonl", "streamer": "ann", "id": "../../etc/passwd"}\n',
        encoding="utf-8",
    )
    one, two, three = rooms_of(manifest, tmp_path / "out")
    assert (one.source, one.output.name, one.room) == (str(tmp_path / "one.flv"), "one.flv", "one")
    assert (two.source, two.room) == ("rtmp://host/live/two?token=1", "two")
    assert two.output.name.startswith("two-")
    assert (three.comments, three.streamer) == (tmp_path / "three.jsonl", "ann")
    assert three.output.parent == tmp_path / "out"
    assert three.output.name.startswith("etc_passwd-")


def test_a_line_may_name_what_an_editor_cut(tmp_path: Path) -> None:
    manifest = tmp_path / "rooms.txt"
    manifest.write_text('{"source": "live.flv", "cuts": "edits/best.edl"}\nother.flv\n')
    live, other = rooms_of(manifest, tmp_path / "out")
    assert live.cuts == tmp_path / "edits" / "best.edl"
    assert other.cuts is None


def test_a_name_does_not_depend_on_the_order_of_the_lines(tmp_path: Path) -> None:
    manifest = tmp_path / "rooms.txt"
    lines = ["x/live.flv", "y/live.flv", "z/live.mp4"]
    manifest.write_text("\n".join(lines))
    names = {room.source: room.output.name for room in rooms_of(manifest, tmp_path)}
    assert list(names.values()) == ["x__live.flv", "y__live.flv", "z__live.mp4"]
    manifest.write_text("\n".join(reversed(lines)))
    assert {room.source: room.output.name for room in rooms_of(manifest, tmp_path)} == names


def test_a_source_that_is_named_twice_or_still_grows_is_left_out(tmp_path: Path) -> None:
    manifest = tmp_path / "rooms.txt"
    for name, age in (("old.flv", 90), ("new.flv", 0)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    manifest.write_text("old.flv\n./old.flv\nnew.flv\nmissing.flv\n")
    archive = read_archive(manifest, tmp_path / "out", min_age=60.0)
    assert [Path(room.source).name for room in archive.rooms] == ["old.flv", "missing.flv"]
    twice, growing = archive.left_out
    assert twice.reason == "on line 1 already"
    assert "may still be written" in growing.reason


def test_a_name_that_is_not_utf_8_comes_through_a_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in `find … | kuaihl batch -`; U+2028 is part of a name, too."""
    lines = os.fsencode(tmp_path) + b"/\xff.flv\r\n" + "a\u2028b.flv\n".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    broken, parted = rooms_of(Path("-"), tmp_path / "out")
    assert os.fsencode(broken.source) == os.fsencode(tmp_path) + b"/\xff.flv"
    assert parted.source == "a\u2028b.flv"


def test_comments_that_a_recorder_lists_after_their_recording_belong_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As biliup gives them to a command: the recording, then its comments, on standard input."""
    listed = [tmp_path / name for name in ("a.flv", "a.xml", "b.flv", "b.XML", "alone.xml", "c.flv")]
    (tmp_path / "a.live_chat.json").touch()  # what lies beside counts if nothing is listed
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(map(str, listed)).encode())))
    archive = read_archive(Path("-"), tmp_path / "out", min_age=0.0)
    assert [(Path(room.source).name, room.comments and room.comments.name) for room in archive.rooms] == [
        ("a.flv", "a.xml"),
        ("b.flv", "b.XML"),
        ("c.flv", None),
    ]
    (one,) = archive.left_out
    assert (Path(one.source).name, one.is_expected) == ("alone.xml", True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "names no source"),
        (b"{broken\n", "line 1: not JSON"),
        (b'{"id": "x"}\n', 'line 1: no "source"'),
        (b'{"source": "a\\u0000.flv"}\n', "line 1: a NUL character"),
        (b'{"a":' * 100_000, "line 1: not JSON"),
        (b'{"source": "a", "id": "x"}\n{"source": "b", "id": "x"}', "line 2: x is the name of line 1 too"),
        (b"\xff\xfe\x00FLV\x01", "not a manifest"),
    ],
)
def test_a_bad_manifest_is_named_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    manifest = tmp_path / "rooms.txt"
    manifest.write_bytes(content)
    with pytest.raises(SourceError, match=message):
        rooms_of(manifest, tmp_path / "out")
