"""One viewer's message."""

from dataclasses import dataclass
from typing import Literal

CommentKind = Literal["chat", "gift", "like", "join"]


@dataclass(frozen=True)
class Comment:
    """A viewer's message: `time` in seconds from the start of the stream."""

    time: float
    text: str
    author: str | None = None
    kind: CommentKind = "chat"
    value: float | None = None  # what was paid for it, in the platform's own unit; None if nothing, or not told
