"""The recordings in a folder: which files are some, which comments belong to them, and why others are left out."""

import os
import stat
import time
from collections.abc import Iterator, Set
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path, PurePath

from kuaihl.engines.archive.jobs import LeftOut
from kuaihl.engines.archive.names import MEDIA_SUFFIXES

MIN_AGE = 60.0  # seconds without a change after which a file counts as written

# Suffixes that recorders and downloaders give the comments of NAME.flv, the most telling first: NAME.xml, …
COMMENT_SUFFIXES = (
    *(".xml", ".live_chat.json", ".comments.xml", ".comments.jsonl", ".danmaku.xml", ".chat.json", ".chat.json.gz"),
    *(".live_chat.json.gz", ".comments.json", ".chat.jsonl", ".xml.gz", ".jsonl", ".json"),
)
_MAC_FILE = "._"  # how macOS calls what it knows of a file, on foreign disks
_KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


@dataclass(frozen=True)
class Recordings:
    """What a folder holds, in order of the paths: recordings with their comments, and other files."""

    files: dict[Path, Path | None]
    left_out: list[LeftOut]


def comments_beside(recording: Path, names: Set[str] | None = None) -> Path | None:
    """The file of comments that a recorder left beside a recording, if any; `names` are those that may be there."""
    if names is not None and not names:
        return None
    folder, stem = recording.parent, recording.stem
    for suffix in COMMENT_SUFFIXES:
        for written in (suffix, suffix.upper()):
            if names is not None and stem + written not in names:
                continue
            candidate = folder / (stem + written)  # with_name rejects a name of "."
            with suppress(OSError):  # of a name that is too long
                if candidate.is_file():
                    return candidate
    return None


def are_comments_of(path: Path, recording: Path) -> bool:
    """Whether a file has the name of a recording's comments, and its place."""
    name = path.name.removeprefix(recording.stem)
    return path.parent == recording.parent and name != path.name and name.lower() in COMMENT_SUFFIXES


def is_named_like_comments(path: PurePath) -> bool:
    """Whether a file has a suffix of comments, whosever they are."""
    return path.name.lower().endswith(COMMENT_SUFFIXES)


def find_recordings(folder: Path, output: Path, min_age: float) -> Recordings:
    """The recordings of a folder and its subfolders, except those below `output`.

    Linked folders are not followed. A recording may still be written if it, or the file of its comments, changed less
    than `min_age` seconds ago.
    """
    found = Recordings({}, [])
    read, settled = set(), time.time() - min_age
    for entry, names in _walk(str(folder), output.resolve(), found.left_out):
        path = Path(entry.path)
        if not _is_ordinary(entry) and (reason := why_left_out(path)) is not None:
            is_expected = not _is_named_like_media(path) and not path.is_dir()
            found.left_out.append(LeftOut(str(path), reason, is_expected))
            continue
        comments = comments_beside(path, names)
        read.add(comments)
        if comments is None and _is_settled(entry, settled):
            found.files[path] = None
        elif (reason := why_growing(path, comments, min_age)) is None:
            found.files[path] = comments
        else:
            found.left_out.append(LeftOut(str(path), reason, is_growing=True))
    found.left_out[:] = [one for one in found.left_out if Path(one.source) not in read]
    return found


def _is_ordinary(entry: "os.DirEntry[str]") -> bool:
    """Whether a file is a recording for sure, as most are: this takes no call of the system."""
    suffix = entry.name[entry.name.rfind(".") :].lower()
    return suffix in MEDIA_SUFFIXES and entry.name[0] != "." and entry.is_file(follow_symlinks=False)


def _is_settled(entry: "os.DirEntry[str]", since: float) -> bool:
    """Whether a file has surely not changed since then."""
    try:
        return entry.stat().st_mtime <= since
    except OSError:
        return False


def why_left_out(path: Path) -> str | None:
    """Why a file in a folder is no recording, finished or not; None if it is one."""
    if path.is_symlink() and path.is_dir():
        return "a linked folder, which is not followed"
    if (reason := why_no_name(path)) is not None:
        return reason
    try:
        found = path.stat()
    except OSError as error:
        return "a broken link" if path.is_symlink() else f"cannot be read ({error.strerror})"
    if stat.S_ISDIR(found.st_mode):
        return "a folder; the files in it count"
    if not stat.S_ISREG(found.st_mode):
        return f"{_KINDS.get(stat.S_IFMT(found.st_mode), 'a special file')}, not a recording"
    return None


def why_no_name(path: PurePath) -> str | None:
    """Why a name is not one of a recording; None if it is."""
    if path.suffix.lower() not in MEDIA_SUFFIXES:
        return "no suffix of a recording" if path.suffix else "no suffix"
    return "what macOS notes on a file, not a recording" if path.name.startswith(_MAC_FILE) else None


def why_growing(recording: Path, comments: Path | None, min_age: float) -> str | None:
    """Why a recording or its comments may still be written; None if neither has changed for `min_age` seconds.

    What is no regular file does not grow.
    """
    return why_young(_age(recording), None if comments is None else _age(comments), min_age)


def why_young(recording: float | None, comments: float | None, min_age: float) -> str | None:
    """As `why_growing`, for the seconds since each of them changed."""
    ages = {"changed {:.0f} s ago, so it may": recording, "its comments changed {:.0f} s ago, so they may": comments}
    for words, age in ages.items():
        if age is not None and age < min_age:
            return f"{words.format(age)} still be written; the next run takes it"
    return None


def _age(path: Path) -> float | None:
    """Seconds since a file changed, at least 0; None if it is no regular file, or is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    now = time.time()
    # A time that lies in the future was given to the file: then its change on this disk counts.
    changed = found.st_mtime if found.st_mtime <= now else min(found.st_ctime, now)
    return now - changed


def _walk(folder: str, ours: Path, left_out: list[LeftOut]) -> "Iterator[tuple[os.DirEntry[str], Set[str]]]":
    """Every file below a folder, and those folders that are linked or named like a recording, in order of the paths.

    With each come the names of the files beside it that may be comments. Our own clips may lie below, in `ours`: a
    batch must not score the clips of an earlier one.
    """
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=attrgetter("name"), reverse=True)
    except OSError as error:
        left_out.append(LeftOut(folder, f"cannot be read ({error.strerror})"))
        return
    folders = {entry.name for entry in entries if _is_folder(entry)}
    names = {entry.name for entry in entries if entry.name.lower().endswith(COMMENT_SUFFIXES)} - folders
    while entries:
        entry = entries.pop()  # with what it remembers of its file
        if entry.name not in folders:
            yield entry, names
        elif Path(entry.path).resolve() != ours:
            if entry.is_symlink() or _is_named_like_media(Path(entry.path)):
                yield entry, names
            if not entry.is_symlink():
                yield from _walk(entry.path, ours, left_out)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_named_like_media(path: Path) -> bool:
    return path.suffix.lower() in MEDIA_SUFFIXES
