"""Whether an MP4 has its index: most recorders write it last, and a file without one cannot be read."""

from typing import Protocol

INDEX_LAST = "an MP4 whose index comes last, so only a finished file can be read; name that, or put the index first"
NO_INDEX = "an MP4 without its index, which comes last: still being written, or cut off; wait for its end, or repair it"
_MOST_BOXES = 1000  # looked at: a file may claim any number


class _Seekable(Protocol):
    def seek(self, place: int, /) -> int: ...
    def read(self, size: int, /) -> bytes: ...


def lacks_index(file: _Seekable) -> bool:
    """Whether `file`, or the head of one, has media (`mdat`) but no index (`moov`): the boxes of ISO/IEC 14496-12."""
    place, kinds = 0, set()
    for _ in range(_MOST_BOXES):
        file.seek(place)
        header = file.read(16)
        if len(header) < 8:
            break
        size = int.from_bytes(header[:4], "big")
        kinds.add(header[4:8])
        if size == 1:  # the box is long
            size = int.from_bytes(header[8:], "big")
        if size < 8:  # 0: it ends with the file
            break
        place += size
    return b"mdat" in kinds and b"moov" not in kinds
