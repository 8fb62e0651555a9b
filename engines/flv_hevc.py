"""FLV with HEVC under the old codec id 12, which FFmpeg does not know, becomes enhanced RTMP's `hvc1`, which it does.

A filter between the file and the demuxer: bytes of the one in, bytes of the other out, a tag at a time, no seeking.
"""

from typing import Protocol

FLV_HEADER_BYTES = 9
PREVIOUS_SIZE_BYTES = 4  # the length of the tag before, after the header and after every tag
TAG_HEADER_BYTES = 11  # type, data size (3), time (3 + 1), stream id (3)
AUDIO_TAG, VIDEO_TAG, SCRIPT_TAG = 8, 9, 18
LEGACY_HEVC = 12  # low half of the first byte of a video tag's data
FOURCC = b"hvc1"
SEQUENCE_START, CODED_FRAMES, SEQUENCE_END = 0, 1, 2  # packet types, the same in both
ENHANCED = 0x80  # high bit of the first byte: what follows is enhanced RTMP
FIRST_VIDEO_WITHIN = 4 << 20  # bytes in which the first video tag must show


class ByteFile(Protocol):
    def read(self, size: int, /) -> bytes: ...

    def close(self) -> object: ...


def tag_codec(data: bytes) -> int | None:
    """The codec id of a video tag's data; None for enhanced RTMP and an empty tag."""
    return None if not data or data[0] & ENHANCED else data[0] & 0x0F


def has_legacy_hevc(file: ByteFile) -> bool:
    """Whether the first video tag says codec id 12; reads the file's beginning."""
    return first_video_codec(file.read(FIRST_VIDEO_WITHIN)) == LEGACY_HEVC


def first_video_codec(head: bytes) -> int | None:
    """The codec id in the first video tag of an FLV's beginning; None where there is none, or for enhanced RTMP."""
    if head[:3] != b"FLV" or len(head) < FLV_HEADER_BYTES:
        return None
    position = int.from_bytes(head[5:9], "big") + PREVIOUS_SIZE_BYTES
    while position + TAG_HEADER_BYTES < len(head):
        size = int.from_bytes(head[position + 1 : position + 4], "big")
        if head[position] == VIDEO_TAG and size:
            return tag_codec(head[position + TAG_HEADER_BYTES :][:1])
        if head[position] not in (AUDIO_TAG, VIDEO_TAG, SCRIPT_TAG):
            return None
        position += TAG_HEADER_BYTES + size + PREVIOUS_SIZE_BYTES
    return None


def without_legacy_hevc(file: ByteFile) -> "LegacyHevc | ByteFile":
    """The file itself where it can seek and is no such FLV, else the filter, which lets everything else pass."""
    seek = getattr(file, "seek", None)
    if seek is not None:
        legacy = has_legacy_hevc(file)
        seek(0)
        return LegacyHevc(file) if legacy else file
    return LegacyHevc(file)


class LegacyHevc:
    """A file that reads as the other one does, with every tag of codec id 12 rewritten."""

    name = "pipe"

    def __init__(self, file: ByteFile) -> None:
        self.file = file

    def read(self, size: int) -> bytes:
        return self.file.read(size)

    def close(self) -> None:
        self.file.close()
