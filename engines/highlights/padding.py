"""Highlights with seconds added before and after them, as an editor wants for a cut of his own."""

from collections.abc import Sequence
from dataclasses import replace

from kuaihl.engines.highlights.curve import barriers_around, gap_edges, segments_in, words_in
from kuaihl.engines.types import Highlight, ScoredSegment


def pad_highlights(
    highlights: Sequence[Highlight],
    scored: Sequence[ScoredSegment],
    padding: tuple[float, float],
    *,
    overlap: bool,
) -> list[Highlight]:
    """The highlights (in order of time) with `padding` seconds before and after, up to missing media and the ends.

    Without `overlap`, two neighbours that both reach for the media between them share it in proportion.
    """
    before, after = padding
    if not highlights or not (before or after):
        return list(highlights)
    barriers = sorted([scored[0].start, *gap_edges(scored), max(one.end for one in scored)])
    padded: list[Highlight] = []
    for index, one in enumerate(highlights):
        floor, ceiling = barriers_around(barriers, one.start, one.end)
        start, end = max(one.start - before, floor), min(one.end + after, ceiling)
        if not overlap and index:
            start = max(start, _meeting(highlights[index - 1], one, padding))
        if not overlap and index + 1 < len(highlights):
            end = min(end, _meeting(one, highlights[index + 1], padding))
        padded.append(
            replace(
                one,
                start=start,
                end=end,
                segments=segments_in(scored, start, end),
                text=words_in(scored, start, end) or one.text,
            )
        )
    return padded


def _meeting(one: Highlight, following: Highlight, padding: tuple[float, float]) -> float:
    """Where the padding after a highlight meets that before the next one, if both want all that lies between."""
    before, after = padding
    return one.end + (following.start - one.end) * after / (before + after)
