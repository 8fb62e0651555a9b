"""The interface of a comment format, and the two rules that all formats share: usable times, and the longest text.

A format reads decoded text and yields a Comment, or None for an entry without a usable one. It never raises for a bad
entry, so that one torn line does not cost a broadcast's chat.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

from kuaihl.engines.types import Comment, CommentKind

MAX_TEXT = 1000  # characters kept of one comment; platforms allow 20 to 500
_MAX_AUTHOR = 100
_MAX_VALUE = 1e9
_MAX_DIGITS = 40  # characters of a number
MAX_SECONDS = 1e7  # 115 days: anything beyond is a clock reading, not a position in a stream


@dataclass(frozen=True)
class CommentFormat:
    """A producer's format: `recognises` takes the first characters of a file, `read` all of it."""

    name: str
    recognises: Callable[[str], bool]
    read: Callable[[TextIO], Iterator[Comment | None]]


def parse_seconds(value: object, unit: float = 1.0) -> float | None:
    """A number or numeric string times `unit`; None if it is not a position in a stream (NaN, infinite, a date)."""
    time = _parse_finite(value, unit)
    return time if time is not None and abs(time) <= MAX_SECONDS else None


def parse_moment(value: object, unit: float) -> float | None:
    """A number or numeric string times `unit` as seconds since the epoch; None if it is no date (NaN, a position)."""
    time = _parse_finite(value, unit)
    return time if time is not None and time > MAX_SECONDS else None


def _parse_finite(value: object, unit: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or _is_long(value):
        return None
    try:
        time = float(value) * unit
    except (ValueError, OverflowError):
        return None
    return time if math.isfinite(time) else None


def make_comment(
    time: float | None, text: object, author: object = None, kind: CommentKind = "chat", value: float | None = None
) -> Comment | None:
    """A comment with its text in bounds, or None if it has no time or no words."""
    if time is None or not isinstance(text, str):
        return None
    words = _make_encodable(text[:MAX_TEXT]).strip()
    if not words:
        return None
    name = _make_encodable(author[:_MAX_AUTHOR]) if isinstance(author, str) and author else None
    return Comment(time, words, name, kind, value)


def parse_amount(amount: object) -> float | None:
    """The price paid, from a number or numeric string; None if nothing was paid or it is not an amount."""
    if isinstance(amount, bool) or not isinstance(amount, int | float | str) or _is_long(amount):
        return None
    try:
        value = float(amount)
    except (ValueError, OverflowError):
        return None
    return value if 0 < value <= _MAX_VALUE else None


def _is_long(value: float | str) -> bool:
    return isinstance(value, str) and len(value) > _MAX_DIGITS


def _make_encodable(text: str) -> str:
    """Replace half of a surrogate pair: JSON may escape it, but no file or tokenizer downstream could take it."""
    return text.encode("utf-8", "replace").decode()
