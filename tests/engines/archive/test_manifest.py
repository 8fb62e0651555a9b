"""What a batch is to score: folders and manifests as rooms."""

from pathlib import Path

import pytest

from kuaihl.engines.archive.manifest import read_rooms, safe_name, source_stem
from kuaihl.models.errors import SourceError


def test_a_folder_gives_its_recordings_with_the_comments_beside_them(tmp_path: Path) -> None:
    for name in ("b.flv", "a.mp4", "a.live_chat.json", "b.xml", "notes.txt", "deep/c.mkv"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    rooms = read_rooms(tmp_path / "in", tmp_path / "out")
    assert [Path(room.source).name for room in rooms] == ["a.mp4", "b.flv", "c.mkv"]
    assert [room.comments and room.comments.name for room in rooms] == ["a.live_chat.json", "b.xml", None]
    assert [room.output.name for room in rooms] == ["a", "b", "deep__c"]


def test_what_an_earlier_batch_cut_is_not_scored_again(tmp_path: Path) -> None:
    (tmp_path / "out" / "a" / "clips").mkdir(parents=True)
    (tmp_path / "out" / "a" / "clips" / "a_01.mp4").touch()
    (tmp_path / "a.mp4").touch()
    assert len(read_rooms(tmp_path, tmp_path / "out")) == 1


def test_a_manifest_names_paths_urls_and_objects(tmp_path: Path) -> None:
    manifest = tmp_path / "rooms.txt"
    manifest.write_text(
        "# tonight\none.flv\nrtmp://host/live/two?token=1\n"
        '{"source": "three.flv", "comments": "three.jsonl", "streamer": "ann", "id": "../../etc/passwd"}\n',
        encoding="utf-8",
    )
    one, two, three = read_rooms(manifest, tmp_path / "out")
    assert one.source == str(tmp_path / "one.flv")
    assert (two.source, two.output.name) == ("rtmp://host/live/two?token=1", "two")
    assert (three.comments, three.streamer) == (tmp_path / "three.jsonl", "ann")
    assert three.output == tmp_path / "out" / "etc_passwd"


def test_a_line_may_name_what_an_editor_cut(tmp_path: Path) -> None:
    manifest = tmp_path / "rooms.txt"
    manifest.write_text('{"source": "live.flv", "cuts": "edits/best.edl"}\nother.flv\n')
    live, other = read_rooms(manifest, tmp_path / "out")
    assert live.cuts == tmp_path / "edits" / "best.edl"
    assert other.cuts is None


def test_rooms_of_one_name_get_folders_of_their_own(tmp_path: Path) -> None:
    manifest = tmp_path / "rooms.txt"
    manifest.write_text("x/live.flv\ny/live.flv\nz/live.mp4\n")
    assert [room.output.name for room in read_rooms(manifest, tmp_path)] == ["live", "live_2", "live_3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "names no source"),
        (b"{broken\n", "line 1: not JSON"),
        (b'{"id": "x"}\n', 'line 1: no "source"'),
        (b"\xff\xfe\x00FLV\x01", "not a manifest"),
    ],
)
def test_a_bad_manifest_is_named_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    manifest = tmp_path / "rooms.txt"
    manifest.write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read_rooms(manifest, tmp_path / "out")


def test_names_from_strangers_become_plain_file_names() -> None:
    assert safe_name("../../root/.ssh") == "root_.ssh"
    assert safe_name("a" * 500) == "a" * 120
    assert safe_name("///") == "room"
    assert source_stem("https://host/a/b.m3u8?x=/../c") == "b"
    assert source_stem("-") == "stdin"
    assert source_stem("录像 2026.flv") == "录像_2026"
