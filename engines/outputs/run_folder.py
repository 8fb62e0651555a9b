"""A run folder: the file names of a scored source, and whether an earlier run finished it."""

import json
from pathlib import Path

from kuaihl.models.errors import UsageError

SCORES_FILE, HIGHLIGHTS_FILE, PLOT_FILE, CLIPS_FOLDER = "scores.jsonl", "highlights.json", "scores.png", "clips"


def make_folder(folder: Path) -> None:
    """Make a folder and its parents. Raises UsageError if it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from error


def is_finished(output: Path) -> bool:
    """Whether an earlier run scored this source to its end: highlights.json is written last, and records it."""
    try:
        document = json.loads((output / HIGHLIGHTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.get("complete") is True
