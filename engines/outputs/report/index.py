"""The page over a batch's output folder, from its run folders, batch.jsonl and left_out.jsonl; no model is loaded."""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from kuaihl.engines.one_line import one_line
from kuaihl.engines.outputs.atomic import write_output
from kuaihl.engines.outputs.batch_jsonl import BATCH_FILE, LEFT_OUT_FILE, last_entries
from kuaihl.engines.outputs.evidence_jsonl import read_evidence
from kuaihl.engines.outputs.json_lines import read_objects
from kuaihl.engines.outputs.report.moments import pick_pictures
from kuaihl.engines.outputs.report.page import IndexPage, Moment, Picture, RoomRow
from kuaihl.engines.outputs.report.render import render_index
from kuaihl.engines.outputs.run_folder import (
    EVIDENCE_FILE,
    REPORT_FILE,
    SCORES_FILE,
    has_scores,
    read_highlights,
    why_incomplete,
)
from kuaihl.engines.outputs.scores_jsonl import read_scores
from kuaihl.models.atomic import remove_torn
from kuaihl.models.errors import Remedy, SourceError

INDEX_FILE = "index.html"
_MOST_MOMENTS = 12


def write_index(folder: Path) -> Path:
    """Write index.html into a batch's output folder; returns its file.

    Raises SourceError if the folder cannot be read or has no run folder, UsageError if the file cannot be written.
    """
    path = folder / INDEX_FILE
    remove_torn(folder)
    write_output(path, render_index(build_index(folder)).encode("utf-8", "replace"))
    return path


def run_folders(folder: Path) -> list[Path]:
    """The run folders directly in a folder, by name. Raises SourceError if it cannot be read or has none."""
    try:
        found = sorted(one for one in folder.iterdir() if one.is_dir() and not one.is_symlink() and has_scores(one))
    except OSError as error:
        raise SourceError(f"{folder}: cannot be read ({error.strerror})") from error
    if has_scores(folder):
        raise SourceError(
            f"{folder}: is the run folder of one recording, and not a batch's output folder",
            remedy=Remedy("make its page", {"report": True}, command="highlights", arguments=(str(folder),)),
        )
    if not found:
        raise SourceError(f"{folder}: holds no run folder, so it is no output folder of a batch")
    return found


def build_index(folder: Path) -> IndexPage:
    """The page over the run folders in a folder. Raises SourceError as `run_folders`."""
    failed = dict(_failures(folder))
    rows, moments = [], []
    for run in run_folders(folder):
        document = read_highlights(run)
        rows.append(_row_of(run, document, failed.pop(run.name, None)))
        moments += [(one, run) for one in _peaks_of(document)]
    rows += [
        RoomRow(one_line(source, 200), one_line(source, 400), None, "failed", one_line(reason, 300), None, 0, None)
        for source, reason in failed.values()
    ]
    rows.sort(key=lambda row: (-math.inf if row.best is None else row.best, row.seconds or 0.0), reverse=True)
    moments.sort(key=lambda one: (-one[0].score, one[1].name, one[0].start))
    best = tuple(_moment_of(place, *one) for place, one in enumerate(moments[:_MOST_MOMENTS], start=1))
    return IndexPage(
        title=one_line(folder.resolve().name, 200),
        rows=tuple(rows),
        left_out=tuple((one_line(source, 400), one_line(reason, 300)) for source, reason in _left_out(folder)),
        moments=best,
        seconds=sum(row.seconds or 0.0 for row in rows),
    )


def _row_of(run: Path, document: dict[str, Any], failure: tuple[str, str] | None) -> RoomRow:
    why = why_incomplete(run)
    state, reason = ("complete", None) if why is None else ("incomplete", why)
    if failure is not None:
        state, reason = "failed", failure[1]
    scores = [one.score for one in _peaks_of(document)]
    return RoomRow(
        name=one_line(run.name, 200),
        source=one_line(str(document.get("source", run.name)), 400),
        link=_link_to(run),
        state=state,
        reason=None if reason is None else one_line(reason, 300),
        seconds=_scored_seconds(run, document),
        highlights=len(scores),
        best=max(scores, default=None),
    )


class _Peak(NamedTuple):
    """A highlight of highlights.json."""

    rank: int
    start: float
    end: float
    score: float
    text: str


def _peaks_of(document: Mapping[str, Any]) -> list[_Peak]:
    """The highlights of a run; none if its highlights.json is not one of this version."""
    try:
        return [
            _Peak(int(one["rank"]), float(one["start"]), float(one["end"]), float(one["score"]), str(one["text"]))
            for one in document.get("highlights", ())
        ]
    except (KeyError, TypeError, ValueError):
        return []


def _moment_of(place: int, peak: _Peak, run: Path) -> Moment:
    link = _link_to(run)
    pictures: tuple[Picture, ...] = ()
    with suppress(SourceError):  # scores that are damaged
        segments = [one.scored for one in read_scores(run / SCORES_FILE)]
        pictures = pick_pictures(read_evidence(run / EVIDENCE_FILE), segments, peak.start, peak.end, 1)
    return Moment(
        place=place,
        room=one_line(run.name, 200),
        link=None if link is None else f"{link}#h{peak.rank}",
        start=peak.start,
        end=peak.end,
        score=peak.score,
        words=one_line(peak.text, 200),
        picture=next(iter(pictures), None),
    )


def _link_to(run: Path) -> str | None:
    return quote(os.fsencode(f"{run.name}/{REPORT_FILE}")) if (run / REPORT_FILE).is_file() else None


def _scored_seconds(run: Path, document: Mapping[str, Any]) -> float | None:
    """The seconds that a run has scored, also one that was killed; None if its files cannot be read."""
    with suppress(KeyError, TypeError, ValueError):
        return float(document["duration"])
    with suppress(SourceError):
        return max((one.scored.end for one in read_scores(run / SCORES_FILE)), default=None)
    return None


def _failures(folder: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    """The name of each run folder whose last line in batch.jsonl says that it failed, with its source and reason."""
    for name, entry in last_entries(folder / BATCH_FILE).items():
        if entry.get("status") == "failed":
            yield name, (str(entry.get("source", name)), str(entry.get("reason")))


def _left_out(folder: Path) -> Iterator[tuple[str, str]]:
    for entry in read_objects(folder / LEFT_OUT_FILE):
        with suppress(KeyError, TypeError):
            yield str(entry["source"]), str(entry["reason"])
