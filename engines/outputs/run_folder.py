"""A run folder: the file names of a scored source, the state that an earlier run left, and its safe replacement."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from kuaihl.engines.outputs.atomic import cannot_write
from kuaihl.engines.outputs.lock import LOCK_FILE, FolderLock
from kuaihl.models.atomic import remove_torn
from kuaihl.models.errors import UsageError
from kuaihl.models.json_text import parse_json

SCORES_FILE, HIGHLIGHTS_FILE, PLOT_FILE, CLIPS_FOLDER = "scores.jsonl", "highlights.json", "scores.png", "clips"
EVENTS_FILE, STATE_FILE, RECORD_FILE = "events.jsonl", "state.safetensors", "run.json"
EVIDENCE_FILE, REPORT_FILE = "evidence.jsonl", "report.html"
RUNNING, STOPPED = "the run has not ended", "stopped before the source ended"  # why a folder is not complete

_ASIDE = ".earlier"  # holds the files of a run that is being replaced
# Scores go aside first and come back last: a folder without them that has an _ASIDE is in between.
_REPLACED = (SCORES_FILE, HIGHLIGHTS_FILE, EVENTS_FILE, EVIDENCE_FILE, STATE_FILE, RECORD_FILE)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents. Raises UsageError if it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from error


def is_finished(output: Path) -> bool:
    """Whether an earlier run scored this source to its end: highlights.json is written last, and records it."""
    return read_highlights(output).get("complete") is True


def was_interrupted(output: Path) -> bool:
    """Whether an earlier run scored something and was then stopped or killed, rather than left by its source."""
    said = read_highlights(output)
    return has_scores(output) and said.get("complete") is not True and said.get("why", RUNNING) in (RUNNING, STOPPED)


def why_incomplete(output: Path) -> str | None:
    """Why a run folder that no process writes into is not complete, in words; None if it is."""
    said = read_highlights(output)
    if said.get("complete") is True:
        return None
    why = str(said.get("why", RUNNING))
    return STOPPED if why == RUNNING else why  # it was killed


def read_highlights(output: Path) -> dict[str, Any]:
    """The document of highlights.json; empty if there is none."""
    try:
        document = parse_json((output / HIGHLIGHTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def has_scores(folder: Path) -> bool:
    """Whether a run folder holds the line of a segment, or did before a replacement that came to nothing."""
    return any(_has_line(place / SCORES_FILE) for place in (folder, folder / _ASIDE))


def _has_line(scores: Path) -> bool:
    try:
        with scores.open("rb") as file:
            return b"\n" in file.readline(1 << 24)
    except OSError:
        return False


def tidy_finished(folder: Path) -> None:
    """Remove what a run that was killed after its last file has left: torn files, its state, and its lock, the last."""
    if not (folder / LOCK_FILE).exists():
        return
    with suppress(UsageError):  # somebody is writing, or nobody may
        lock = FolderLock(folder)
        remove_torn(folder)
        restore_earlier(folder)
        if is_finished(folder):
            (folder / STATE_FILE).unlink(missing_ok=True)
        lock.release()


def set_aside(folder: Path) -> None:
    """Move an earlier run's files aside until `discard_earlier`. Raises UsageError if they cannot be moved."""
    (folder / _ASIDE).mkdir(exist_ok=True)
    _move(_REPLACED, folder, folder / _ASIDE)


def restore_earlier(folder: Path) -> None:
    """End a replacement that is under way: the earlier run's files come back unless the new run has a line."""
    if not (folder / _ASIDE).is_dir():
        return
    if not _has_line(folder / SCORES_FILE):
        _move(tuple(reversed(_REPLACED)), folder / _ASIDE, folder)
    discard_earlier(folder)


def discard_earlier(folder: Path) -> None:
    """Delete what was set aside."""
    shutil.rmtree(folder / _ASIDE, ignore_errors=True)


def _move(names: tuple[str, ...], source: Path, target: Path) -> None:
    for name in names:
        try:
            with suppress(FileNotFoundError):
                (source / name).replace(target / name)
        except OSError as error:
            raise cannot_write(target / name, error) from error
