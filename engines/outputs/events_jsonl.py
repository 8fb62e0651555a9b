"""events.jsonl: faults of the stream, and openings and ends of highlights, as they happen (docs/output.md)."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kuaihl.engines.highlights.online import HighlightClosed, HighlightEvent, HighlightOpened, OnlineDetector
from kuaihl.engines.outputs.atomic import write_output
from kuaihl.engines.outputs.highlights_json import SCORE_DECIMALS, TIME_DECIMALS, event_entry
from kuaihl.engines.types import ScoredSegment

DELIVERY = "delivery"  # the kind of a line on how another program was told


def rewrite_events(
    path: Path,
    segments: Sequence[ScoredSegment],
    detector: OnlineDetector,
    *,
    is_over: bool = False,
    tell: Callable[[ScoredSegment, Sequence[HighlightEvent]], None] | None = None,
) -> None:
    """Lead the detector through the segments of a killed run, write their events again, and `tell` them.

    If the run `is_over`, its last highlight ends, too. Raises UsageError if they cannot be written.
    """
    lines: list[dict[str, Any]] = []
    for scored in segments:
        changes = detector.push(scored)
        lines += event_lines(scored, changes)
        if tell is not None:
            tell(scored, changes)
    if is_over and segments:
        lines += event_lines(replace(segments[-1], events=()), tuple(detector.finish()))
    write_output(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def event_lines(scored: ScoredSegment, changes: Sequence[HighlightEvent]) -> Iterator[dict[str, Any]]:
    """The entries of a segment: its faults, then what it changed in the highlights."""
    place = {"segment": scored.segment, "wall_time": round(scored.wall_time, TIME_DECIMALS)}
    for event in scored.events:
        yield place | event_entry(event)
    for change in changes:
        yield place | _change_entry(change)


def notice_lines(scored: ScoredSegment, notices: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The entries of what went wrong or right with sinks by the end of a segment."""
    for notice in notices:
        yield {
            "segment": scored.segment,
            "wall_time": round(scored.wall_time, TIME_DECIMALS),
            "kind": DELIVERY,
            "time": round(scored.end, TIME_DECIMALS),
            "detail": notice,
        }


def _change_entry(change: HighlightEvent) -> dict[str, Any]:
    match change:
        case HighlightOpened():
            return {
                "kind": "highlight_opened",
                "start": round(change.start, TIME_DECIMALS),
                "score": round(change.score, SCORE_DECIMALS),
                "threshold": round(change.threshold, SCORE_DECIMALS),
                "known_by": change.known_by,
            }
        case HighlightClosed(highlight=highlight):
            return {
                "kind": "highlight_closed",
                "start": round(highlight.start, TIME_DECIMALS),
                "end": round(highlight.end, TIME_DECIMALS),
                "score": round(highlight.score, SCORE_DECIMALS),
                "segments": list(highlight.segments),
                "text": highlight.text,
            }
        case _:
            start = round(change.start, TIME_DECIMALS)
            return {"kind": "highlight_dropped", "start": start, "reason": change.reason}
