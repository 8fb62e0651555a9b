"""Our own JSON Lines: one object per line, `{"time": 12.5, "text": "…", "author": "…", "kind": "chat"}`.

`time` (seconds) and `text` are required, the rest is optional; `value` is the price paid for a gift or message. Other
keys are ignored. A line of a file that is followed live may leave out `time`.
"""

from collections.abc import Iterator
from typing import TextIO, cast, get_args

from kuaihl.engines.comments.formats.comment_format import CommentFormat, make_comment, parse_amount, parse_seconds
from kuaihl.engines.comments.json_stream import dig, json_values
from kuaihl.engines.types import Comment, CommentKind
from kuaihl.models.json_text import parse_json


def _recognises(head: str) -> bool:
    first = next((line for line in head.splitlines() if line.strip()), "")
    try:
        value = parse_json(first)
    except ValueError:
        return False
    return isinstance(value, dict) and isinstance(value.get("text"), str)


def read(stream: TextIO, now: float | None = None) -> Iterator[Comment | None]:
    """A line without `time` counts as written at `now`; if `now` is None it cannot be used."""
    for line in json_values(stream):
        time = parse_seconds(dig(line, "time"))
        if time is None and isinstance(line, dict) and "time" not in line:
            time = now
        kind = dig(line, "kind")
        known = cast(CommentKind, kind) if kind in get_args(CommentKind) else "chat"
        yield make_comment(time, dig(line, "text"), dig(line, "author"), known, parse_amount(dig(line, "value")))


FORMAT = CommentFormat("kuaihl JSON Lines", _recognises, read)
