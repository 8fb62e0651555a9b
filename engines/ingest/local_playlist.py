"""An HLS playlist on disk: read once, from its first piece to its last, even if its writer never ended it.

FFmpeg takes a playlist without #EXT-X-ENDLIST for a live stream: it begins three pieces before the end, and waits for
more. On disk that is a recorder that was killed or still writes, and a file is read as it is.
"""

import re
import stat
from pathlib import Path

from kuaihl.engines.ingest.playlist_parts import HEAD, OF_PLAYLISTS, is_playlist_head, text_of
from kuaihl.models.errors import SourceError

# For pieces that only FFmpeg can open, such as encrypted ones: it waits for some seconds at the end.
UNFINISHED = {"live_start_index": "0", "max_reload": "1"}
_ATTRIBUTE = re.compile('URI="([^"]+)"')


def is_playlist(path: Path) -> bool:
    """Whether a file is an HLS playlist, of pieces or of other playlists."""
    with path.open("rb") as file:
        return is_playlist_head(file.read(len(HEAD)))


def check_names(name: str, path: Path) -> None:
    """Raise SourceError if a playlist, or one that it names, names a pipe or the like: opening it may take for ever."""
    waiting, known = [path], {path}
    while waiting:
        playlist = waiting.pop()
        with playlist.open("rb") as file:
            lines = text_of(file).splitlines()
        is_of_playlists = any(line.startswith(OF_PLAYLISTS) for line in lines)
        for line in lines:
            for said in _ATTRIBUTE.findall(line) if line.startswith("#") else (line.strip(),):
                named = playlist.parent / said.removeprefix("file:")
                try:
                    mode = named.stat().st_mode
                    is_new = is_of_playlists and stat.S_ISREG(mode) and named not in known and is_playlist(named)
                except (OSError, ValueError):  # it is not there, not for us to read, or on another machine
                    continue
                if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    raise SourceError(f"{name}: it names {named}, which is not a file; leave it out")
                if is_new:
                    known.add(named)
                    waiting.append(named)
