"""A run folder in an object store, where nothing can be appended to, locked or renamed.

A room is scored in a folder on disk, which is then put as a whole. run.json is deleted first and put last: where it is,
all of the run is.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from kuaihl.engines.outputs.atomic import cannot_write
from kuaihl.engines.outputs.lock import FolderLock
from kuaihl.engines.outputs.run_folder import HIGHLIGHTS_FILE, RECORD_FILE, make_folder, was_interrupted
from kuaihl.engines.stores.store import delete_objects, fetch_file, is_there, list_objects, look_up, put_file
from kuaihl.engines.stores.urls import join_url
from kuaihl.models.atomic import scratch_folder
from kuaihl.models.errors import SourceError, SourceUnavailable, UsageError

T = TypeVar("T")

_LAST = (HIGHLIGHTS_FILE, RECORD_FILE)


def is_stored_whole(url: str) -> bool:
    """Whether a whole run is at an address. Raises SourceError, SourceUnavailable if the store cannot be asked."""
    return is_there(join_url(url, RECORD_FILE))


def version_of(url: str) -> str | None:
    """What changes whenever a run is put to an address; None if no whole one is there. Raises as `is_stored_whole`."""
    try:
        found = look_up(join_url(url, RECORD_FILE))
    except SourceUnavailable:
        raise
    except SourceError:
        return None
    return f"{found.size}:{found.modified}:{found.tag}"


def put_run(folder: Path, url: str, *, keep: bool = False) -> None:
    """Put a run folder in the place of what is at an address, without what is hidden in it.

    It goes from the disk unless its run can be gone on with, or `keep` is set.

    Raises UsageError if it cannot be put or another process is writing into it, SourceUnavailable if the store does not
    answer. The folder is then still there.
    """
    lock = FolderLock(folder)
    try:
        with _as_output():
            _put_files(folder, url)
        if not (keep or was_interrupted(folder)):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.release()


def _put_files(folder: Path, url: str) -> None:
    before = {one.url for one in list_objects(url)}
    delete_objects({join_url(url, RECORD_FILE)} & before)
    paths = {path.relative_to(folder).parts: path for path in sorted(folder.rglob("*")) if path.is_file()}
    shown = {parts: path for parts, path in paths.items() if not any(part.startswith(".") for part in parts)}
    files = {join_url(url, *parts): path for parts, path in shown.items()}
    last = [join_url(url, name) for name in _LAST]
    for target in [target for target in files if target not in last]:
        put_file(files[target], target)
    delete_objects(before - files.keys() - set(last))  # of a run that had other clips
    for target in filter(files.__contains__, last):
        put_file(files[target], target, only_if_new=target == last[-1])


def fetch_run(url: str, folder: Path) -> None:
    """Copy a run into a folder. Raises SourceError if it cannot be read, UsageError if it cannot be written."""
    for one in list_objects(url):
        path = folder.joinpath(*one.url.removeprefix(url.rstrip("/") + "/").split("/"))
        make_folder(path.parent)
        try:
            fetch_file(one.url, path)
        except OSError as error:
            raise cannot_write(path, error) from error


def with_stored_run(url: str, workplace: Path, use: Callable[[Path], T]) -> T | None:
    """What `use` makes of a copy of a stored run, which is put back if it has changed; None if there is no whole run.

    Raises as `fetch_run` and `put_run`.
    """
    if not is_stored_whole(url):
        return None
    make_folder(workplace)
    with scratch_folder(workplace, ".stored-") as scratch:
        copy = scratch / "run.kuaihl"
        fetch_run(url, copy)
        before = _content_of(copy)
        result = use(copy)
        if _content_of(copy) != before:
            put_run(copy, url)
        return result


def _content_of(folder: Path) -> tuple[bytes, ...]:
    """What is rewritten whenever something else in a run folder is."""
    content = []
    for name in _LAST:
        with suppress(OSError):
            content.append((folder / name).read_bytes())
    return tuple(content)


@contextmanager
def _as_output() -> Iterator[None]:
    """An address that cannot be written is no source that cannot be read."""
    try:
        yield
    except SourceUnavailable:
        raise
    except SourceError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be read ({error.strerror or error})") from error
