"""Media that FFmpeg's demuxer misses in an FLV file: another codec midway, very late sound, media behind damage.

The demuxer announces new streams too late for PyAV, and skips up to 16 MB over a damaged tag. If a stream has been
silent for a while, or offsets jump, the file's tags are searched. If there is more media, the file is opened again
from there, behind the headers that decoders need. Offsets are bytes from the file's beginning.

Hostile files end, too. The places of opening only grow, many of them lie far apart, and no byte is searched twice.
"""

import os
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
_HEADER_BYTES = 1 << 16  # of the largest configuration that is believed; real ones have a few hundred
_OPENINGS = 64  # that a file may have anywhere; each reads ahead by up to 5 MB
_SPACING_BYTES = 1 << 18  # between further ones, on average
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
        head = _read_at(file, at, _TAG_HEADER_BYTES + _CODEC_BYTES)
        if len(head) < _TAG_HEADER_BYTES + 2 or not _is_tag(head):
            return
        tag = _Tag(at, head[0], int.from_bytes(head[1:4], "big"), head[_TAG_HEADER_BYTES:])
        if tag.kind in _TAG_OF.values() and tag.size > 1:
            yield tag
        at = tag.end


def _read_at(file: IO[bytes], at: int, size: int) -> bytes:
    """Up to `size` bytes from an offset on. The file's own position is neither used nor changed."""
    return os.pread(file.fileno(), size, at)


def _is_tag(raw: bytes) -> bool:
    """Whether `raw` may begin a tag's header: a known type, and the stream id 0 of every tag."""
    return raw[0] in (_AUDIO_TAG, _VIDEO_TAG, _SCRIPT_TAG) and raw[8:_TAG_HEADER_BYTES] == b"\0\0\0"


class _FlvFile:
    """A regular FLV file, beside the demuxer that reads it."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")
        self.first = int.from_bytes(_read_at(self.file, 0, _FLV_HEADER_BYTES)[5:9], "big") + _PREVIOUS_SIZE_BYTES
        self.latest: dict[int, _Tag] = {}  # the streams' configurations before `scanned`
        self.scanned = self.first

    def codec_at(self, at: int) -> bytes | None:
        """The codec of the tag at an offset."""
        return next((tag.codec for tag in _read_tags(self.file, at, at + 1)), None)

    def change(self, kind: Kind, codec: bytes | None, start: int, end: int, least: int) -> tuple[bool, int]:
        """Whether a stream goes on in another codec, or begins if `codec` is None, and at which offset.

        The offset is in [least, end); if there is none, it tells how far the tags from `start` on could be read.
        """
        at = start
        for tag in _read_tags(self.file, start, end):
            at = tag.at
            if at >= least and tag.kind == _TAG_OF[kind] and tag.codec != codec:
                return True, at
        return False, at

    def next_tag(self, start: int, end: int) -> int | None:
        """The offset in [start, end) of the next whole video or audio tag behind damage."""
        at = start
        while at < end:
            chunk = _read_at(self.file, at, min(_SCAN_BYTES, end - at))
            for match in _TAG_PATTERN.finditer(chunk):
                size = int.from_bytes(match.group(1), "big")
                back = _read_at(self.file, at + match.start() + _TAG_HEADER_BYTES + size, _PREVIOUS_SIZE_BYTES)
                if int.from_bytes(back, "big") == _TAG_HEADER_BYTES + size:
                    return at + match.start()
            at += max(len(chunk) - _TAG_HEADER_BYTES, _SCAN_BYTES - _TAG_HEADER_BYTES)
        return None

    def headers(self, before: int, without: Kind | None) -> bytes:
        """The beginning of a file: an FLV header, and the streams' latest configurations before an offset.

        The offset must be larger than in the call before.
        """
        self.scan(before)
        head = b"FLV\x01\x05\0\0\0\x09\0\0\0\0"
        for tag in self.latest.values():
            if without is None or tag.kind != _TAG_OF[without]:
                head += _read_at(self.file, tag.at, tag.end - tag.at)
        return head

    def scan(self, end: int) -> None:
        """Note the configurations between the last scan's end and an offset, over damage."""
        at: int | None = self.scanned
        while at is not None and at < end:
            for tag in _read_tags(self.file, at, end):
                at = tag.end
                if tag.is_header and tag.size <= _HEADER_BYTES:
                    self.latest[tag.kind] = tag
            at = at if at >= end else self.next_tag(at + 1, end)
        self.scanned = end if at is None else at

    def close(self) -> None:
        self.file.close()


class Resumed:
    """A file for FFmpeg: `head`, then `file` from the offset `at` on. It opens nothing, so nothing must be closed."""

    name = "resumed"

    def __init__(self, file: IO[bytes], head: bytes, at: int) -> None:
        self.file = file
        self.head = head
        self.at = at

    def read(self, size: int) -> bytes:
        if self.head:
            given, self.head = self.head[:size], self.head[size:]
            return given
        given = _read_at(self.file, self.at, size)
        self.at += len(given)
        return given


class FlvChanges:
    """Follows the demuxer of one FLV file: takes its packets' kinds and offsets, finds where to open it again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.flv = _FlvFile(path)
        self.shift = 0  # from the demuxer's offsets to the file's
        self.began = 0  # where the demuxer's part of the file begins
        self.count = 0  # of packets
        self.places: dict[str, int] = {}  # offset of each stream's latest packet
        self.given: dict[str, int] = {}  # the same, when the file was last opened again
        self.counts: dict[str, int] = {}  # that packet's number
        self.reached = self.flv.first  # where the latest packet ends, at least
        self.looked: dict[str, int] = {}  # how far each silent stream has been searched for
        self.openings = 0
        self.least = 0  # the lowest place of the next opening

    def find_hidden(self, at: int | None, end: int) -> int | None:
        """The offset of media that the demuxer skipped between its latest packet and its own offset `at`, or `end`."""
        start, limit = max(self.reached, self.least), end if at is None else at + self.shift
        if limit - start < (_SMALLEST_BYTES if at is None else _HOLE_BYTES):
            return None
        self.reached = limit  # whatever the result, it is not searched again
        found = self.flv.next_tag(start, limit)
        return None if found is None or limit - found < _SMALLEST_BYTES else found

    def is_known(self, kind: str, at: int | None) -> bool:
        """Whether a packet was given out before the file was opened again, or belongs to the headers."""
        return at is not None and at + self.shift <= max(self.given.get(kind, -1), self.began - 1)

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
        found: list[tuple[int, Kind]] = []
        for kind in _KINDS:
            if self.count - self.counts.get(kind, 0) < min(self.count, _LOOK_PACKETS):
                continue
            start = max(self.places.get(kind, self.flv.first), self.looked.get(kind, 0))
            codec = self.flv.codec_at(self.places[kind]) if kind in self.places else None
            changes, at = self.flv.change(kind, codec, start, end, self.least)
            self.looked[kind] = at if changes else max(at, reached)
            if changes:
                found.append((at, kind))
        if not found:
            return None
        at, kind = min(found)  # the other one is found again from there on
        self.looked[kind] = at + 1  # it must not be found again
        return kind, at

    def resume(self, kind: Kind | None, at: int) -> Resumed:
        """The file from an offset on; a stream `kind` brings a new configuration of its own."""
        head = self.flv.headers(at, without=kind)
        self.shift, self.began = at - len(head), at
        self.given = dict(self.places)
        self.openings += 1
        # A tag that gives no packet (the end of a sequence) must not be found again.
        self.reached = at + 1
        self.least = max(at + 1, (self.openings - _OPENINGS) * _SPACING_BYTES)
        return Resumed(self.flv.file, head, at)

    def close(self) -> None:
        self.flv.close()
