"""Media that FFmpeg's demuxer misses in an FLV file: another codec midway, very late sound, media behind damage.

The demuxer announces new streams too late for PyAV, and skips up to 16 MB over a damaged tag. If a stream has been
silent for a while, or offsets jump, the file's tags are searched. If there is more media, the file is opened again
from there, behind the headers that decoders need. Offsets are bytes from the file's beginning.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

_FLV_HEADER_BYTES = 9
_PREVIOUS_SIZE_BYTES = 4  # the previous tag's length, after the header and after every tag
_TAG_HEADER_BYTES = 11  # type, data size (3), time (3 + 1), stream id (3)
_AUDIO_TAG, _VIDEO_TAG, _SCRIPT_TAG = 8, 9, 18
_ENHANCED = 0x80  # high bit of a video tag's first byte: enhanced RTMP follows
Kind = Literal["video", "audio"]
_TAG_OF = {"video": _VIDEO_TAG, "audio": _AUDIO_TAG}
_KINDS: tuple[Kind, ...] = ("video", "audio")
_LOOK_PACKETS = 32  # between two searches: about a second
_SCAN_BYTES = 1 << 20
_TAG_PATTERN = re.compile(rb"(?s)[\x08\x09](?=(...)....\0\0\0)")
_SMALLEST_BYTES = 512  # of a hole at the file's end that is worth a search
_HOLE_BYTES = 1 << 16  # a larger hole between two packets means skipped media; metadata may be that large, too
_CODEC_BYTES = 5  # the first byte, and enhanced RTMP's four letters
_AAC = 10  # high half of the first byte of an audio tag's data: the one old audio codec with a header of its own


@dataclass(frozen=True)
class _Tag:
    at: int
    kind: int
    size: int  # of its data
    head: bytes  # the data's first bytes

    @property
    def codec(self) -> bytes:
        """The bytes that tell one codec from another."""
        if self.kind == _VIDEO_TAG:
            return self.head[1:5] if self.head[0] & _ENHANCED else bytes([self.head[0] & 0x0F])
        return self.head[1:5] if self.head[0] >> 4 == 9 else bytes([self.head[0] >> 4])

    @property
    def is_header(self) -> bool:
        """A decoder's configuration rather than a picture or sound."""
        if self.kind == _VIDEO_TAG:
            return (self.head[0] & 0x0F if self.head[0] & _ENHANCED else self.head[1]) == 0
        return self.head[0] >> 4 == _AAC and self.head[1] == 0

    @property
    def end(self) -> int:
        return self.at + _TAG_HEADER_BYTES + self.size + _PREVIOUS_SIZE_BYTES


def _read_tags(file: IO[bytes], start: int, end: int) -> Iterator[_Tag]:
    """Video and audio tags that begin in [start, end); a tag must begin at `start`. Ends at damage."""
    at = start
    while at < end:
        file.seek(at)
        head = file.read(_TAG_HEADER_BYTES + _CODEC_BYTES)
        if len(head) < _TAG_HEADER_BYTES + 2 or not _is_tag(head):
            return
        tag = _Tag(at, head[0], int.from_bytes(head[1:4], "big"), head[_TAG_HEADER_BYTES:])
        if tag.kind in _TAG_OF.values() and tag.size > 1:
            yield tag
        at = tag.end


def _is_tag(raw: bytes) -> bool:
    """Whether `raw` may begin a tag's header: a known type, and the stream id 0 of every tag."""
    return raw[0] in (_AUDIO_TAG, _VIDEO_TAG, _SCRIPT_TAG) and raw[8:_TAG_HEADER_BYTES] == b"\0\0\0"


class _FlvFile:
    """A regular FLV file, beside the demuxer that reads it."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")
        self.first = int.from_bytes(self.file.read(_FLV_HEADER_BYTES)[5:9], "big") + _PREVIOUS_SIZE_BYTES

    def codec_at(self, at: int) -> bytes | None:
        """The codec of the tag at an offset."""
        return next((tag.codec for tag in _read_tags(self.file, at, at + 1)), None)

    def change(self, kind: Kind, codec: bytes | None, start: int, end: int) -> int | None:
        """The offset in [start, end) at which a stream goes on in another codec, or begins if `codec` is None."""
        found = (
            tag.at for tag in _read_tags(self.file, start, end) if tag.kind == _TAG_OF[kind] and tag.codec != codec
        )
        return next(found, None)

    def next_tag(self, start: int, end: int) -> int | None:
        """The offset in [start, end) of the next whole video or audio tag behind damage."""
        at = start
        while at < end:
            self.file.seek(at)
            chunk = self.file.read(min(_SCAN_BYTES, end - at))
            for match in _TAG_PATTERN.finditer(chunk):
                size = int.from_bytes(match.group(1), "big")
                self.file.seek(at + match.start() + _TAG_HEADER_BYTES + size)
                if int.from_bytes(self.file.read(_PREVIOUS_SIZE_BYTES), "big") == _TAG_HEADER_BYTES + size:
                    return at + match.start()
            at += max(len(chunk) - _TAG_HEADER_BYTES, _SCAN_BYTES - _TAG_HEADER_BYTES)
        return None

    def headers(self, before: int, without: Kind | None) -> bytes:
        """The beginning of a file: an FLV header, and the streams' latest configurations before an offset."""
        latest: dict[int, _Tag] = {}
        for tag in self.tags_over_damage(before):
            if tag.is_header and (without is None or tag.kind != _TAG_OF[without]):
                latest[tag.kind] = tag
        head = b"FLV\x01\x05\0\0\0\x09\0\0\0\0"
        for tag in latest.values():
            self.file.seek(tag.at)
            head += self.file.read(tag.end - tag.at)
        return head

    def tags_over_damage(self, end: int) -> Iterator[_Tag]:
        at: int | None = self.first
        while at is not None:
            for tag in _read_tags(self.file, at, end):
                at = tag.end
                yield tag
            at = self.next_tag(at + 1, end)

    def close(self) -> None:
        self.file.close()


class Resumed:
    """A file for FFmpeg: `head`, then the file at `path` from the offset `at` on."""

    name = "resumed"

    def __init__(self, path: Path, head: bytes, at: int) -> None:
        self.file = path.open("rb")
        self.file.seek(at)
        self.head = head

    def read(self, size: int) -> bytes:
        if self.head:
            given, self.head = self.head[:size], self.head[size:]
            return given
        return self.file.read(size)

    def close(self) -> None:
        self.file.close()


class FlvChanges:
    """Follows the demuxer of one FLV file: takes its packets' kinds and offsets, finds where to open it again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.flv = _FlvFile(path)
        self.shift = 0  # from the demuxer's offsets to the file's
        self.count = 0  # of packets
        self.places: dict[str, int] = {}  # offset of each stream's latest packet
        self.counts: dict[str, int] = {}  # that packet's number
        self.reached = self.flv.first  # where the latest packet ends, at least
        self.looked: dict[str, int] = {}  # how far each silent stream has been searched for

    def find_hidden(self, at: int | None, end: int) -> int | None:
        """The offset of media that the demuxer skipped between its latest packet and its own offset `at`, or `end`."""
        start, limit = self.reached, end if at is None else at + self.shift
        if limit - start < (_SMALLEST_BYTES if at is None else _HOLE_BYTES):
            return None
        self.reached = limit  # whatever the result, it is not searched again
        found = self.flv.next_tag(start, limit)
        return None if found is None or limit - found < _SMALLEST_BYTES else found

    def note_packet(self, kind: str, at: int | None, size: int) -> bool:
        """Record a packet; returns whether it is time to search for changes."""
        self.count += 1
        if at is not None:
            self.places[kind] = at + self.shift
            self.reached = at + self.shift + size
        self.counts[kind] = self.count
        return self.count % _LOOK_PACKETS == 0

    def find(self, end: int | None = None) -> tuple[Kind, int] | None:
        """The stream that has silently gone on in another codec, and the offset; searches no further than `end`."""
        reached = max(self.places.values(), default=self.flv.first)
        end = reached if end is None else end
        for kind in _KINDS:
            if self.count - self.counts.get(kind, 0) < min(self.count, _LOOK_PACKETS):
                continue
            start = max(self.places.get(kind, self.flv.first), self.looked.get(kind, 0))
            codec = self.flv.codec_at(self.places[kind]) if kind in self.places else None
            self.looked[kind] = reached
            at = self.flv.change(kind, codec, start, end)
            if at is not None:
                self.looked[kind] = at + 1  # it must not be found again
                return kind, at
        return None

    def resume(self, kind: Kind | None, at: int) -> Resumed:
        """The file from an offset on; a stream `kind` brings a new configuration of its own."""
        head = self.flv.headers(at, without=kind)
        self.shift = at - len(head)
        self.reached = at + 1  # a tag that gives no packet (the end of a sequence) must not be found again
        return Resumed(self.path, head, at)

    def close(self) -> None:
        self.flv.close()
