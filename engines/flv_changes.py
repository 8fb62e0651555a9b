"""Streams of an FLV file that FFmpeg's demuxer announces too late for PyAV: another codec midway, very late sound.

The file is looked at by its tags, where a stream has been silent for a while; if it went on in another codec, the file
is opened anew from there, behind the headers that decoders need. Offsets are bytes from the file's beginning.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from kuaihl.engines.flv_hevc import (
    AUDIO_TAG,
    ENHANCED,
    FLV_HEADER_BYTES,
    PREVIOUS_SIZE_BYTES,
    TAG_HEADER_BYTES,
    VIDEO_TAG,
    is_tag,
)

Kind = Literal["video", "audio"]
TAG_OF = {"video": VIDEO_TAG, "audio": AUDIO_TAG}
KINDS: tuple[Kind, ...] = ("video", "audio")
LOOK_PACKETS = 32  # between two looks: about a second
CODEC_BYTES = 5  # the first byte, and enhanced RTMP's four letters
AAC = 10  # high half of the first byte of an audio tag's data: the one old audio codec with a header of its own


@dataclass(frozen=True)
class Tag:
    at: int
    kind: int
    size: int  # of its data
    head: bytes  # the data's first bytes

    @property
    def codec(self) -> bytes:
        """What tells one codec from another."""
        if self.kind == VIDEO_TAG:
            return self.head[1:5] if self.head[0] & ENHANCED else bytes([self.head[0] & 0x0F])
        return self.head[1:5] if self.head[0] >> 4 == 9 else bytes([self.head[0] >> 4])

    @property
    def is_header(self) -> bool:
        """A decoder's configuration rather than a picture or sound."""
        if self.kind == VIDEO_TAG:
            return (self.head[0] & 0x0F if self.head[0] & ENHANCED else self.head[1]) == 0
        return self.head[0] >> 4 == AAC and self.head[1] == 0

    @property
    def end(self) -> int:
        return self.at + TAG_HEADER_BYTES + self.size + PREVIOUS_SIZE_BYTES


def tags(file: IO[bytes], start: int, end: int) -> Iterator[Tag]:
    """Video and audio tags that begin in [start, end), where one begins at `start`; ends at damage."""
    at = start
    while at < end:
        file.seek(at)
        head = file.read(TAG_HEADER_BYTES + CODEC_BYTES)
        if len(head) < TAG_HEADER_BYTES + 2 or not is_tag(head, 0):
            return
        tag = Tag(at, head[0], int.from_bytes(head[1:4], "big"), head[TAG_HEADER_BYTES:])
        if tag.kind in TAG_OF.values() and tag.size > 1:
            yield tag
        at = tag.end


class FlvFile:
    """A regular FLV file, beside the demuxer that reads it."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")
        self.first = int.from_bytes(self.file.read(FLV_HEADER_BYTES)[5:9], "big") + PREVIOUS_SIZE_BYTES

    def codec_at(self, at: int) -> bytes | None:
        """The codec of the tag at an offset."""
        return next((tag.codec for tag in tags(self.file, at, at + 1)), None)

    def change(self, kind: Kind, codec: bytes | None, start: int, end: int) -> int | None:
        """Where in [start, end) a stream goes on in another codec, or for None begins at all."""
        found = (tag.at for tag in tags(self.file, start, end) if tag.kind == TAG_OF[kind] and tag.codec != codec)
        return next(found, None)

    def headers(self, before: int, without: Kind) -> bytes:
        """As a file's beginning: its header, and the other stream's latest configuration before an offset."""
        latest: Tag | None = None
        for tag in tags(self.file, self.first, before):
            if tag.is_header and tag.kind != TAG_OF[without]:
                latest = tag
        head = b"FLV\x01\x05\0\0\0\x09\0\0\0\0"
        if latest is not None:
            self.file.seek(latest.at)
            head += self.file.read(latest.end - latest.at)
        return head

    def close(self) -> None:
        self.file.close()


class Resumed:
    """A file for FFmpeg: `head`, then what the file at `path` holds from the offset `at` on."""

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
    """Beside the demuxer of one FLV file: takes its packets' kinds and offsets, tells where to open it anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.flv = FlvFile(path)
        self.shift = 0  # from the demuxer's offsets to the file's
        self.count = 0  # of packets
        self.places: dict[str, int] = {}  # offset of each stream's latest packet
        self.counts: dict[str, int] = {}  # the packet's number
        self.looked: dict[str, int] = {}  # how far a stream that there is none of has been looked for

    def passes(self, kind: str, at: int | None) -> bool:
        """A packet goes by; whether it is time to look."""
        self.count += 1
        if at is not None:
            self.places[kind] = at + self.shift
        self.counts[kind] = self.count
        return self.count % LOOK_PACKETS == 0

    def find(self, end: int | None = None) -> tuple[Kind, int] | None:
        """The stream that has gone on, silently, in another codec, and where; looks no further than `end`."""
        reached = max(self.places.values(), default=self.flv.first)
        end = reached if end is None else end
        for kind in KINDS:
            if self.count - self.counts.get(kind, 0) < min(self.count, LOOK_PACKETS):
                continue
            start = max(self.places.get(kind, self.flv.first), self.looked.get(kind, 0))
            codec = self.flv.codec_at(self.places[kind]) if kind in self.places else None
            self.looked[kind] = reached
            at = self.flv.change(kind, codec, start, end)
            if at is not None:
                self.looked[kind] = at + 1  # whatever becomes of it, it is not found again
                return kind, at
        return None

    def resume(self, kind: Kind, at: int) -> Resumed:
        head = self.flv.headers(at, without=kind)
        self.shift = at - len(head)
        return Resumed(self.path, head, at)

    def close(self) -> None:
        self.flv.close()
