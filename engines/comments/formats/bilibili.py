"""Bilibili danmaku XML: the site's own, both `p` layouts, and the recorders' dialects with gifts and super chats.

expat reads one piece at a time and refuses entities. A file that is still being written (no closing root) gives every
complete comment, and a stretch that is not XML costs only itself.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import TextIO
from xml.parsers import expat

from kuaihl.engines.comments.formats.comment_format import CommentFormat, make_comment, parse_amount, parse_seconds
from kuaihl.engines.types import Comment
from kuaihl.models.json_text import parse_json

CHUNK = 1 << 18  # characters
_MAX_TOKEN = 1 << 20  # characters of one tag; expat holds an unclosed one in memory
_MAX_DANMAKU = 4096  # characters of one element's text, more than a comment has: the advanced mode writes a JSON array
_MAX_DEPTH = 64  # of elements; danmaku have two or three
_MAX_RESTARTS = 1000  # torn places; a file with more of them, and more than it has comments, is not danmaku

_GUARDS = {"1": "总督", "2": "提督", "3": "舰长"}  # ranks of a paid crew, highest first
_ADVANCED, _PROGRAMS = "7", ("8", "9")  # modes whose text is not plain: a JSON array, ActionScript, BAS

# Characters that XML 1.0 forbids, literal or as numeric references: viewers paste them, and recorders pass them on.
_FORBIDDEN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]+")
_REFERENCE = re.compile(r"&#(?:x([0-9a-fA-F]{1,8})|([0-9]{1,10}));")
_ELEMENTS = ("d", "sc", "gift", "guard", "s")
_NOTHING = memoryview(b"")
_RESUME = re.compile(rb"<(?:d|sc|gift|guard|s)\s")


class RefusedXml(Exception):
    """Not danmaku, and perhaps meant to harm: declares entities, is nested deep, or is hardly XML at all."""


def _recognises(head: str) -> bool:
    start = head.lstrip()
    if not start.startswith("<") or re.search(r"<html[\s>]", head, re.IGNORECASE):
        return False
    return re.search(r"<(?:d|sc|gift|guard)\s[^<>]*=|<(?:i|root)[\s/>]", start) is not None


def _read(stream: TextIO) -> Iterator[Comment | None]:
    """Raises RefusedXml for a document that no recorder writes."""
    parser = DanmakuParser()
    while piece := stream.read(CHUNK):
        yield from parser.feed(piece)
    yield from parser.finish()


class DanmakuParser:
    """Danmaku out of pieces of a document, cut anywhere. Raises RefusedXml for one that no recorder writes."""

    def __init__(self) -> None:
        self._elements = _Elements()
        self._held = ""

    def feed(self, piece: str) -> list[Comment | None]:
        """The comments that a piece completes, None for each that is bad or torn."""
        text = self._held + piece
        # A reference cut in two by the piece's end waits for its other half.
        cut = text.rfind("&", max(0, len(text) - 12))
        cut = len(text) if cut < 0 or ";" in text[cut:] else cut
        self._held = text[cut:]
        return self._elements.feed(_drop_forbidden(text[:cut]))

    def finish(self) -> list[Comment | None]:
        """The comments at the document's end."""
        return self._elements.feed(_drop_forbidden(self._held)) + self._elements.finish()


def _drop_forbidden(text: str) -> str:
    """`text` without the characters that XML forbids."""
    return _FORBIDDEN.sub("", _REFERENCE.sub(_allowed_reference, text))


def _allowed_reference(match: re.Match[str]) -> str:
    code = int(match[1], 16) if match[1] else int(match[2])
    return match[0] if 0 < code < 0x110000 and not _FORBIDDEN.match(chr(code)) else ""


def _comments_of(name: str, fields: dict[str, str], text: str) -> Iterator[Comment | None]:
    """The comment in one element; nothing if it is a program rather than a message."""
    if name == "d":
        yield from _parse_danmaku(fields, text)
        return
    time = parse_seconds(fields.get("ts") or fields.get("timestamp"))
    author = fields.get("user") or fields.get("username")
    gift = fields.get("giftname") or (_GUARDS.get(fields.get("level", "")) if name == "guard" else None)
    if name == "sc" or (text.strip() and not gift):
        yield make_comment(time, text, author, value=parse_amount(fields.get("price")) if name == "sc" else None)
    else:
        yield make_comment(time, gift, author, "gift")


def _parse_danmaku(fields: dict[str, str], text: str) -> Iterator[Comment | None]:
    p = fields.get("p", "").split(",")
    # The second layout: an id, 0, milliseconds, mode. In the first, the fourth field is a colour.
    if len(p) > 3 and p[0].isdigit() and p[1] == "0" and p[3] in "123456789":
        time, mode, sender = parse_seconds(p[2], 0.001), p[3], p[8:9]
    else:
        time, mode, sender = parse_seconds(p[0]), p[1] if len(p) > 1 else "", p[6:7]
    if mode in _PROGRAMS:
        return
    if mode == _ADVANCED:
        try:
            text = str(parse_json(text)[4])
        except (ValueError, TypeError, LookupError):
            yield None
            return
    yield make_comment(time, text, fields.get("user") or next((uid for uid in sender if uid != "0"), None))


class _Elements:
    """Expat with its three handlers; it starts again behind whatever it cannot read."""

    def __init__(self) -> None:
        self._found: list[Comment | None] = []
        self._restarts = 0
        self._closed = 0  # comments that were whole
        self._begin()

    def feed(self, text: str) -> list[Comment | None]:
        """The comments that `text` completes, None for each that is bad or torn."""
        data = memoryview(text.encode())  # its parts are no copies, however often it is cut
        while data:
            before = self._fed
            self._fed += len(data)
            try:
                self._parser.Parse(data)
            except expat.ExpatError:
                data = self._restart_behind(data, self._parser.ErrorByteIndex - before)
            else:
                data = _NOTHING
                if self._fed - self._parser.CurrentByteIndex > _MAX_TOKEN:
                    self._restart_behind(_NOTHING, 0)
        return self._take()

    def finish(self) -> list[Comment | None]:
        """The comments that expat still held back; an element that is not closed is left out."""
        with contextlib.suppress(expat.ExpatError):
            self._parser.Parse(b"", True)
        return self._take()

    def _take(self) -> list[Comment | None]:
        found, self._found = self._found, []
        return found

    def _restart_behind(self, data: memoryview, bad: int) -> memoryview:
        """Start again at the next element behind byte `bad` of `data`; returns the rest to feed."""
        self._restarts += 1
        if self._restarts > max(_MAX_RESTARTS, self._closed):
            raise RefusedXml(f"not XML in {self._restarts:,} places; save the danmaku again")
        self._found.append(None)
        self._begin()
        self._parser.Parse(b"<i>")
        self._fed = 3
        resume = _RESUME.search(data, max(bad, 0) + 1)
        return data[resume.start() :] if resume else _NOTHING

    def _begin(self) -> None:
        self._parser = expat.ParserCreate(encoding="utf-8")
        self._parser.buffer_text = True
        self._parser.EntityDeclHandler = self._refuse
        self._parser.StartElementHandler = self._open
        self._parser.CharacterDataHandler = self._add
        self._parser.EndElementHandler = self._close
        self._fed = 0  # bytes given to this parser
        self._depth = 0
        self._name = ""  # of the open comment, "" if there is none
        self._fields: dict[str, str] = {}
        self._text = ""

    def _refuse(self, *declaration: object) -> None:
        raise RefusedXml("declares XML entities, which danmaku never do; refused")

    def _open(self, name: str, fields: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise RefusedXml("nested too deep to be danmaku")
        if name in _ELEMENTS:
            if self._name:  # the one before was never closed: a torn write
                self._found.append(None)
            self._name, self._fields, self._text = name, fields, ""

    def _add(self, text: str) -> None:
        if self._name and len(self._text) < _MAX_DANMAKU:
            self._text += text

    def _close(self, name: str) -> None:
        self._depth -= 1
        if name == self._name:
            self._name = ""
            self._closed += 1
            self._found.extend(_comments_of(name, self._fields, self._text))


FORMAT = CommentFormat("Bilibili danmaku XML", _recognises, _read)
