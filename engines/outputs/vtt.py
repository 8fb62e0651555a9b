"""highlights.vtt: one WebVTT cue per highlight, for `<track kind="metadata">` and players on the web."""

from html import escape

from kuaihl.engines.outputs.cue import cue_lines
from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.engines.outputs.timecode import format_timecode


def render(document: HighlightsDocument) -> str:
    """The header and the cues in order of time."""
    blocks = ["WEBVTT\n"]
    for one in document["highlights"]:
        start, end = (format_timecode(one[edge], decimals=3, full=True) for edge in ("start", "end"))
        # "&", "<" and ">" are special in WebVTT; escaping ">" also undoes an arrow in the words.
        lines = [escape(line, quote=False) for line in cue_lines(one)]
        blocks.append("\n".join([f"highlight-{one['rank']}", f"{start} --> {end}", *lines]) + "\n")
    return "\n".join(blocks)
