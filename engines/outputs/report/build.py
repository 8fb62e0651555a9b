"""The page of a recording from its run folder: scores, highlights.json and evidence.jsonl in, a `ReportPage` out."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from kuaihl.engines.highlights.choice import Choice
from kuaihl.engines.highlights.near_misses import near_misses
from kuaihl.engines.one_line import one_line
from kuaihl.engines.outputs.cue import cue_lines
from kuaihl.engines.outputs.evidence_jsonl import SegmentEvidence
from kuaihl.engines.outputs.highlights_json import HighlightEntry, HighlightsDocument, event_entry
from kuaihl.engines.outputs.report.chart import draw_chart
from kuaihl.engines.outputs.report.moments import (
    comments_per_minute,
    count_segments_with,
    pick_comments,
    pick_pictures,
)
from kuaihl.engines.outputs.report.page import Card, Fault, Media, NearMissRow, ReportPage
from kuaihl.engines.outputs.report.why import curve_with, curves_without, explain
from kuaihl.engines.types import Highlight, ScoredSegment

_MOST_CARDS = 200
_MOST_FAULTS = 100
_MOST_WORDS = 600  # characters of a card
_PICTURE_BYTES = 1_900_000  # of all data URIs: the page stays below 3 MB
_PLAYED = frozenset(
    {".mp4", ".m4v", ".mov", ".webm", ".mkv", ".ogv", ".ogg", ".m4a", ".mp3", ".aac", ".wav", ".flac", ".opus", ".oga"}
)  # suffixes of media that a browser may play
_NTSC = Fraction(1000, 1001)
_RATES = tuple(sorted([*map(Fraction, (24, 25, 30, 50, 60)), *(_NTSC * rate for rate in (24, 30, 60))]))
_USUAL = Fraction(30)  # frames per second, if the recording's own are not among them
_FACTS = {
    "asr": "speech", "language": "language", "frames": "frames", "comments": "comments", "top": "at most",
    "min_score": "lowest score", "per_hour": "per hour", "length": "length", "padding": "padding",
}  # fmt: skip


def build_page(
    folder: Path,
    document: HighlightsDocument,
    segments: Sequence[ScoredSegment],
    evidence: Mapping[int, SegmentEvidence],
    choice: Choice,
    media: Path | None,
    rate: Fraction | None = None,
) -> ReportPage:
    """The page of a scored recording with at least one segment.

    `media` is where it was found, None if nowhere. `rate` is its frames per second, None if unknown.
    """
    curve, without = curve_with(segments), curves_without(segments, evidence)
    seen_in = count_segments_with(evidence)
    start, end = segments[0].start, max(one.end for one in segments)
    usual = comments_per_minute(segments, start, end)
    ordered = sorted(document["highlights"], key=lambda one: one["rank"])

    def card(one: HighlightEntry) -> Card:
        span = one["start"], one["end"]
        return Card(
            rank=one["rank"],
            start=one["start"],
            end=one["end"],
            score=one["score"],
            above=curve.above(one["score"] - 5e-7),  # it was rounded
            words=one_line(one["text"], _MOST_WORDS),
            pictures=pick_pictures(evidence, segments, *span),
            comments=pick_comments(evidence, segments, *span, seen_in),
            per_minute=comments_per_minute(segments, *span),
            usual_per_minute=usual,
            why=explain(one, curve, without),
            clip=quote(one["clip"]["file"]) if "clip" in one else None,
            clip_start=one["clip"]["start"] if "clip" in one else one["start"],
            clip_failure=one_line(one["clip_failure"], 300) if "clip_failure" in one else None,
            name=one_line(" · ".join(cue_lines(one)), 120),
        )

    cards = _within_budget([card(one) for one in ordered[:_MOST_CARDS]])
    peaks = [
        NearMissRow(
            start=miss.peak.start,
            end=miss.peak.end,
            score=miss.peak.score,
            above=curve.above(miss.peak.score),
            reason=miss.reason,
            words=one_line(miss.peak.text, 160),
            picture=next(iter(pick_pictures(evidence, segments, miss.peak.start, miss.peak.end, 1)), None),
        )
        for miss in near_misses(segments, [_as_span(one) for one in document["highlights"]], choice)
    ]
    source = document["source"]
    return ReportPage(
        title=one_line(_name_of(source), 200),
        key=f"{document['model']['sha256']}-{source}-{document['duration']}",
        source=one_line(source, 400),
        start=start,
        end=end,
        complete=document["complete"],
        why_incomplete=one_line(document["why"], 300) if "why" in document else None,
        model=document["model"]["name"],
        hindsight="interest" in document["chosen_from"],
        facts=tuple(
            (label, one_line(str(value), 120))
            for name, label in _FACTS.items()
            if (value := document["settings"].get(name)) is not None
        ),
        chart=draw_chart(segments, curve.stretches, document["highlights"]),
        cards=cards,
        left_out=max(0, len(ordered) - _MOST_CARDS),
        near_misses=tuple(peaks),
        media=Media(
            one_line(_name_of(source) if media is None else media.name, 200),
            None if media is None else link_to(media, folder),
            media is not None and media.suffix.lower() in _PLAYED,
            tuple((str(one), f"{float(one):.5g}", one == (rate if rate in _RATES else _USUAL)) for one in _RATES),
        ),
        faults=tuple(
            Fault(one["time"], one["kind"].replace("_", " "), one_line(one["detail"], 200))
            for one in map(event_entry, islice((one for segment in segments for one in segment.events), _MOST_FAULTS))
            if one["kind"] != "eof"
        ),
        notes=tuple(_notes(segments, evidence, has_why=bool(without), cards=cards)),
    )


def link_to(target: Path, folder: Path) -> str:
    """A relative link from a page in `folder`."""
    path = Path(os.path.relpath(target.resolve(), folder.resolve()))
    return quote(os.fsencode(path.as_posix()))


def _within_budget(cards: Sequence[Card]) -> tuple[Card, ...]:
    """The cards; the pictures of the last ones are left out if all would be too many bytes."""
    kept, used = [], 0
    for card in cards:
        used += sum(len(one.uri) for one in card.pictures)
        kept.append(card if used <= _PICTURE_BYTES else replace(card, pictures=()))
    return tuple(kept)


def _notes(
    segments: Sequence[ScoredSegment],
    evidence: Mapping[int, SegmentEvidence],
    *,
    has_why: bool,
    cards: Sequence[Card],
) -> list[str]:
    """What is left out of the page, and why."""
    if not evidence:
        return [
            "Pictures, comments and the reasons for a score are not here: the run that made these scores kept no "
            "evidence, because no report was asked for then."
        ]
    notes = []
    if not has_why:
        notes.append(
            "The reasons for a score are not here: a part of this recording was scored by a run that kept no evidence."
        )
    if any(one.segment not in evidence for one in segments):
        notes.append("Pictures and comments cover only a part of this recording.")
    if cards and any(not card.pictures for card in cards) and cards[0].pictures:
        notes.append("Some highlights are without pictures, so that the page stays small or because there were none.")
    return notes


def _as_span(entry: HighlightEntry) -> Highlight:
    return Highlight(entry["start"], entry["end"], entry["score"], tuple(entry["segments"]))


def _name_of(source: str) -> str:
    return PurePosixPath(source).name or source
