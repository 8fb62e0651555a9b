"""The text of a highlight in subtitle formats: its rank and score, and its first words."""

from kuaihl.engines.one_line import one_line
from kuaihl.engines.outputs.highlights_json import HighlightEntry

_LINE = 80  # characters; a cue is read at a glance


def cue_lines(highlight: HighlightEntry) -> list[str]:
    """One or two lines, each without line breaks or control characters."""
    title = f"#{highlight['rank']} · {highlight['score']:.3f}"
    words = one_line(highlight["text"], _LINE)
    return [title, words] if words else [title]
