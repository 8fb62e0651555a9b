"""highlights.resolve.edl: the highlights as markers for DaVinci Resolve, on a timeline that is the whole recording.

Resolve reads an event per marker: its place on a timeline from 01:00:00:00, then a line with note, name and length.
"""

from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.engines.outputs.timelines.edl import edl_head
from kuaihl.engines.outputs.timelines.timeline import Timeline


def render(_: HighlightsDocument, timeline: Timeline) -> str:
    """One marker per highlight, as long as it."""
    lines = [*edl_head(timeline), ""]
    for number, cut in enumerate(timeline.cuts, start=1):
        place = [timeline.code(timeline.record_start + frame) for frame in (cut.first, cut.first + 1)]
        # In quotation marks, so that no word at the beginning of the line reads as an event or as a comment.
        note = f"“{cut.note.replace('|', '¦')}”" if cut.note else ""
        lines += [
            f"{number:03}  001      V     C        {' '.join([*place, *place])}",
            f"{note} |C:ResolveColorBlue |M:{cut.label} |D:{cut.frames}",
            "",
        ]
    return "\n".join(lines)
