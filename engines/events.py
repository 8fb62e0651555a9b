"""Faults of a stream as typed events: nothing is repaired in silence."""

from dataclasses import dataclass
from typing import Literal

EventKind = Literal[
    "gap",  # media time is missing from the stream
    "rebase",  # timestamps jumped or restarted and were moved onto the monotonic clock
    "header_change",  # codec, resolution or sample rate changed in mid-stream
    "replay_dropped",  # a server repeated its tail after a reconnect; the repeats were dropped
    "reconnect",  # the connection was lost and made again
    "corrupt",  # packets that could not be decoded were skipped
    "overload",  # a stage fell behind and dropped work by its rule
    "eof",  # the stream ended
]


@dataclass(frozen=True)
class Event:
    """One fault: its kind, the media time in seconds at which it shows, and a line for people."""

    kind: EventKind
    time: float
    detail: str
