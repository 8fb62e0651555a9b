"""A file read again from its middle, on the clock of its first reading."""

from collections.abc import Iterator

from kuaihl.engines.ingest.opening import open_at
from kuaihl.engines.ingest.packets import TimedPacket, packets
from kuaihl.engines.ingest.source import Source
from kuaihl.engines.types import SAME_TIME, Event, SeekPoint
from kuaihl.models.errors import SourceError


class KeyframeMoved(Exception):
    """A keyframe is not where it was noted; the file must be read from its beginning."""


def source_from(head: Source, point: SeekPoint) -> Source:
    """The file of `head` opened at a keyframe, for `packets_from`. Raises KeyframeMoved if it cannot be read there."""
    if head.parts is None:
        raise KeyframeMoved
    try:
        source = open_at(head, point.byte)
    except SourceError as error:
        raise KeyframeMoved from error
    if source.origin is None or _coding_of(source) != _coding_of(head):
        source.close()
        raise KeyframeMoved
    return source


def packets_from(source: Source, point: SeekPoint) -> Iterator[TimedPacket | Event]:
    """The packets from a keyframe on, as `packets` gave them. Raises KeyframeMoved before the first one."""
    found = False
    try:
        for item in packets(source, start=(source.origin or 0.0) + point.shift):
            if not found:
                if isinstance(item, Event) or not item.keyframe or item.time < point.time - SAME_TIME:
                    continue
                if max(abs(item.time - point.time), abs(item.time - item.media_time - point.shift)) > SAME_TIME:
                    break
                found = True
            yield item
    except SourceError as error:
        raise KeyframeMoved from error
    if not found:
        raise KeyframeMoved


def _coding_of(source: Source) -> list[tuple[int, str]]:
    return [(stream.id, stream.codec_context.codec.canonical_name) for stream in source.streams]
