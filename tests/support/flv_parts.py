"""FLV taken apart by its tags: the bytes that a media server sends to a viewer who joins in the middle."""

from collections.abc import Iterator
from typing import NamedTuple

VIDEO, AUDIO, SCRIPT = 9, 8, 18


class Tag(NamedTuple):
    kind: int
    time: float  # seconds
    header: bool  # a decoder's configuration rather than a picture or sound
    keyframe: bool
    data: bytes  # the tag's bytes in the file, with its back pointer


def tags(flv: bytes) -> Iterator[Tag]:
    at = 13
    while at + 15 <= len(flv):
        size = int.from_bytes(flv[at + 1 : at + 4], "big")
        milliseconds = int.from_bytes(flv[at + 4 : at + 7], "big") | flv[at + 7] << 24
        body = flv[at + 11 : at + 11 + size]
        kind = flv[at]
        header = kind in (VIDEO, AUDIO) and body[1] == 0
        keyframe = kind == VIDEO and body[0] >> 4 == 1 and not header
        yield Tag(kind, milliseconds / 1000, header, keyframe, flv[at : at + size + 15])
        at += size + 15


def part(flv: bytes, start: float, end: float) -> bytes:
    """The bytes of a connection: the file's header and the decoders', then everything of [start, end) seconds."""
    found = list(tags(flv))
    headers = [tag.data for tag in found if tag.kind == SCRIPT or tag.header]
    inside = [tag.data for tag in found if start <= tag.time < end and not tag.header and tag.kind != SCRIPT]
    return flv[:13] + b"".join([*headers, *inside])
