"""What a folder holds: recordings that are ready, and every other file with the reason why it is left out."""

import os
import socket
import time
from pathlib import Path

import pytest

from kuaihl.engines.archive.recordings import comments_beside, find_recordings

LONG_AGO = 1_000_000_000.0


def put(folder: Path, name: str | bytes, changed: float = LONG_AGO) -> None:
    path = folder / os.fsdecode(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (changed, changed))


def reasons(folder: Path, min_age: float = 60.0) -> dict[str, str]:
    found = find_recordings(folder, folder / "out", min_age)
    return {os.path.relpath(one.source, folder): one.reason for one in found.left_out}


def names(folder: Path, min_age: float = 60.0) -> list[str]:
    return [path.name for path in find_recordings(folder, folder / "out", min_age).files]


def test_every_file_that_is_no_recording_has_its_reason(tmp_path: Path) -> None:
    for name in ("a.flv", "._a.flv", "cover.jpg", "README", "x.flv/inner.ts", "out/a/clips/a_01.mp4"):
        put(tmp_path, name)
    os.mkfifo(tmp_path / "pipe.ts")
    (tmp_path / "gone.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "linked").symlink_to(tmp_path / "x.flv")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "socket.flv"))
    assert names(tmp_path) == ["a.flv", "inner.ts"]
    assert reasons(tmp_path) == {
        "._a.flv": "what macOS notes on a file, not a recording",
        "README": "no suffix",
        "cover.jpg": "no suffix of a recording",
        "gone.mp4": "a broken link",
        "linked": "a linked folder, which is not followed",
        "pipe.ts": "a named pipe, not a recording",
        "socket.flv": "a socket, not a recording",
        "x.flv": "a folder; the files in it count",
    }


def test_a_growing_file_waits_for_the_next_run(tmp_path: Path) -> None:
    put(tmp_path, "settled.flv", time.time() - 90)
    put(tmp_path, "growing.flv", time.time() - 5)
    put(tmp_path, "dated.flv", time.time() + 86_400)  # copied with a time from a clock that is ahead
    assert names(tmp_path) == ["settled.flv"]
    assert "may still be written" in reasons(tmp_path)["growing.flv"]
    assert "may still be written" in reasons(tmp_path)["dated.flv"]
    assert names(tmp_path, 3.0) == ["growing.flv", "settled.flv"]
    assert names(tmp_path, 0.0) == ["dated.flv", "growing.flv", "settled.flv"]


def test_a_recording_waits_for_the_last_part_of_its_comments(tmp_path: Path) -> None:
    put(tmp_path, "a.flv")
    put(tmp_path, "a.xml", time.time() - 5)
    assert names(tmp_path) == []
    assert reasons(tmp_path) == {
        "a.flv": "its comments changed 5 s ago, so they may still be written; the next run takes it"
    }
    assert names(tmp_path, 3.0) == ["a.flv"]


@pytest.mark.parametrize("suffix", [".aac", ".mka", ".m2ts", ".3gp", ".f4v", ".FLV", ".m4b"])
def test_suffixes_of_recordings(tmp_path: Path, suffix: str) -> None:
    put(tmp_path, f"a{suffix}")
    assert names(tmp_path) == [f"a{suffix}"]


@pytest.mark.parametrize("suffix", [".xml", ".XML", ".danmaku.xml", ".json", ".jsonl", ".live_chat.json.gz", ".xml.gz"])
def test_comments_beside_a_recording_are_found_and_not_left_out(tmp_path: Path, suffix: str) -> None:
    put(tmp_path, "a.flv")
    put(tmp_path, f"a{suffix}")
    put(tmp_path, f"b{suffix}")
    assert comments_beside(tmp_path / "a.flv") == tmp_path / f"a{suffix}"
    assert list(reasons(tmp_path)) == [f"b{suffix}"]


def test_names_of_any_length_and_bytes_are_found(tmp_path: Path) -> None:
    put(tmp_path, "x" * 251 + ".flv")
    put(tmp_path, b"\xff\xfe.flv")
    assert sorted(map(len, names(tmp_path))) == [6, 255]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0)
    assert reasons(tmp_path) == {"locked": "cannot be read (Permission denied)"}
