"""Danmaku XML that a recorder appends to, on the clock of the stream.

A recorder counts from the start of its file, which is not that of the stream. What has just been written is the
anchor: it was said at about the moment at which it is read.
"""

import codecs
import re
from collections import deque
from dataclasses import replace

from kuaihl.engines.comments.formats import bilibili
from kuaihl.engines.comments.formats.bilibili import DanmakuParser
from kuaihl.engines.types import Comment

HEAD = 1 << 12  # bytes by which danmaku are recognised
_BEGINS = (b"<?", b"<!--")  # what may stand before the root
_END = re.compile(rb"\s*</(?:i|root)>\s*\Z")  # written at every flush by some, and overwritten by the next one
_AGO = 0.1  # seconds; the newest comment was said before the moment at which it is read
_ANCHORS = 20  # reads of new comments from which the shift is taken


class GrowingXml:
    """One recording's danmaku. `feed` raises RefusedXml for a document that no recorder writes."""

    def __init__(self, *, is_of_source: bool = False) -> None:
        """`is_of_source`: the file belongs to the very recording that is read, and has its clock."""
        self._is_of_source = is_of_source
        self._parser = DanmakuParser()
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._anchors: deque[float] = deque(maxlen=_ANCHORS)

    def feed(self, data: bytes, now: float | None) -> tuple[list[Comment | None], int]:
        """The comments that `data` completes, in the stream's seconds, and the number of bytes that are used.

        `now` is the stream's time at which they are read. None if that is unknown; comments are then left out unless
        earlier ones have told the shift.
        """
        end = _END.search(data)
        used = end.start() if end else len(data)
        found = self._parser.feed(self._decoder.decode(data[:used]))
        if self._is_of_source:
            return found, used
        times = [one.time for one in found if one is not None]
        if times and now is not None:
            self._anchors.append(now - _AGO - max(times))
        if not self._anchors:
            return [None] * len(found), used
        # Recorders write late, now and then very late, so a low value is nearest to the truth. The least may come
        # from a moment at which the stream hung.
        shift = sorted(self._anchors)[len(self._anchors) // 4]
        return [one and replace(one, time=one.time + shift) for one in found], used


def recognise_xml(head: bytes) -> bool | None:
    """Whether the first HEAD bytes of a file are danmaku's; None if more of them may be."""
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if bilibili.FORMAT.recognises(head.decode("utf-8-sig", "replace")):
        return True
    return None if start.startswith(_BEGINS) and len(head) < HEAD else False
