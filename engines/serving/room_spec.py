"""What is asked of a room, and its id."""

from dataclasses import dataclass
from typing import Literal

from kuaihl.engines.archive.names import stable_name


@dataclass(frozen=True)
class RoomSpec:
    """What is asked of a room."""

    id: str
    url: str
    streamer: str | None = None
    language: str | None = None
    comments: str | None = None  # a file on this machine that grows, or the URL of a page with a chat
    origin: Literal["api", "hook", "file"] = "api"

    @property
    def stays(self) -> bool:
        """Whether it waits for the next broadcast; a media server's hook tells of each one."""
        return self.origin != "hook"


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: JSON and YAML can name half a character, a lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def id_of(text: str) -> str:
    """The id of a room, made from an untrusted text: also the name of its folder."""
    return stable_name(text)
