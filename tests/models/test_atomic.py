"""A file or a folder is there whole or not at all, and what fails leaves the old one and no litter."""

import os
from pathlib import Path

import pytest

from kuaihl.models.atomic import fill_folder, write_atomic


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_bytes_and_text_replace_what_was_there(tmp_path: Path) -> None:
    for content, data in (("é\n", "é\n".encode()), (b"\x00\r\n", b"\x00\r\n"), ("\ud800", b"?")):
        write_atomic(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == data
    assert names(tmp_path) == ["file"]


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    write_atomic(tmp_path / ("n" * longest), "text")
    assert names(tmp_path) == ["n" * longest]


@pytest.mark.parametrize("failing", ["os.fsync", "pathlib.Path.replace"])
@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_alone(
    failing: str, fault: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise fault

    (tmp_path / "file").write_text("old")
    with monkeypatch.context() as patched:
        patched.setattr(failing, fail)
        with pytest.raises(type(fault)):
            write_atomic(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


def fill(folder: Path) -> None:
    write_atomic(folder / "name", "new")


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    fill_folder(tmp_path / "a" / "b", fill, replace=True)
    assert (tmp_path / "a" / "b" / "name").read_text() == "new"
    assert names(tmp_path / "a") == ["b"]


@pytest.mark.parametrize(("replace", "name"), [(True, "name"), (False, "old")])
def test_a_folder_that_is_there_is_replaced_or_stays(replace: bool, name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").write_text("old")
    fill_folder(tmp_path / "folder", fill, replace=replace)
    assert names(tmp_path / "folder") == [name]
    assert names(tmp_path) == ["folder"]


def test_a_folder_that_cannot_be_moved_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").write_text("old")
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", fail)
        with pytest.raises(PermissionError):
            fill_folder(tmp_path / "folder", fill, replace=True)
    assert names(tmp_path / "folder") == ["old"]
    assert names(tmp_path) == ["folder"]


def test_a_filler_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fill_folder(tmp_path / "folder", lambda folder: (folder / "a" / "b").touch(), replace=False)
    assert names(tmp_path) == []
