"""An HLS playlist on disk: read once, from its first piece to its last, even if its writer never ended it.

FFmpeg takes a playlist without #EXT-X-ENDLIST for a live stream: it begins three pieces before the end, and waits for
more. On disk that is a recorder that was killed or still writes, and a file is read as it is.
"""

import io
import os
import stat
from pathlib import Path

from kuaihl.engines.ingest.playlist_parts import HEAD, is_playlist_head

# For pieces that only FFmpeg can open, such as encrypted ones: it waits for some seconds at the end.
UNFINISHED = {"live_start_index": "0", "max_reload": "1"}


def is_playlist(path: Path) -> bool:
    """Whether a file is an HLS playlist, of pieces or of other playlists."""
    with path.open("rb") as file:
        return is_playlist_head(file.read(len(HEAD)))


class NotAFile(OSError):
    """A piece is a pipe, a device or the like."""


def open_piece(name: str) -> io.BufferedReader:
    """A file that a playlist names. Raises NotAFile, or as `open`; a pipe would make whoever opens it wait."""
    file = os.fdopen(os.open(name, os.O_RDONLY | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise NotAFile(f"it names {name}, which is not a file")
    return file
