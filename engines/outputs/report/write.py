"""report.html written into a run folder, from what the folder holds; no model is loaded."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

from kuaihl.engines.highlights.choice import Choice
from kuaihl.engines.outputs.atomic import write_output
from kuaihl.engines.outputs.evidence_jsonl import read_evidence
from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.engines.outputs.lock import FolderLock
from kuaihl.engines.outputs.report.build import build_page
from kuaihl.engines.outputs.report.render import render_report
from kuaihl.engines.outputs.run_folder import EVIDENCE_FILE, REPORT_FILE, SCORES_FILE, read_highlights
from kuaihl.engines.outputs.run_record import find_media, parse_choice, read_record
from kuaihl.engines.outputs.scores_jsonl import read_scores
from kuaihl.engines.types import ScoredSegment
from kuaihl.models.errors import SourceError, UsageError


def write_report(
    folder: Path,
    document: HighlightsDocument,
    segments: Sequence[ScoredSegment],
    choice: Choice,
    media: Path | None,
    rate: Fraction | None = None,
) -> Path:
    """Write the page of a recording with at least one segment; returns its file.

    `media` and `rate` are as in `build_page`. Raises UsageError if the file cannot be written.
    """
    page = build_page(folder, document, segments, read_evidence(folder / EVIDENCE_FILE), choice, media, rate)
    path = folder / REPORT_FILE
    write_output(path, render_report(page).encode("utf-8", "replace"))
    return path


def write_lacking_report(folder: Path) -> str | None:
    """Write the page of a run folder that has none, with the highlights as they were chosen; returns why it cannot."""
    if (folder / REPORT_FILE).is_file():
        return None
    document, record = read_highlights(folder), read_record(folder)
    if not document or record is None:
        return "its highlights are not chosen yet"
    try:
        segments = [one.scored for one in read_scores(folder / SCORES_FILE)]
        choice = parse_choice(document["settings"])
    except SourceError as error:
        return str(error)
    except (KeyError, TypeError, ValueError, UsageError):
        return "its highlights are of another version; choose them anew"
    if not segments:
        return "nothing is scored"
    try:
        lock = FolderLock(folder)
    except UsageError as error:  # another process is writing there, or nobody may
        return str(error)
    try:
        media = find_media(folder, record.source.name, record)
        rate = None if record.media is None else record.media.rate
        write_report(folder, cast(HighlightsDocument, document), segments, choice, media, rate)
    except UsageError as error:
        return str(error)
    finally:
        lock.release()
    return None
