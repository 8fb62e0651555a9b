"""The output of `kuaihl dataset info`: the facts, the splits, and the rooms beside the paper's figures for KLive."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuaihl.models.data.klive_figures import PRINTED

if TYPE_CHECKING:
    from kuaihl.models.data.klive import KLive
    from kuaihl.models.data.report import RoomSummary, SplitSummary, Summary

# Rows of the rooms' table: the figure, its name, its format.
_FIGURES = (
    ("rooms", "rooms", "{:,.0f}"),
    ("streamers", "streamers", "{:,.0f}"),
    ("rooms_per_streamer", "rooms per streamer", "{:,.2f}"),
    ("hours", "hours", "{:,.1f}"),
    ("longest_hours", "longest room, h", "{:,.2f}"),
    ("mean_hours", "mean room, h", "{:,.2f}"),
    ("median_hours", "median room, h", "{:,.2f}"),
    ("share_longer_than_36_minutes", "more than 36 min", "{:.0%}"),
    ("mean_viewers", "viewers, mean", "{:,.1f}"),
    ("most_viewers", "viewers, most", "{:,.1f}"),
    ("least_viewers", "viewers, least", "{:,.1f}"),
    ("share_above_100_viewers", "more than 100", "{:.0%}"),
    ("labels", "labels that count", "{:,.0f}"),
    ("masked_share", "masked labels", "{:.1%}"),
)


def as_json(data: "KLive", summary: "Summary") -> dict[str, Any]:
    """All facts and figures, by name."""
    return {
        "path": str(data.path),
        "splits": {split: asdict(found) for split, found in summary.splits.items()},
        "rooms": asdict(summary.rooms),
        "klive_as_printed": PRINTED,
        **asdict(data.facts),
    }


def as_lines(data: "KLive", summary: "Summary") -> Iterator[str]:
    """The same as readable lines."""
    yield from _facts_lines(data, summary.rooms.counts)
    yield ""
    yield from _split_lines(summary.splits)
    yield ""
    yield from _room_lines(summary.rooms)


def _facts_lines(data: "KLive", counts: tuple[str, ...]) -> Iterator[str]:
    """The facts in `dataset.json`, and the available counts per segment."""
    facts = data.facts
    yield f"features   {facts.profile}: {', '.join(encoder.name for encoder in facts.encoders)}"
    yield f"           {facts.patches} patches of {facts.visual_width}, text of {facts.text_width} per segment"
    yield f"segments   {facts.segment_seconds:g} s"
    yield f"counts     {', '.join(counts) or '(none)'}"
    yield f"label      {facts.label.name}: {facts.label.definition}"
    masked = f"masked under {facts.label.min_views} views" if facts.label.min_views else "none masked for its views"
    yield f"           from {facts.label.source}; {masked}"
    yield f"licence    {facts.licence or '(not given)'}"
    for line in _ceiling_lines(data.path, facts.ceiling or {}):
        yield f"ceiling    {line}"


def _ceiling_lines(path: Path, ceiling: Mapping[str, Any]) -> list[str]:
    """The noise ceiling in words; for an older set, whose taus are another measure, how to measure it."""
    from kuaihl.models.simulation.dataset import TAU_ABOVE

    reached = {name: found for name, found in ceiling.items() if isinstance(found, dict)}
    if any(TAU_ABOVE not in found for found in reached.values()):
        return [f"stored under an earlier measure; to measure it anew: kuaihl eval --data {path}"]
    return [
        f"{name}: tau {found[TAU_ABOVE]['0.0']} over the test, {found['tau_per_room']} per room"
        for name, found in reached.items()
    ]


def _split_lines(splits: "dict[str, SplitSummary]") -> Iterator[str]:
    """The splits, one column each."""
    found = [asdict(split) for split in splits.values()]
    columns = {name: [_format_cell(split[name]) for split in found] for name in found[0]}
    for name, cells in {"": list(splits), **columns}.items():
        yield f"{name.replace('_', ' '):<20}" + "".join(f"{text:>14}" for text in cells)


def _room_lines(rooms: "RoomSummary") -> Iterator[str]:
    """The figures of all rooms beside KLive's."""
    yield f"{'all rooms':<20}{'this set':>14}{'KLive *':>14}"
    for name, title, style in _FIGURES:
        values = (getattr(rooms, name), PRINTED.get(name))
        yield f"{title:<20}" + "".join(f"{'-' if value is None else style.format(value):>14}" for value in values)
    yield f"A room's viewers are its mean views (impressions) per segment; {rooms.rooms_with_views:,} rooms have views."
    yield "* as the paper's supplement prints it, '-' where it does not; 19,334 h / 17,897 rooms are 1.08 h"


def _format_cell(value: float | None) -> str:
    """A number as a table shows it."""
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"
