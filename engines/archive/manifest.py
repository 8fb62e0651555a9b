"""The input of a batch: a folder of recordings, or a manifest that lists sources, as rooms with output folders."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kuaihl.engines.archive.jobs import Job
from kuaihl.models.credentials import MASK, shown_source
from kuaihl.models.errors import Remedy, SourceError

# Suffixes that recorders and downloaders give the comments of NAME.flv: NAME.xml, NAME.live_chat.json, …
_COMMENT_SUFFIXES = (".xml", ".live_chat.json", ".comments.xml", ".comments.jsonl", ".chat.json", ".chat.json.gz")
_MAX_MANIFEST_BYTES = 64 << 20
_STDIN = Path("-")


@dataclass(frozen=True)
class _Entry:
    """One recording from a folder or manifest, before it has an output folder."""

    source: str
    comments: Path | None
    streamer: str | None
    name: str
    cuts: Path | None = None


def safe_name(name: str) -> str:
    """A file name made from an untrusted room id or URL: no separators, no leading dots, at most 120 characters."""
    kept = re.sub(r"[^\w.\-]+", "_", name).strip("._")
    return kept[:120] or "room"


def source_stem(source: str) -> str:
    """The name for a source's outputs: a file's stem, a URL's last path part, `stdin` for `-`."""
    if source == "-":
        return "stdin"
    if "://" in source:  # a key in its path names nothing
        address = shown_source(source).split("://", 1)[1].split("?", 1)[0]
        parts = [part for part in address.split("/") if part and not part.startswith(MASK)]
        name = parts[-1] if parts else ""
    else:
        name = source.rstrip("/").rsplit("/", 1)[-1]
    stem, dot, _ = name.rpartition(".")
    return safe_name(stem if dot and stem else name)


def comments_beside(recording: Path) -> Path | None:
    """The file of comments that a recorder left beside a recording, if any."""
    for suffix in _COMMENT_SUFFIXES:
        candidate = recording.parent / (recording.stem + suffix)  # with_name rejects a name of "."
        if candidate.is_file():
            return candidate
    return None


def read_rooms(archive: Path, output: Path) -> list[Job]:
    """The rooms of a folder (searched recursively) or of a manifest, each with its own output folder.

    A manifest has one source per line: a path (relative to the manifest) or URL, or a JSON object with `source` and
    optionally `comments`, `streamer`, `id`, `cuts`. `-` reads the manifest from standard input, with paths relative to
    the working directory. Raises SourceError if it cannot be read or lists nothing.
    """
    if archive != _STDIN and not archive.exists():
        raise SourceError(f"{archive}: no such folder or manifest")
    if archive.is_dir():
        # Our own clips may lie below: a batch must not score the clips of an earlier one.
        found = sorted(path for path in archive.rglob("*") if path.suffix.lower() in _MEDIA_SUFFIXES and path.is_file())
        entries = [
            _Entry(str(path), comments_beside(path), None, safe_name("__".join(path.relative_to(archive).parts)))
            for path in found
            if output.resolve() not in path.resolve().parents
        ]
        if not entries:
            raise SourceError(f"{archive}: no recordings in this folder ({' '.join(sorted(_MEDIA_SUFFIXES))})")
    else:
        entries = list(_manifest_entries(archive))
        if not entries:
            raise SourceError(f"{archive}: the manifest names no source; write one path or URL a line")
    names = make_distinct([entry.name for entry in entries])
    return [
        Job(entry.source, output / name, entry.comments, entry.streamer, entry.cuts)
        for entry, name in zip(entries, names, strict=True)
    ]


def _manifest_entries(manifest: Path) -> Iterator[_Entry]:
    """The entry of each line of a manifest."""
    try:
        with sys.stdin.buffer if manifest == _STDIN else manifest.open("rb") as file:
            content = file.read(_MAX_MANIFEST_BYTES + 1)
        if len(content) > _MAX_MANIFEST_BYTES:
            raise SourceError(f"{manifest}: a manifest of more than {_MAX_MANIFEST_BYTES >> 20} MB; split it")
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{manifest}: not a manifest (text, one source per line)",
            remedy=Remedy("score a recording by itself", command="score", arguments=(str(manifest),)),
        ) from error
    except OSError as error:
        raise SourceError(f"{manifest}: cannot be read ({error.strerror})") from error
    for number, line in enumerate(lines, start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        entry = _manifest_object(manifest, number, line) if line.startswith("{") else {"source": line}
        source = _locate(entry["source"], manifest.parent)
        comments = Path(_locate(entry["comments"], manifest.parent)) if entry.get("comments") else None
        if comments is None and "://" not in source:
            comments = comments_beside(Path(source))
        cuts = Path(_locate(entry["cuts"], manifest.parent)) if entry.get("cuts") else None
        name = safe_name(entry.get("id") or source_stem(source))
        yield _Entry(source, comments, entry.get("streamer"), name, cuts)


def _manifest_object(manifest: Path, number: int, line: str) -> dict[str, str]:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise SourceError(f"{manifest}, line {number}: not JSON ({error.msg})") from error
    if not isinstance(entry.get("source"), str):
        raise SourceError(f'{manifest}, line {number}: no "source"')
    return {key: str(value) for key, value in entry.items() if value is not None}


def _locate(name: str, folder: Path) -> str:
    """A URL unchanged; a path relative to the manifest's folder."""
    return name if "://" in name else str(folder / name)


def make_distinct(names: list[str]) -> list[str]:
    """The names without their media suffix if that is unique, otherwise with a number."""
    taken: set[str] = set()
    result = []
    for name in names:
        stem = Path(name).stem if Path(name).suffix.lower() in _MEDIA_SUFFIXES else name
        candidate, count = stem, 2
        while candidate in taken:
            candidate, count = f"{stem}_{count}", count + 1
        taken.add(candidate)
        result.append(candidate)
    return result


# fmt: off
_MEDIA_SUFFIXES = frozenset({
    ".avi", ".flac", ".flv", ".m4a", ".m4v", ".mkv", ".mov", ".mp3", ".mp4", ".mpeg", ".mpg", ".mts",
    ".ogg", ".opus", ".ts", ".wav", ".webm", ".wmv",
})
