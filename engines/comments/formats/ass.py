"""Danmaku as ASS subtitles, as DanmakuRender and converters write them: the words fly over the picture.

pysubs2 reads the lines and takes their tags off. Comments that would have met on the screen are not in such a file.
"""

import warnings
from collections.abc import Iterator
from typing import TextIO

from kuaihl.engines.comments.formats.comment_format import CommentFormat, make_comment, parse_seconds
from kuaihl.engines.types import Comment

_LONGEST_LINE = 1 << 14  # characters
_AT_ONCE = 500  # lines
_USUAL_FORMAT = "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"


def _recognises(head: str) -> bool:
    return head.lstrip("\ufeff \t\r\n")[:13].lower() == "[script info]"


def _read(stream: TextIO) -> Iterator[Comment | None]:
    columns, lines = _USUAL_FORMAT, []
    in_events = False
    while line := stream.readline(_LONGEST_LINE):
        name = line.lstrip()[:10].lower()
        if name.startswith("["):
            in_events = name.startswith("[events]")
        elif in_events and name.startswith("format:"):
            columns = line
        elif in_events and name.startswith("dialogue:"):
            lines.append(line)
            if len(lines) == _AT_ONCE:
                yield from _comments_of(columns, lines)
                lines = []
    yield from _comments_of(columns, lines)


def _comments_of(columns: str, lines: list[str]) -> Iterator[Comment | None]:
    """The comments of Dialogue lines, None for each that is torn."""
    from pysubs2 import SSAFile

    text = "".join(line if line.endswith("\n") else line + "\n" for line in lines)
    try:
        with warnings.catch_warnings(action="ignore"):  # of a layer that is no number
            events = SSAFile.from_string(
                f"[Script Info]\nScriptType: v4.00+\n\n[Events]\n{columns}{text}", "ass"
            ).events
    except Exception:  # whatever it makes of a torn line
        if len(lines) == 1:
            yield None
            return
        middle = len(lines) // 2
        yield from _comments_of(columns, lines[:middle])
        yield from _comments_of(columns, lines[middle:])
        return
    for event in events:
        yield make_comment(parse_seconds(event.start, 0.001), event.plaintext.replace("\n", " "), event.name)
    yield from [None] * (len(lines) - len(events))


FORMAT = CommentFormat("danmaku in ASS subtitles", _recognises, _read)
