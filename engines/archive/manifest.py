"""The input of a batch: a folder of recordings, or a manifest that lists sources, as rooms with output folders."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kuaihl.engines.archive.jobs import Archive, Job, LeftOut
from kuaihl.engines.archive.names import (
    MEDIA_SUFFIXES,
    STDIN,
    path_name,
    room_id,
    source_name,
    source_stem,
    stable_name,
)
from kuaihl.engines.archive.recordings import (
    MIN_AGE,
    are_comments_of,
    comments_beside,
    find_recordings,
    is_named_like_comments,
    why_growing,
)
from kuaihl.models.errors import Remedy, SourceError, UsageError, reason_of
from kuaihl.models.json_text import parse_json

_MAX_MANIFEST_BYTES = 64 << 20


@dataclass(frozen=True)
class _Entry:
    """One line of a manifest; `name` is that of its outputs, `room` its id in a data set."""

    line: int
    source: str
    comments: Path | None
    streamer: str | None
    name: str
    room: str
    cuts: Path | None


def read_archive(archive: Path, output: Path, *, min_age: float = MIN_AGE) -> Archive:
    """The rooms of a folder (searched recursively) or of a manifest, each with its own output folder.

    A manifest has one source per line: a path (relative to the manifest) or URL, or a JSON object with `source` and
    optionally `comments`, `streamer`, `id`, `cuts`. `-` reads the manifest from standard input, with paths relative to
    the working directory. A path of comments that follows that of their recording belongs to it, as recorders list
    them. A recording that changed less than `min_age` seconds ago is left out, and so is one whose comments did. Raises
    SourceError if nothing is listed or it cannot be read, UsageError if the outputs would lie among the recordings.
    """
    if archive != Path(STDIN) and not archive.exists():
        raise SourceError(f"{archive}: no such folder or manifest")
    if not archive.is_dir():
        return _read_manifest(archive, output, min_age)
    found = read_folder(archive, output, min_age=min_age)
    if not found.rooms and all(one.is_expected for one in found.left_out):
        raise SourceError(f"{archive}: no recordings in this folder ({' '.join(sorted(MEDIA_SUFFIXES))})")
    return found


def read_folder(folder: Path, output: Path, *, min_age: float = MIN_AGE) -> Archive:
    """The rooms of a folder, of which there may be none. Raises UsageError if `output` is the folder itself."""
    if output.resolve() == folder.resolve():
        raise UsageError(f"{output}: is the folder of the recordings; name another one for the outputs")
    found = find_recordings(folder, output, min_age)
    rooms = [job_of(path, comments, folder, output) for path, comments in found.files.items()]
    left_out = [replace(one, name=path_name(_parts_below(folder, one.source))) for one in found.left_out]
    return Archive(tuple(rooms), tuple(left_out))


def _parts_below(folder: Path, source: str) -> list[str]:
    """The parts of a path below a folder; of the folder itself, its own."""
    base = str(folder)
    return source.removeprefix("" if base == "." else base.rstrip("/") + "/").split("/")


def job_of(path: Path, comments: Path | None, folder: Path, output: Path) -> Job:
    """A recording of a folder as a job."""
    parts = _parts_below(folder, str(path))
    return Job(str(path), output / path_name(parts), comments, room=room_id("__".join(parts)))


def _read_manifest(manifest: Path, output: Path, min_age: float) -> Archive:
    entries = list(_manifest_entries(manifest))
    if not entries:
        raise SourceError(f"{manifest}: the manifest names no source; write one path or URL a line")
    rooms: list[Job] = []
    left_out: list[LeftOut] = []
    first: dict[str, _Entry] = {}
    for entry in _with_listed_comments(entries):
        if _names_comments(entry):
            left_out.append(LeftOut(entry.source, "comments, and not those of the line before", is_expected=True))
            continue
        earlier = first.setdefault(entry.name, entry)
        if earlier.source != entry.source:
            raise SourceError(f"{manifest}, line {entry.line}: {entry.name} is the name of line {earlier.line} too")
        if earlier is not entry:
            left_out.append(LeftOut(entry.source, f"on line {earlier.line} already"))
            continue
        if "://" not in entry.source and (reason := why_growing(Path(entry.source), entry.comments, min_age)):
            left_out.append(LeftOut(entry.source, reason, is_growing=True, name=entry.name))
            continue
        rooms.append(
            Job(entry.source, output / entry.name, entry.comments, entry.streamer, entry.cuts, room=entry.room)
        )
    return Archive(tuple(rooms), tuple(left_out))


def _manifest_entries(manifest: Path) -> Iterator[_Entry]:
    """The entry of each line of a manifest."""
    for number, line in enumerate(_manifest_lines(manifest), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        entry = _manifest_object(manifest, number, line) if line.startswith("{") else {"source": line}
        source = _locate(entry["source"], manifest.parent)
        comments = Path(_locate(entry["comments"], manifest.parent)) if entry.get("comments") else None
        if comments is None and "://" not in source:
            comments = comments_beside(Path(source))
        given = entry.get("id")
        yield _Entry(
            line=number,
            source=source,
            comments=comments,
            streamer=entry.get("streamer"),
            name=stable_name(given) if given else source_name(entry["source"]),
            room=stable_name(given) if given else _room_of(entry["source"]),
            cuts=Path(_locate(entry["cuts"], manifest.parent)) if entry.get("cuts") else None,
        )


def _with_listed_comments(entries: list[_Entry]) -> list[_Entry]:
    """The entries without those that name the comments of the recording before them, which gets them."""
    found: list[_Entry] = []
    for entry in entries:
        if found and _names_comments(entry) and are_comments_of(Path(entry.source), Path(found[-1].source)):
            found[-1] = replace(found[-1], comments=Path(entry.source))
        else:
            found.append(entry)
    return found


def _names_comments(entry: _Entry) -> bool:
    return "://" not in entry.source and is_named_like_comments(Path(entry.source))


def _manifest_lines(manifest: Path) -> list[str]:
    """The lines of a manifest; a name in it that is not UTF-8 keeps its bytes, as the system's own calls do."""
    try:
        with sys.stdin.buffer if manifest == Path(STDIN) else manifest.open("rb") as file:
            content = file.read(_MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise SourceError(f"{manifest}: cannot be read ({error.strerror})") from error
    if len(content) > _MAX_MANIFEST_BYTES:
        raise SourceError(f"{manifest}: a manifest of more than {_MAX_MANIFEST_BYTES >> 20} MB; split it")
    if b"\0" in content:
        raise SourceError(
            f"{manifest}: not a manifest (text, one source per line)",
            remedy=Remedy("score a recording by itself", command="score", arguments=(str(manifest),)),
        )
    # Not splitlines: a file's name may hold U+2028.
    return content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").split("\n")


def _manifest_object(manifest: Path, number: int, line: str) -> dict[str, str]:
    try:
        entry = parse_json(line)
    except ValueError as error:
        raise SourceError(f"{manifest}, line {number}: not JSON ({reason_of(error)})") from error
    if not isinstance(entry.get("source"), str):
        raise SourceError(f'{manifest}, line {number}: no "source"')
    texts = {key: str(value) for key, value in entry.items() if value is not None}
    if any("\0" in text for text in texts.values()):
        raise SourceError(f"{manifest}, line {number}: a NUL character, which no name can have")
    return texts


def _room_of(source: str) -> str:
    """The id of a source that a manifest gives none: a recording's own name, without its folders."""
    return source_stem(source) if "://" in source else room_id(Path(source).name)


def _locate(name: str, folder: Path) -> str:
    """A URL unchanged; a path relative to the manifest's folder."""
    return name if "://" in name else str(folder / name)
