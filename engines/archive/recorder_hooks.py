"""What recorders post to a webhook when a file is finished, read as paths of recordings."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from kuaihl.engines.archive.names import MEDIA_SUFFIXES
from kuaihl.models.errors import SourceError, UsageError


@dataclass(frozen=True)
class Announcement:
    """Finished recordings that a recorder has announced; comments lie beside them under the names it always uses."""

    event: str  # the same for every repetition of this announcement, and for no other of this recorder
    recordings: tuple[Path, ...]


def read_announcement(recorder: str, payload: object, root: Path) -> Announcement | None:
    """The recordings that a recorder's JSON payload announces; None if it is about something else.

    `root` is the folder that the recorder writes into, as a whole path. Relative paths begin there, and no path may
    leave it. Raises UsageError for an unknown recorder, SourceError for a payload that is not the recorder's or names
    another place.
    """
    if recorder not in RECORDERS:
        raise UsageError(f"no such recorder; known are {', '.join(RECORDERS)}", setting="recorder", value=recorder)
    try:
        found = RECORDERS[recorder](_as_object(payload))
    except (KeyError, TypeError) as error:
        raise SourceError(f"not what {recorder} posts: {_fault(error)}") from error
    if found is None:
        return None
    event, names = found
    paths = [_locate(name, root, recorder) for name in names]
    return Announcement(event, tuple(path for path in paths if path.suffix.lower() in MEDIA_SUFFIXES))


def _bililive_recorder(payload: Mapping[str, Any]) -> tuple[str, list[str]] | None:
    """Webhook v2. Video and comments are closed before the event; it may come three times."""
    if _text(payload, "EventType") != "FileClosed":
        return None
    name = _text(_as_object(payload["EventData"]), "RelativePath")
    if "\\" in name and "/" not in name:  # it runs on Windows
        name = PureWindowsPath(name).as_posix()
    return _text(payload, "EventId"), [name]


def _blrec(payload: Mapping[str, Any]) -> tuple[str, list[str]] | None:
    """Of its events VideoFileCompleted comes too early: metadata are still written into the file."""
    if _text(payload, "type") != "PostprocessingCompletedEvent":
        return None
    files = _as_object(payload["data"])["files"]
    if not isinstance(files, list) or not all(isinstance(one, str) for one in files):
        raise TypeError("files is no list of paths")
    return _text(payload, "id"), files


def _bililive_tools(payload: Mapping[str, Any]) -> tuple[str, list[str]] | None:
    """External events."""
    if _text(payload, "type") != "file_completed":
        return None
    return _text(payload, "id"), [_text(_as_object(payload["data"]), "filePath")]


def _rust_srec(payload: Mapping[str, Any]) -> tuple[str, list[str]] | None:
    """Its events have no id, but the segments of a session are numbered."""
    if _text(payload, "event_type") != "segment_completed":
        return None
    segment = _as_object(_as_object(payload["data"])["SegmentCompleted"])
    return f"{_text(segment, 'session_id')}/{_number(segment, 'segment_index')}", [_text(segment, "segment_path")]


RECORDERS: Mapping[str, Callable[[Mapping[str, Any]], tuple[str, list[str]] | None]] = {
    "bililive-recorder": _bililive_recorder,
    "blrec": _blrec,
    "bililive-tools": _bililive_tools,
    "rust-srec": _rust_srec,
}


def _as_object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("no JSON object where one belongs")
    return value


def _text(entries: Mapping[str, Any], key: str) -> str:
    value = entries[key]
    if not isinstance(value, str) or not value:
        raise TypeError(f"{key} is no text")
    return value


def _number(entries: Mapping[str, Any], key: str) -> int:
    value = entries[key]
    if not isinstance(value, int):
        raise TypeError(f"{key} is no number")
    return value


def _fault(error: KeyError | TypeError) -> str:
    return f"no {error.args[0]}" if isinstance(error, KeyError) else str(error)


def _locate(name: str, root: Path, recorder: str) -> Path:
    """The path below `root`. Raises SourceError if it lies elsewhere."""
    base = Path(os.path.normpath(root))
    path = Path(os.path.normpath(base / name)) if "\0" not in name else base
    if path == base or not path.is_relative_to(base):
        raise SourceError(f"{name!r}: {recorder} names a file outside {root}, the folder it should write into")
    return path
