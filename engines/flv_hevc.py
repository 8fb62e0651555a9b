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
CODED_FRAMES = 1  # packet type; it, sequence start (0) and end (2) are the same in both
LEGACY_HEADER_BYTES = 5  # frame type and codec, packet type, composition time (3)
CHUNK_BYTES = 1 << 16
ENHANCED = 0x80  # high bit of the first byte: what follows is enhanced RTMP
FIRST_VIDEO_WITHIN = 4 << 20  # bytes in which the first video tag must show


class ByteFile(Protocol):
    def read(self, size: int, /) -> bytes: ...

    def close(self) -> object: ...


def tag_codec(data: bytes | bytearray) -> int | None:
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
    """A file that reads as the other one does, with every tag of codec id 12 rewritten; damage passes as it is."""

    name = "pipe"

    def __init__(self, file: ByteFile) -> None:
        self.file = file
        self.raw = bytearray()  # read, not yet looked at
        self.done = bytearray()  # looked at, not yet given out
        self.is_flv: bool | None = None
        self.ended = False

    def read(self, size: int) -> bytes:
        while len(self.done) < size and not self.ended:
            chunk = self.file.read(CHUNK_BYTES)
            self.raw += chunk
            self.ended = not chunk
            self.convert()
            if self.done:
                break
        given = bytes(self.done[:size])
        del self.done[:size]
        return given

    def close(self) -> None:
        self.file.close()

    def convert(self) -> None:
        """Move what is complete from `raw` to `done`."""
        if self.is_flv is None and (len(self.raw) >= FLV_HEADER_BYTES or self.ended):
            self.is_flv = self.raw[:3] == b"FLV"
            if self.is_flv:
                self.move(int.from_bytes(self.raw[5:9], "big") + PREVIOUS_SIZE_BYTES)
        if self.is_flv:
            while self.convert_tag():
                pass
        if self.is_flv is False or self.ended:
            self.move(len(self.raw))

    def convert_tag(self) -> bool:
        """Whether a whole tag, or damage before one, has been moved."""
        raw = self.raw
        if len(raw) < TAG_HEADER_BYTES:
            return False
        if not is_tag(raw, 0):
            return self.skip_damage()
        size = int.from_bytes(raw[1:4], "big")
        whole = TAG_HEADER_BYTES + size + PREVIOUS_SIZE_BYTES
        if len(raw) < whole:
            return False
        if (
            raw[0] == VIDEO_TAG
            and size >= LEGACY_HEADER_BYTES
            and tag_codec(raw[TAG_HEADER_BYTES:whole]) == LEGACY_HEVC
        ):
            data = enhanced(bytes(raw[TAG_HEADER_BYTES : TAG_HEADER_BYTES + size]))
            self.done += raw[:1] + len(data).to_bytes(3, "big") + raw[4:TAG_HEADER_BYTES] + data
            self.done += (TAG_HEADER_BYTES + len(data)).to_bytes(PREVIOUS_SIZE_BYTES, "big")
            del raw[:whole]
        else:
            self.move(whole)
        return True

    def skip_damage(self) -> bool:
        """Move on to where the next tag seems to begin; the demuxer is the one to say what was damaged."""
        last = len(self.raw) - TAG_HEADER_BYTES
        begins = next((at for at in range(1, last) if is_tag(self.raw, at)), last)
        if begins <= 0:
            return False
        self.move(begins)
        return True

    def move(self, count: int) -> None:
        self.done += self.raw[:count]
        del self.raw[:count]


def is_tag(raw: bytes | bytearray, at: int) -> bool:
    """Whether a tag's header may stand there: a known type, and the stream id 0 of every tag."""
    return raw[at] in (AUDIO_TAG, VIDEO_TAG, SCRIPT_TAG) and raw[at + 8 : at + TAG_HEADER_BYTES] == b"\0\0\0"


def enhanced(data: bytes) -> bytes:
    """A legacy video tag's data, `[frame type | 12][packet type][composition time, 3][…]`, as enhanced RTMP's."""
    packet_type = data[1]
    head = bytes([ENHANCED | (data[0] & 0x70) | packet_type]) + FOURCC
    if packet_type == CODED_FRAMES:
        return head + data[2:]  # the composition time stays
    return head + data[LEGACY_HEADER_BYTES:]
