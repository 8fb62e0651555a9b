"""chat-downloader 0.2.8: JSON, JSON Lines and CSV, one record per message whatever the site.

A record made while a stream was live has no `time_in_seconds`, only the clock's time, and cannot be placed.
"""

import csv
from collections.abc import Iterable, Iterator
from typing import TextIO

from kuaihl.engines.comments.formats.comment_format import CommentFormat, make_comment, parse_amount, parse_seconds
from kuaihl.engines.comments.json_stream import BAD, dig, json_values
from kuaihl.engines.types import Comment, CommentKind

_GIFT_WORDS = ("sticker", "gift", "subscription", "donation")
_MAX_LINE = 1 << 18  # characters; a record has some thousand
_JOIN_WORDS = ("membership", "raid", "join")


def _recognises(head: str) -> bool:
    return head.lstrip()[:1] in ("{", "[") and '"message' in head and '"time_in_seconds"' in head


def _recognises_csv(head: str) -> bool:
    columns = next(csv.reader(head.splitlines()[:1]), [])
    return {"message", "time_in_seconds"} <= set(columns)


def _read(stream: TextIO) -> Iterator[Comment | None]:
    for record in json_values(stream):
        if record is BAD:
            yield None
            continue
        author = dig(record, "author", "display_name") or dig(record, "author", "name")
        money, amount = dig(record, "money", "text"), dig(record, "money", "amount")
        yield from _parse_comment(dig(record, "time_in_seconds"), dig(record, "message"), author, money, amount, record)


def _read_csv(stream: TextIO) -> Iterator[Comment | None]:
    """Nested fields are columns with a dot: `author.name`."""
    for row in _read_rows(stream):
        if row is None:
            yield None
            continue
        author = row.get("author.display_name") or row.get("author.name")
        money, amount = row.get("money.text"), row.get("money.amount")
        yield from _parse_comment(row.get("time_in_seconds"), row.get("message"), author, money, amount, row)


def _read_rows(stream: TextIO) -> Iterator[dict[str, str] | None]:
    """One row per record; None for one that is not CSV. Quoted messages may span lines, NULs are dropped."""
    records = csv.DictReader(_lines(stream))
    while True:
        try:
            yield next(records)
        except StopIteration:
            return
        except csv.Error:  # a field beyond the library's bound, after an unclosed quote
            yield None


def _lines(stream: TextIO) -> Iterator[str]:
    """Lines without NULs; one beyond bounds is cut to its beginning, so that a row has few fields."""
    while line := stream.readline(_MAX_LINE):
        rest = line
        while len(rest) == _MAX_LINE and not rest.endswith("\n"):
            rest = stream.readline(_MAX_LINE)
        yield line.replace("\0", "")


def _parse_comment(
    time: object, message: object, author: object, money: object, amount: object, record: object
) -> Iterable[Comment | None]:
    kind = dig(record, "message_type")
    name = kind if isinstance(kind, str) else ""
    if name.startswith("ticker"):  # the same paid message again, pinned above the chat
        return
    if isinstance(message, str) and message.strip():
        yield make_comment(parse_seconds(time), message, author, _kind_of(name), parse_amount(amount))
    elif money:
        yield make_comment(parse_seconds(time), money, author, "gift", parse_amount(amount))
    else:
        yield None


def _kind_of(name: str) -> CommentKind:
    if any(word in name for word in _GIFT_WORDS):
        return "gift"
    return "join" if any(word in name for word in _JOIN_WORDS) else "chat"


FORMAT = CommentFormat("chat-downloader JSON", _recognises, _read)
FORMAT_CSV = CommentFormat("chat-downloader CSV", _recognises_csv, _read_csv)
