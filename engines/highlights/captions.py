"""What is spoken in a clip, as captions with their times, and as an ASS file that a player shows.

The words are untrusted: no text of theirs reaches a player as markup or as a line of the file.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from kuaihl.engines.one_line import one_line
from kuaihl.engines.types import SAME_TIME, ScoredSegment, Sentence
from kuaihl.models.atomic import write_atomic

_LONGEST = 72  # columns of a caption: two lines; a Chinese character takes two columns
_SHORTEST = 0.2  # seconds; a caption that is cut shorter by the clip's edge is left out
_FONT = "Arial"  # players put another in its place for letters that it lacks
_FONT_SHARE = 0.05  # of the picture's longer side: the height of a letter, unless …
_FONT_WIDTH = 0.06  # … this share of its width is less
_USUAL_SIZE = 1280, 720  # of a picture whose size is unknown
# Braces begin a command and a backslash an escape; no escaping of them is understood by all players.
_INERT = str.maketrans({"{": "｛", "}": "｝", "\\": "＼"})


@dataclass(frozen=True)
class Caption:
    """A line of speech on one line; times in seconds, of the run's clock or of a clip."""

    start: float
    end: float
    text: str


def captions_of(scored: Sequence[ScoredSegment]) -> list[Caption]:
    """All that is spoken, in order of time. Speech without times of its own is spread over its segment."""
    found: list[Caption] = []
    for segment in scored:
        said = segment.sentences or (Sentence(segment.start, segment.end, segment.text),)
        for one in said:
            found += _spread(one)
    return sorted(found, key=lambda one: one.start)


def captions_within(captions: Iterable[Caption], start: float, end: float) -> list[Caption]:
    """The captions of [start, end), with times from `start`; one at a time."""
    inside: list[Caption] = []
    for one in captions:
        begin, until = max(one.start, start) - start, min(one.end, end) - start
        if inside and begin < inside[-1].end:  # Whisper's sentences may overlap
            last = inside.pop()
            if begin - last.start >= _SHORTEST:
                inside.append(Caption(last.start, begin, last.text))
        if until - begin >= _SHORTEST - SAME_TIME:
            inside.append(Caption(begin, until, one.text))
    return inside


def write_ass(path: Path, captions: Sequence[Caption], size: tuple[int, int] | None) -> None:
    """Write captions for a picture of a width and height. Raises OSError if that fails."""
    from pysubs2 import SSAEvent, SSAFile, SSAStyle

    width, height = size or _USUAL_SIZE
    file = SSAFile()
    file.info |= {"PlayResX": str(width), "PlayResY": str(height), "WrapStyle": "0", "ScaledBorderAndShadow": "yes"}
    letter = font_size(width, height)
    file.styles["Default"] = SSAStyle(
        fontname=_FONT,
        fontsize=letter,
        outline=max(1.0, letter / 16),
        shadow=0.0,
        marginl=width // 20,
        marginr=width // 20,
        marginv=height // 16,
    )
    file.events = [
        SSAEvent(start=round(one.start * 1000), end=round(one.end * 1000), text=one.text.translate(_INERT))
        for one in captions
    ]
    write_atomic(path, file.to_string("ass"))


def font_size(width: int, height: int) -> int:
    """The height of a caption's letters in pixels."""
    return max(8, round(min(_FONT_SHARE * max(width, height), _FONT_WIDTH * width)))


def columns(text: str) -> int:
    """The columns of a text in a terminal: two per Chinese, Japanese or Korean character."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def _spread(said: Sentence) -> Iterator[Caption]:
    """A sentence as captions of at most two lines, each for a share of its time."""
    parts = _parts(one_line(said.text))
    whole, at = sum(map(columns, parts)), said.start
    for part in parts:
        until = at + (said.end - said.start) * columns(part) / whole
        yield Caption(at, until, part)
        at = until


def _parts(text: str) -> list[str]:
    """A text in parts of about one length, between words if it has any."""
    count = ceil(columns(text) / _LONGEST)
    if count <= 1:
        return [text] if text else []
    goal, parts, part = columns(text) / count, list[str](), ""
    words = [f"{word} " for word in text.split(" ")]
    pieces = [piece for word in words for piece in (list(word) if columns(word) > _LONGEST else [word])]
    for piece in pieces:
        if (part.strip() and columns(part + piece.rstrip()) > _LONGEST) or columns(part) >= goal:
            parts.append(part.strip())
            part = ""
        part += piece
    return [one for one in [*parts, part.strip()] if one]
