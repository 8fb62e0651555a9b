"""Whether a packet marked as a keyframe can be decoded alone.

H.264 with intra refresh has no such packets: a recovery point promises a whole picture some frames later. FFmpeg marks
it as a keyframe all the same.
"""

import re
from collections.abc import Iterator

_START_CODE = re.compile(rb"\x00\x00\x01")
_SLICE, _WHOLE_SLICE = 1, 5  # NAL types of a picture or a part of one; the second never needs other pictures
_INTRA = frozenset({2, 4, 7, 9})  # slice types: I and SI, of one slice or of all
_HEAD_BYTES = 16  # of a slice: more than its two first numbers take


def decodes_alone(codec: str, data: bytes, extradata: bytes | None) -> bool:
    """Whether the packet's picture is intra-coded, judged by its first slice; True for other codecs than H.264."""
    if codec != "h264":
        return True
    for unit in _unit_heads(data, extradata):
        kind = unit[0] & 0x1F
        if kind in (_SLICE, _WHOLE_SLICE):
            return kind == _WHOLE_SLICE or _slice_type(unit[1:]) in _INTRA
    return True


def _unit_heads(data: bytes, extradata: bytes | None) -> Iterator[bytes]:
    """The first bytes of each NAL unit, behind start codes or, as in MP4 and FLV, behind lengths."""
    if extradata and extradata[0] == 1 and len(extradata) > 4:
        width = (extradata[4] & 3) + 1
        at = 0
        while at + width < len(data):
            yield data[at + width : at + width + _HEAD_BYTES]
            at += width + int.from_bytes(data[at : at + width], "big")
        return
    for match in _START_CODE.finditer(data):
        if unit := data[match.end() : match.end() + _HEAD_BYTES]:
            yield unit


def _slice_type(head: bytes) -> int:
    """The second of the Exp-Golomb numbers that begin a slice; the first is where it begins."""
    bits = "".join(f"{byte:08b}" for byte in head.replace(b"\0\0\3", b"\0\0"))
    at = 0
    for _ in range(2):
        zeros = max(bits.find("1", at) - at, 0)
        number = int(bits[at + zeros : at + 2 * zeros + 1] or "0", 2) - 1
        at += 2 * zeros + 1
    return number
