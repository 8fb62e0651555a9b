"""FLV in parts: a new one begins where a stream appears late or goes on in another codec. Damage is passed over.

Only whole tags are handed to FFmpeg's demuxer, which may skip up to 16 MB over a damaged one. A part begins with the
configurations that decoders need. Hostile files end, too: the number of parts is bounded, and no byte is searched
twice.
"""

import re
import struct
from dataclasses import dataclass

from kuaihl.engines.ingest.parts import ByteParts, WhatCame

HEAD_BYTES = 9  # of a file's header, enough to recognise it
_LENGTH_BYTES = 4  # a tag's length, again, after it
_TAG_HEADER_BYTES = 11  # type, data size (3), time (3 + 1), stream id (3)
_ID_AT = 8  # where the stream id stands in it, which is always 0
_AUDIO, _VIDEO, _SCRIPT = 8, 9, 18  # types of tags
_TYPE_BITS = 0x1F
_PROMISE = {_AUDIO: 0x04, _VIDEO: 0x01}  # what a file's header says of its streams
_WORD, _PAIR = struct.Struct(">I"), struct.Struct(">H")
_LONGEST_TAG = (1 << 24) + _TAG_HEADER_BYTES + _LENGTH_BYTES
_TAG_PATTERN = re.compile(rb"(?s)[\x08\x09](?=(...)....\0\0\0)")
_READ_BYTES = 1 << 18
_CONFIGURATION_BYTES = 1 << 16  # of the largest that is believed; real ones have a few hundred
_CODECS = 8  # whose configurations are kept
_PARTS = 64  # that a file may have anywhere …
_SPACING_BYTES = 1 << 18  # … and between further ones, on average

# The first byte of a tag's data: the codec, or enhanced RTMP, whose codecs have four letters.
_ENHANCED_VIDEO, _ENHANCED_AUDIO = 0x80, 0x90
_CODEC_BYTES = 5
_COMMAND_FRAME = 5  # a frame type of video
_MULTITRACK = {_VIDEO: 6, _AUDIO: 5}  # of enhanced RTMP's packet types …
_MODIFIED = 7  # … those whose codec stands elsewhere
_AAC, _AVC, _HEVC = 10, 7, 12  # the old codecs that have a configuration


@dataclass(frozen=True)
class _Tag:
    kind: int
    size: int  # of its data
    codec: bytes | None  # the bytes that tell one codec from another; None if it is neither sound nor picture
    is_configuration: bool = False  # of a decoder, rather than a picture or sound

    @property
    def whole_size(self) -> int:
        return _TAG_HEADER_BYTES + self.size + _LENGTH_BYTES


def is_flv(head: bytes) -> bool:
    """Whether a file that begins with `head` is FLV."""
    return len(head) >= HEAD_BYTES and head[:3] == b"FLV" and head[3] < 5 and HEAD_BYTES <= _data_offset(head) < 256


class FlvParts(ByteParts):
    """FLV as `Parts`: every kind of tag is one stream."""

    name = format = "flv"

    def __init__(self, file: WhatCame) -> None:
        """`file` is at its beginning, which `is_flv`."""
        super().__init__(file)
        self.ahead = bytearray()  # read, but not handed out
        self.ready = 0  # of them, the bytes of this part that may be handed out
        self.passed = 0  # bytes before them
        self.is_at_end = False  # `file` is
        self.codecs: dict[int, bytes] = {}  # of this part's streams
        self.configurations: dict[tuple[int, bytes], bytes] = {}  # the latest ones, as whole tags
        self.usual: set[tuple[int, int]] = set()  # kind and first bytes of tags that need no look
        self.is_settled = False  # FFmpeg knows this part's streams
        self.ends = False  # this part is over after the ready bytes, and another one follows
        self.changed = False  # it is over
        self.parts = 1
        self.fill(HEAD_BYTES)
        first = _data_offset(self.ahead) + _LENGTH_BYTES
        self.head = _file_header(self.ahead[4])  # what a part begins with
        self.next_head = b""
        self.lead = first - len(self.head)
        self.fill(first)
        self.pass_over(min(first, len(self.ahead)))

    def fill(self, size: int) -> bool:
        """Read until `size` bytes are ahead; returns false if the file ends before."""
        while len(self.ahead) < size and not self.is_at_end:
            more = self.file.read(_READ_BYTES)
            self.is_at_end = not more
            self.ahead += more
        return len(self.ahead) >= size

    def pass_over(self, size: int) -> None:
        self.passed += size
        del self.ahead[:size]

    def choose(self, _ids: frozenset[int], /, *, wants_more: bool) -> None:
        self.is_settled = True

    def go_on(self) -> bool:
        while self.read(_READ_BYTES):
            pass
        if not self.changed:
            return False
        self.head, self.changed, self.is_settled = self.next_head, False, False
        return True

    def read(self, size: int) -> bytes:
        """Whole tags as far as they fit; one at a time while FFmpeg looks for the streams. Empty at the part's end."""
        if self.changed:
            return b""
        if self.head:
            given, self.head = self.head[:size], self.head[size:]
            return given
        if not self.ready and not self.ends:
            self.find_ready(size)
        if self.ends and not self.ready:
            self.ends, self.changed = False, True
            return b""
        given = bytes(self.ahead[: min(size, self.ready)])
        self.ready -= len(given)
        self.pass_over(len(given))
        return given

    def find_ready(self, size: int) -> None:
        """Look at the tags ahead, for about `size` bytes; wait only for the first. At the end none is ready."""
        while self.ready < size:
            if self.is_settled:
                self.pass_usual(size)
            begun = self.ready > 0
            if begun and len(self.ahead) < self.ready + _TAG_HEADER_BYTES + _CODEC_BYTES:
                return
            if not self.fill(self.ready + _TAG_HEADER_BYTES + 1):
                self.pass_over(len(self.ahead))
                return
            tag = self.tag_ahead()
            if begun and (tag is None or len(self.ahead) < self.ready + tag.whole_size):
                return
            if tag is None or not self.is_whole(tag):
                if not begun:
                    self.pass_damage(tag)
                if begun or self.ready or not self.ahead:
                    return
            elif self.begins_part(tag):
                self.begin_part(tag)
                return
            else:
                self.note(tag)
                self.ready += tag.whole_size
                if not self.is_settled:
                    return

    def pass_usual(self, size: int) -> None:
        """Make whole tags ready that are like earlier ones."""
        ahead, at, total, usual = self.ahead, self.ready, len(self.ahead), self.usual
        while at < size and at + _TAG_HEADER_BYTES + 2 <= total:
            (word,) = _WORD.unpack_from(ahead, at)
            length = (word & 0xFFFFFF) + _TAG_HEADER_BYTES
            end = at + length + _LENGTH_BYTES
            if end > total or (word >> 24, _PAIR.unpack_from(ahead, at + _TAG_HEADER_BYTES)[0]) not in usual:
                break
            if _WORD.unpack_from(ahead, end - _LENGTH_BYTES)[0] != length:
                break
            at = end
        self.ready = at

    def tag_ahead(self) -> _Tag | None:
        """The tag that begins behind the ready bytes, if one does."""
        self.fill(self.ready + _TAG_HEADER_BYTES + _CODEC_BYTES)
        head = bytes(self.ahead[self.ready : self.ready + _TAG_HEADER_BYTES + _CODEC_BYTES])
        kind, size, data = head[0] & _TYPE_BITS, int.from_bytes(head[1:4], "big"), head[_TAG_HEADER_BYTES:]
        if kind == _SCRIPT or (kind in _PROMISE and size < 2):
            return _Tag(kind, size, None)
        if kind not in _PROMISE:
            return None
        first, second = data[:2].ljust(2, b"\0")
        enhanced = first & _ENHANCED_VIDEO if kind == _VIDEO else first & 0xF0 == _ENHANCED_AUDIO
        if enhanced:
            packet = first & 0x0F
            is_plain = packet not in (_MULTITRACK[kind], _MODIFIED)
            return _Tag(kind, size, data[1:] if is_plain else None, packet == 0)
        if kind == _AUDIO:
            return _Tag(kind, size, bytes([first >> 4]), first >> 4 == _AAC and second == 0)
        codec = first & 0x0F
        is_command = first >> 4 == _COMMAND_FRAME
        return _Tag(kind, size, None if is_command else bytes([codec]), codec in (_AVC, _HEVC) and second == 0)

    def is_whole(self, tag: _Tag) -> bool:
        """Whether the tag behind the ready bytes ends as it says: with its length, or with another tag."""
        at, end = self.ready, self.ready + tag.whole_size
        if not self.fill(end):
            return False
        if _WORD.unpack_from(self.ahead, end - _LENGTH_BYTES)[0] == _TAG_HEADER_BYTES + tag.size:
            return True
        if not self.fill(end + _TAG_HEADER_BYTES):
            return len(self.ahead) == end
        ids = self.ahead[at + _ID_AT : at + _TAG_HEADER_BYTES] + self.ahead[end + _ID_AT : end + _TAG_HEADER_BYTES]
        return self.ahead[end] in (_AUDIO, _VIDEO, _SCRIPT) and not any(ids)

    def pass_damage(self, tag: _Tag | None) -> None:
        """Pass over the bytes before the next whole tag, or all that is left.

        A `tag` that the end of the file cuts off becomes ready if nothing whole follows.
        """
        is_cut_off = tag is not None and self.is_at_end and len(self.ahead) < tag.whole_size
        at = 1
        while True:
            match = _TAG_PATTERN.search(self.ahead, at)
            length = _TAG_HEADER_BYTES + (0 if match is None else int.from_bytes(match.group(1), "big"))
            at = max(at, len(self.ahead) - _TAG_HEADER_BYTES + 1) if match is None else match.start()
            if match is None and is_cut_off:
                self.ready = len(self.ahead)
                return
            if not is_cut_off:
                self.damaged, self.is_plain = True, False
                self.pass_over(at)
                at = 0
            if match is None:
                if not self.fill(len(self.ahead) + 1):
                    self.pass_over(len(self.ahead))
                    return
                continue
            end = at + length + _LENGTH_BYTES
            if self.fill(end) and _WORD.unpack_from(self.ahead, end - _LENGTH_BYTES)[0] == length:
                self.damaged, self.is_plain = True, False
                self.pass_over(at)
                return
            at += 1

    def begins_part(self, tag: _Tag) -> bool:
        """Whether FFmpeg would not know the tag's stream: it is new, or in another codec."""
        if tag.codec is None:
            return False
        known = self.codecs.get(tag.kind)
        if known == tag.codec or (known is None and not self.is_settled):
            return False
        return self.parts < _PARTS + (self.passed + self.ready) // _SPACING_BYTES

    def begin_part(self, tag: _Tag) -> None:
        """End this part behind the ready bytes; the next one begins with `tag`."""
        assert tag.codec is not None
        self.ends, self.is_plain = True, False
        self.parts += 1
        self.codecs[tag.kind] = tag.codec
        self.usual.clear()
        self.next_head = self.preface()

    def preface(self) -> bytes:
        """What a part begins with: the header of a file, and what decoders need."""
        configurations = [self.configurations.get(stream) for stream in self.codecs.items()]
        promise = sum(_PROMISE[kind] for kind in self.codecs)
        return _file_header(promise) + b"".join(one for one in configurations if one is not None)

    def entry(self, byte: int) -> tuple[bytes, int]:
        """What a reading from the middle of the file begins with, and the byte at which it goes on in the file."""
        return self.preface(), byte

    def note(self, tag: _Tag) -> None:
        """Take note of the whole tag behind the ready bytes."""
        if tag.codec is None:
            return
        known = self.codecs.setdefault(tag.kind, tag.codec)
        if tag.is_configuration:
            before = self.configurations.pop((tag.kind, tag.codec), None)
            found = bytes(self.ahead[self.ready : self.ready + tag.whole_size])
            if self.is_settled and (before is None or before[_TAG_HEADER_BYTES:] != found[_TAG_HEADER_BYTES:]):
                self.is_plain = False
            if tag.size <= _CONFIGURATION_BYTES:
                self.configurations[tag.kind, tag.codec] = found
            if len(self.configurations) > _CODECS:
                del self.configurations[next(iter(self.configurations))]
        elif known == tag.codec and len(known) == 1:
            (first,) = _PAIR.unpack_from(self.ahead, self.ready + _TAG_HEADER_BYTES)
            self.usual.add((self.ahead[self.ready], first))


def _data_offset(head: bytes | bytearray) -> int:
    """Where an FLV file's data begin, according to its header."""
    return int.from_bytes(head[5:9], "big")


def _file_header(promise: int) -> bytes:
    return b"FLV\x01" + bytes([promise]) + HEAD_BYTES.to_bytes(4, "big") + bytes(_LENGTH_BYTES)
