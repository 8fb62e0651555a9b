"""An HLS playlist on disk: read once, from its first piece to its last, even if its writer never ended it.

FFmpeg takes a playlist without #EXT-X-ENDLIST for a live stream: it begins three pieces before the end, and waits for
more. On disk that is a recorder that was killed or still writes, and a file is read as it is.
"""

from pathlib import Path

from kuaihl.engines.ingest.playlist_parts import HEAD, is_playlist_head

# For pieces that only FFmpeg can open, such as encrypted ones: it waits for some seconds at the end.
UNFINISHED = {"live_start_index": "0", "max_reload": "1"}


def is_playlist(path: Path) -> bool:
    """Whether a file is an HLS playlist, of pieces or of other playlists."""
    with path.open("rb") as file:
        return is_playlist_head(file.read(len(HEAD)))
