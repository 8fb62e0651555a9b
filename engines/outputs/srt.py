"""highlights.srt: one SubRip cue per highlight, to show over the video or import as markers."""

from kuaihl.engines.outputs.cue import cue_lines
from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.engines.outputs.timecode import format_timecode


def render(document: HighlightsDocument) -> str:
    """Cues numbered in order of time."""
    cues = []
    for number, one in enumerate(document["highlights"], start=1):
        start, end = (format_timecode(one[edge], decimals=3, full=True, point=",") for edge in ("start", "end"))
        # SubRip has no escapes: an arrow in the words would be read as another cue's times.
        lines = [line.replace("-->", "→") for line in cue_lines(one)]
        cues.append("\n".join([str(number), f"{start} --> {end}", *lines]) + "\n")
    return "\n".join(cues)
