"""highlights.ffmetadata: chapters for FFmpeg: `ffmpeg -i stream.mp4 -i highlights.ffmetadata -map_metadata 1 …`."""

import re

from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.engines.outputs.timelines.chapters import chapters_of
from kuaihl.engines.outputs.timelines.timeline import Timeline

_SPECIAL = re.compile(r"([=;#\\])")


def render(_: HighlightsDocument, timeline: Timeline) -> str:
    """One chapter per section, times in milliseconds."""
    lines = [";FFMETADATA1"]
    for one in chapters_of(timeline):
        start, end = round(one.start * 1000), round(one.end * 1000)
        title = _SPECIAL.sub(r"\\\1", one.title)
        title += " " * title.endswith("\\")  # FFmpeg joins a line that ends in any backslash to the next one
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", f"START={start}", f"END={end}", f"title={title}"]
    return "\n".join(lines) + "\n"
