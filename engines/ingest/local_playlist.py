"""An HLS playlist on disk: read once, from its first piece to its last, even if its writer never ended it.

FFmpeg takes a playlist without #EXT-X-ENDLIST for a live stream: it begins three pieces before the end, and waits for
more. On disk that is a recorder that was killed or still writes, and a file is read as it is.
"""

import io
from pathlib import Path
from typing import IO

_HEAD, _END = b"#EXTM3U", b"#EXT-X-ENDLIST"
_LONGEST = 1 << 24  # bytes of a playlist: a week of pieces of a second

# For pieces that only FFmpeg can open, such as encrypted ones: it waits for some seconds at the end.
UNFINISHED = {"live_start_index": "0", "max_reload": "1"}


def is_playlist(path: Path) -> bool:
    """Whether a file is an HLS playlist, of pieces or of other playlists."""
    with path.open("rb") as file:
        return is_playlist_head(file.read(len(_HEAD)))


def is_playlist_head(head: bytes) -> bool:
    """Whether a file that begins with these bytes is an HLS playlist."""
    return head.startswith(_HEAD)


def open_ended(url: str, _flags: int, _options: object) -> IO[bytes]:
    """Open a file that a playlist names, or a playlist with an end. Raises OSError."""
    path = Path(url)
    if not is_playlist(path):
        return path.open("rb")
    with path.open("rb") as file:
        text = file.read(_LONGEST)
    return io.BytesIO(text if _END in text else text + b"\n" + _END + b"\n")
