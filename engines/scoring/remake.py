"""A run folder's highlights and the files made from them, made again from its scores: no model is loaded."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from kuaihl.engines.highlights.clips import Clip
from kuaihl.engines.highlights.online import OnlineDetector
from kuaihl.engines.ingest.media_facts import probe_file
from kuaihl.engines.ingest.opening import is_stream
from kuaihl.engines.outputs.events_jsonl import rewrite_events
from kuaihl.engines.outputs.formats import FORMATS, is_available, parse_formats
from kuaihl.engines.outputs.highlights_json import parse_clip, parse_live_clips
from kuaihl.engines.outputs.lock import FolderInUse, FolderLock
from kuaihl.engines.outputs.run_folder import (
    EVENTS_FILE,
    PLOT_FILE,
    RECORD_FILE,
    REPORT_FILE,
    RUNNING,
    SCORES_FILE,
    has_scores,
    read_highlights,
    restore_earlier,
    was_interrupted,
    why_incomplete,
)
from kuaihl.engines.outputs.run_record import (
    RunRecord,
    find_media,
    identify_source,
    identity_change,
    read_record,
    reason_to_remake,
    write_record,
)
from kuaihl.engines.outputs.scores_jsonl import read_scores
from kuaihl.engines.scoring.conclude import ScoredSource, ScoreResult, Span, conclude, product_entries
from kuaihl.engines.scoring.settings import Products
from kuaihl.engines.types import MediaFacts, ScoredSegment
from kuaihl.models.atomic import remove_torn
from kuaihl.models.errors import Remedy, SourceError, UsageError

LOG = logging.getLogger("kuaihl")


def remake_highlights(
    folder: Path, products: Products, *, source: str | None = None, report: Callable[[str], None] = LOG.info
) -> ScoreResult:
    """Choose a run folder's highlights anew, write the products, and record them in run.json.

    An interrupted run gets the highlights of what it scored. `source` is where the recording is now, if it has moved;
    `report` receives lines to show. Formats, a plot, a report and fitting clips that are there are kept up to date. If
    a process is writing into the folder, the highlights so far are returned, and nothing is written.

    Raises SourceError if the folder or the recording cannot be read, UsageError for products that cannot be made.
    """
    parse_formats(products.formats)
    if not has_scores(folder):
        raise SourceError(f"{folder}: not a run folder, or nothing was scored: {SCORES_FILE} has no line")
    try:
        lock = FolderLock(folder)
    except FolderInUse as error:
        if products.clips or products.plot or products.report or products.formats:
            raise
        report(f"{error.args[0]}: these are the highlights so far, and nothing is written")
        so_far = ScoredSource(_record_of(folder), _segments_of(folder), RUNNING)
        return conclude(so_far, products, media="", folder=None, report=report)
    try:
        remove_torn(folder)
        restore_earlier(folder)
        record = _record_of(folder)
        media = _find_media(folder, record, products, source, report)
        record = record if media.facts is None or media.is_other else replace(record, media=media.facts)
        scored = ScoredSource(
            replace(record, media=media.facts or record.media),
            _segments_of(folder),
            why_incomplete(folder),
            _clips_of(folder),
            parse_live_clips(read_highlights(folder), folder),
            on_run_clock=media.is_other,
        )
        products = _with_earlier(products, folder, knows_media=scored.record.media is not None)
        if was_interrupted(folder):
            rewrite_events(folder / EVENTS_FILE, scored.segments, OnlineDetector(), is_over=True)
        file = media.file or source or record.source.name
        result = conclude(scored, products, media=file, folder=folder, report=report)
        write_record(folder, replace(record, products=product_entries(products)))
    finally:
        lock.release()
    return result


def remake_if_lacking(
    folder: Path, wanted: RunRecord, products: Products, source: str, report: Callable[[str], None]
) -> None:
    """Choose the highlights of good scores anew if what is wanted is not in the folder; reports the reason.

    Raises as `remake_highlights`, and BatchError if a clip could not be cut.
    """
    if (reason := reason_to_remake(folder, wanted)) is not None:
        report(f"{folder}: highlights chosen anew, for {reason}")
        remake_highlights(folder, products, source=source, report=report).check_clips()


def _record_of(folder: Path) -> RunRecord:
    record = read_record(folder)
    if record is None:
        raise SourceError(
            f"{folder}: no {RECORD_FILE} of this version says what was scored", remedy=Remedy("score it again")
        )
    return record


def _segments_of(folder: Path) -> list[ScoredSegment]:
    segments = [one.scored for one in read_scores(folder / SCORES_FILE)]
    if not segments:
        raise SourceError(f"{folder}: no segment is scored yet")
    return segments


class _Media(NamedTuple):
    """The recording that files are made from, as far as they need it."""

    file: str = ""
    facts: MediaFacts | None = None
    is_other: bool = False  # than the one that was scored


def _find_media(
    folder: Path, record: RunRecord, products: Products, source: str | None, report: Callable[[str], None]
) -> _Media:
    """The recording, if clips or formats need it. Raises UsageError for a stream, SourceError if the file is gone."""
    formats = [name for name in parse_formats(products.formats) if FORMATS[name].follows_media]
    counting = [name for name in formats if FORMATS[name].needs_media]
    needing = ["clips"] * products.clips + counting * (record.media is None)
    if not needing and not (formats and source):
        return _Media()
    media, elsewhere = source or record.source.name, Remedy("name the recording", {"source": None})
    if source is None and not Path(media).is_file():
        media = str(find_media(folder, media, record) or media)
    if is_stream(media):
        what = f"{', '.join(needing or formats)} {'need' if len(needing) > 1 or products.clips else 'needs'}"
        raise UsageError(f"{what} a file, and {media} is a stream", remedy=elsewhere)
    try:
        found = identify_source(media)
    except SourceError as error:
        raise SourceError(str(error), remedy=elsewhere) from None
    # A copy has another time of change.
    changed = identity_change(record.source, replace(found, modified_ns=record.source.modified_ns))
    if changed:
        report(f"{media}: not the source that was scored, which {changed}; the same times are taken in it")
    facts = probe_file(media) if formats and (source or record.media is None) else None
    return _Media(media, facts, changed is not None)


def _with_earlier(products: Products, folder: Path, *, knows_media: bool) -> Products:
    """The products, and the files that an earlier choice left: they would not fit this one any more."""
    left = [
        name
        for name, one in FORMATS.items()
        if (folder / one.file).is_file() and is_available(name) and (knows_media or not one.needs_media)
    ]
    wanted = dict.fromkeys([*parse_formats(products.formats), *left])
    return replace(
        products,
        formats=",".join(wanted),
        plot=products.plot or (folder / PLOT_FILE).is_file(),
        report=products.report or (folder / REPORT_FILE).is_file(),
    )


def _clips_of(folder: Path) -> dict[Span, Clip]:
    """The clips that an earlier run cut and that are still there, by their highlight."""
    clips = {}
    for entry in read_highlights(folder).get("highlights", ()):
        clip = parse_clip(entry["clip"], folder) if "clip" in entry else None
        if clip is not None:
            clips[entry["start"], entry["end"]] = clip
    return clips
