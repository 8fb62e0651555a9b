"""The text of a highlight in subtitle formats: its rank and score, and its first words."""

from kuaihl.engines.outputs.highlights_json import HighlightEntry

_LINE = 80  # characters; a cue is read at a glance


def cue_lines(highlight: HighlightEntry) -> list[str]:
    """One or two lines, each without line breaks or control characters."""
    title = f"#{highlight['rank']} · {highlight['score']:.3f}"
    words = printable_words(highlight["text"], _LINE)
    return [title, words] if words else [title]


def printable_words(text: str, longest: int) -> str:
    """A text on one line of at most `longest` characters, without control characters."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    words = " ".join(printable.split())
    return words if len(words) <= longest else words[: longest - 1].rstrip() + "…"
