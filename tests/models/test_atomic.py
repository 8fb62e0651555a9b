"""A file or a folder is there whole or not at all, and what fails leaves the old one and no litter."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from kuaihl.models.atomic import fill_folder, remove_torn, scratch_folder, write_atomic


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


def stopped_in(name: str, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]) -> int:
    """A process that does the work and stands still when it calls the function of that name."""
    child = os.fork()
    if not child:
        monkeypatch.setattr(name, lambda *_: os.kill(os.getpid(), signal.SIGSTOP))
        work()
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    return child


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def test_what_a_killed_process_left_is_removed_and_what_another_one_writes_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = stopped_in("os.fsync", monkeypatch, lambda: write_atomic(tmp_path / "file", "text"))
    (torn,) = names(tmp_path)
    remove_torn(tmp_path)
    assert names(tmp_path) == [torn]
    kill(writing)
    remove_torn(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(("replace", "content"), [(True, "new"), (False, "old")])
def test_a_kill_between_two_moves_loses_no_folder_and_leaves_no_litter(
    replace: bool, content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "name").write_text("old")
    rename = Path.rename

    def rename_old(path: Path, target: Path) -> None:
        """Moves the old folder away, and stands still before the new one comes."""
        if path.name == "new":
            os.kill(os.getpid(), signal.SIGSTOP)
        rename(path, target)

    child = os.fork()
    if not child:
        monkeypatch.setattr(Path, "rename", rename_old)
        fill_folder(folder, fill, replace=True)
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    (workshop,) = names(tmp_path)
    fill_folder(tmp_path / "fold", fill, replace=True)  # a neighbour, while the other one is at work
    assert set(names(tmp_path)) == {"fold", workshop}
    kill(child)
    fill_folder(folder, fill, replace=replace)
    assert (folder / "name").read_text() == content
    assert set(names(tmp_path)) == {"fold", "folder"}


def test_a_scratch_folder_takes_those_of_killed_processes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        with scratch_folder(tmp_path, "ours-") as folder:
            write_atomic(folder / "file", "text")

    working = stopped_in("os.fsync", monkeypatch, work)
    (tmp_path / "ours-not").mkdir()
    with scratch_folder(tmp_path, "ours-"):
        assert len(names(tmp_path)) == 3
    kill(working)
    with scratch_folder(tmp_path, "ours-"):
        assert len(names(tmp_path)) == 2
    assert names(tmp_path) == ["ours-not"]
