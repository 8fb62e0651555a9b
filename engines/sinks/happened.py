"""What happened in a segment, made once for all who are told: lines of scores.jsonl and events.jsonl, with kinds."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from kuaihl.engines.highlights.online import HighlightEvent
from kuaihl.engines.outputs.events_jsonl import event_lines
from kuaihl.engines.outputs.scores_jsonl import score_line
from kuaihl.engines.sinks.cloud_event import Kind
from kuaihl.engines.types import ScoredSegment

_HIGHLIGHT_KINDS: dict[str, Kind] = {
    "highlight_opened": "highlight.opened",
    "highlight_closed": "highlight.closed",
    "highlight_dropped": "highlight.dropped",
}


class Happened(NamedTuple):
    """One thing that happened."""

    kind: Kind
    line: dict[str, Any]


def happened_in(scored: ScoredSegment, changes: Sequence[HighlightEvent]) -> tuple[Happened, ...]:
    """A segment's score, its faults, and what it changed in the highlights, in this order."""
    score = Happened("segment.scored", json.loads(score_line(scored)))
    return (score, *map(of_line, event_lines(scored, changes)))


def happened_behind(scored: ScoredSegment, changes: Sequence[HighlightEvent]) -> tuple[Happened, ...]:
    """What the end of the media, behind its last segment, changed in the highlights."""
    return tuple(map(of_line, event_lines(replace(scored, events=()), changes)))


def of_line(line: dict[str, Any]) -> Happened:
    """A line of events.jsonl."""
    return Happened(_HIGHLIGHT_KINDS.get(line["kind"], "stream.event"), line)
