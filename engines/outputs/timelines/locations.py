"""A recording's path as the address that editors store."""

from pathlib import PurePath
from urllib.parse import quote_from_bytes


def file_uri(path: PurePath, host: str = "") -> str:
    """`file:///media/my%20stream.mp4`, of a path of this system or another one."""
    posix = path.as_posix()
    raw = posix.encode("utf-8", "surrogateescape")  # names that are not UTF-8 keep their bytes
    return f"file://{host}{'' if posix.startswith('/') else '/'}{quote_from_bytes(raw, safe='/:')}"
