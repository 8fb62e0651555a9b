"""highlights.chapters.vtt: chapters for players on the web, for `<track kind="chapters">`."""

from html import escape

from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.engines.outputs.timecode import format_timecode
from kuaihl.engines.outputs.timelines.chapters import chapters_of
from kuaihl.engines.outputs.timelines.timeline import Timeline


def render(_: HighlightsDocument, timeline: Timeline) -> str:
    """One cue per chapter."""
    blocks = ["WEBVTT\n"]
    for number, one in enumerate(chapters_of(timeline), start=1):
        start, end = (format_timecode(time, decimals=3, full=True) for time in (one.start, one.end))
        blocks.append(f"chapter-{number}\n{start} --> {end}\n{escape(one.title, quote=False)}\n")
    return "\n".join(blocks)
