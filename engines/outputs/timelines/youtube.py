"""highlights.chapters.txt: lines for a YouTube description, `0:00 title`.

YouTube takes chapters if the first is at 0:00, each lasts 10 s or more, and there are three or more.
"""

from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.engines.outputs.timecode import format_timecode
from kuaihl.engines.outputs.timelines.chapters import chapters_of
from kuaihl.engines.outputs.timelines.timeline import Timeline

FEWEST = 3
_LEAST_SECONDS = 10.0
_BRACKETS = str.maketrans("<>", "‹›")  # a description with angle brackets is refused


def render(_: HighlightsDocument, timeline: Timeline) -> str:
    """One line per chapter; empty if there are too few for YouTube."""
    if not has_enough(timeline):
        return ""
    chapters = chapters_of(timeline, _LEAST_SECONDS)
    return "".join(f"{format_timecode(int(one.start))} {one.title.translate(_BRACKETS)}\n" for one in chapters)


def has_enough(timeline: Timeline) -> bool:
    """Whether the recording has as many chapters as YouTube asks for."""
    return len(chapters_of(timeline, _LEAST_SECONDS)) >= FEWEST
