"""Names of outputs, made from untrusted paths, URLs and ids; a name never depends on what lies beside its source."""

import os
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import PurePath

from kuaihl.models.credentials import MASK, shown_source

MEDIA_SUFFIXES = frozenset(
    {
        *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".m2t", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
        *(".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv"),
        *(".aac", ".ac3", ".flac", ".m4a", ".m4b", ".mka", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma"),
    }
)
STDIN = "-"

# Below the 255 bytes of a file system, so that suffixes and ranks fit behind; a data set's ids have 120 characters.
_MOST_CHARACTERS, _MOST_BYTES = 120, 200
_HASH_DIGITS = 8
_PLAIN = re.compile(r"[A-Za-z0-9](?:[\w.\-]{0,118}[A-Za-z0-9])?", re.ASCII)  # it is a safe name as it is: most are
_JOINT = "__"  # between the folders of a path


def safe_name(name: str) -> str:
    """A file name made from an untrusted text: letters, digits, `_`, `.` and `-`, at most 120, and 200 bytes."""
    if _PLAIN.fullmatch(name):
        return name
    return _cut(re.sub(r"[^\w.\-]+", "_", name).lstrip("._-").rstrip("._")) or "room"


def stable_name(text: str) -> str:
    """As `safe_name`; a hash of the text follows if anything was replaced or cut, so no two texts share a name."""
    name = safe_name(text)
    return name if name == text else _with_hash(name, text)


def file_names(text: str) -> set[str]:
    """The names that an id may have as a file: ours, and the plain one of somebody who only replaced characters."""
    return {stable_name(text), safe_name(text)}


def path_name(parts: Sequence[str]) -> str:
    """The stable name of a relative path: `room/day.flv` is `room__day.flv`."""
    text = _JOINT.join(parts)
    ambiguous = any(_JOINT in part for part in parts) or (
        len(parts) > 1 and any(part.startswith("_") or part.endswith("_") for part in parts)
    )
    name = safe_name(text)
    return _with_hash(name, "/".join(parts)) if ambiguous or name != text else name


def source_name(source: str) -> str:
    """The stable name of a source as its line in a manifest gives it; a URL's user and password do not count."""
    if "://" in source:
        scheme, _, rest = source.partition("://")
        return _with_hash(source_stem(source), f"{scheme}://{re.sub(r'^[^/]*@', '', rest)}")
    path = PurePath(os.path.normpath(source))
    if path.is_absolute() or ".." in path.parts:
        return _with_hash(safe_name(path.name), str(path))
    return path_name(path.parts)


def room_id(text: str) -> str:
    """The id of a room in a data set, from a recording's path or name: stable, and without the suffix of media."""
    return stable_name(without_media_suffix(text))


def without_media_suffix(name: str) -> str:
    """The name of a recording without its suffix; any other name unchanged."""
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and dot + suffix.lower() in MEDIA_SUFFIXES else name


def source_stem(source: str) -> str:
    """The name for a source's own outputs: a file's stem, a URL's last path part, `stdin` for `-`."""
    if source == STDIN:
        return "stdin"
    if "://" in source:  # a key in its path names nothing
        address = shown_source(source).split("://", 1)[1].split("?", 1)[0]
        parts = [part for part in address.split("/") if part and not part.startswith(MASK)]
        name = parts[-1] if parts else ""
    else:
        name = source.rstrip("/").rsplit("/", 1)[-1]
    stem, dot, _ = name.rpartition(".")
    return safe_name(stem if dot and stem else name)


def distinct_stems(sources: Sequence[str]) -> list[str]:
    """The stem of every source; those that share one have a hash of their whole text behind it."""
    stems = [source_stem(source) for source in sources]
    return [
        _with_hash(stem, source) if stems.count(stem) > 1 else stem for stem, source in zip(stems, sources, strict=True)
    ]


def _with_hash(name: str, text: str) -> str:
    """The name, cut if need be, with a short hash of the whole text behind it."""
    # A name that is not UTF-8 has surrogates in it.
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{_cut(name, _HASH_DIGITS + 1)}-{digest}"


def _cut(name: str, spare: int = 0) -> str:
    """The beginning of a name that leaves `spare` characters of what a name may have."""
    short = name[: _MOST_CHARACTERS - spare].encode("utf-8", "replace")[: _MOST_BYTES - spare]
    return short.decode("utf-8", "ignore").rstrip("._")
