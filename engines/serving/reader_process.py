"""A process that reads rooms for the server: Python's lock is then not shared with the encoders and all other rooms.

Each room has a thread here, and a pipe of its own: how to cut it comes in, its segments go out. A pipe holds less than
a segment, so a room waits whose segments are not taken.
"""

import os
import signal
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from typing import NamedTuple

from kuaihl.engines.ingest.live_clock import ClockMark
from kuaihl.engines.runtimes.heap import give_back_freed_memory, share_one_heap
from kuaihl.engines.scoring.reading import Cutting, read_here
from kuaihl.engines.serving.access import Allowed, check_source
from kuaihl.engines.types import Segment
from kuaihl.models.errors import KuaihlError, SourceError, reason_of

_NICE = 4  # the encoders go first: what is read late is read in larger pieces, which costs less


@dataclass(frozen=True)
class Begin:
    """A room to read; the descriptor of its pipe follows."""

    number: int
    name: str
    timeout: float
    allowed: Allowed


@dataclass(frozen=True)
class Stop:
    """A room ends after the media already read."""

    number: int


class Opened(NamedTuple):
    """A room's first answer, unless it is an error."""

    is_live: bool
    duration: float | None


class Cut(NamedTuple):
    """A segment, and the clock's place behind it."""

    segment: Segment
    mark: ClockMark | None


class Ended(NamedTuple):
    """A room's last answer, unless it is an error."""

    is_live: bool
    shortfall: str | None


def read_rooms(control: "Connection[object, Begin | Stop]") -> None:
    """The life of the process: it ends with the server's end of `control`."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they reach the whole group, but the server decides
        signal.signal(number, signal.SIG_IGN)
    share_one_heap()
    os.nice(_NICE)
    stops: dict[int, threading.Event] = {}
    while True:
        try:
            asked = control.recv()
            if isinstance(asked, Stop):
                stops.pop(asked.number, threading.Event()).set()
                continue
            pipe: Connection[object, Cutting] = Connection(recv_handle(control))
        except (EOFError, OSError):
            os._exit(0)  # a room's thread may be inside FFmpeg
        stop = stops[asked.number] = threading.Event()
        threading.Thread(target=_read_room, args=(asked, stop, pipe), name=f"room-{asked.number}", daemon=True).start()


def _read_room(asked: Begin, stop: threading.Event, pipe: "Connection[object, Cutting]") -> None:
    with pipe, suppress(OSError, EOFError):  # the server has left the room
        try:
            guard = partial(check_source, allowed=asked.allowed)
            with closing(read_here(asked.name, asked.timeout, stop, guard=guard)) as reading:
                pipe.send(Opened(reading.is_live, reading.duration))
                for segment in reading.segments(pipe.recv()):
                    pipe.send(Cut(segment, reading.mark()))
                    del segment  # the next one may be half a minute away
                    give_back_freed_memory()
                pipe.send(Ended(reading.is_live, reading.shortfall))
        except KuaihlError as error:
            pipe.send(error)
        except OSError:
            raise
        except Exception as error:
            pipe.send(SourceError(f"{asked.name}: unexpected {type(error).__name__}: {reason_of(error)}"))
