"""The processes that read the rooms, each a few of them, and what they hand over.

A room's packets take Python's lock some hundred times per second. In one process many rooms wait for each other and
for the encoders, until they come to a standstill with processors left over (docs/benchmarks.md).
"""

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import send_handle

from kuaihl.engines.highlights.packet_ring import PacketRing
from kuaihl.engines.ingest.live_clock import ClockMark
from kuaihl.engines.runtimes.heap import without_thread_caches
from kuaihl.engines.scoring.reading import Cutting, Reading
from kuaihl.engines.serving.access import Allowed
from kuaihl.engines.serving.reader_process import Begin, Cut, Ended, Opened, Stop, read_rooms
from kuaihl.engines.types import CommentFeed, FrameFinder, MediaFacts, Segment
from kuaihl.models.errors import KuaihlError, SourceUnavailable

_MODULES = "kuaihl.engines.serving.reader_modules"
_ASK_SECONDS = 0.5  # between two looks whether a room is to end
_END_SECONDS = 2.0  # after which a process that was asked to end is killed


@dataclass(eq=False)
class _Process:
    """A process, and the rooms that it reads."""

    process: BaseProcess
    control: "Connection[Begin | Stop, object]"
    rooms: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)  # of `control`


class Readers:
    """The processes, which start as rooms come. All methods may be called from any thread."""

    def __init__(self, rooms_per_process: int) -> None:
        self._most = rooms_per_process
        self._lock = threading.Lock()
        self._processes: list[_Process] = []
        self._numbers = count()

    def open(self, name: str, timeout: float, stop: threading.Event, allowed: Allowed) -> Reading:
        """Open a source in the process with the fewest rooms. Raises SourceError as opening it here does."""
        ours, theirs = multiprocessing.Pipe()
        with self._lock:
            number, process = next(self._numbers), self._least_busy()
            process.rooms.add(number)
        with theirs, process.lock, suppress(OSError):  # it has died: the room's own pipe says so
            process.control.send(Begin(number, name, timeout, allowed))
            send_handle(process.control, theirs.fileno(), process.process.pid)
        return _DistantReading(name, stop, number, process, ours)

    def _least_busy(self) -> _Process:
        self._processes = [one for one in self._processes if one.process.is_alive()]
        found = min(self._processes, key=lambda one: len(one.rooms), default=None)
        if found is None or len(found.rooms) >= self._most:
            found = _start()
            self._processes.append(found)
        return found

    def close(self) -> None:
        """End the processes, with all that they read."""
        with self._lock:
            for one in self._processes:
                one.control.close()
            for one in self._processes:
                one.process.join(_END_SECONDS)
                if one.process.is_alive():
                    one.process.kill()


def _start() -> _Process:
    # Not a fork of this process, which may hang after torch has started its threads, but of one with little in it,
    # whose modules take their memory once.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_MODULES])
    ours, theirs = context.Pipe()
    process = context.Process(target=read_rooms, args=(theirs,), name="kuaihl-reader", daemon=True)
    with without_thread_caches():  # three threads per room would keep up to 0.2 MB each
        process.start()
    theirs.close()
    return _Process(process, ours)


class _DistantReading:
    """A source that another process reads."""

    is_pipe = is_growing = False
    facts: MediaFacts | None = None

    def __init__(
        self, name: str, stop: threading.Event, number: int, process: _Process, pipe: "Connection[Cutting, object]"
    ) -> None:
        """Wait until it is open. Raises SourceError."""
        self.name = name
        self.shortfall: str | None = "it was not read to its end"
        self._stop, self._number, self._process, self._pipe = stop, number, process, pipe
        self._mark: ClockMark | None = None
        self._receiving, self._is_closed = threading.Lock(), False
        try:
            opened = self._receive()
        except BaseException:
            self.close()
            raise
        assert isinstance(opened, Opened)
        self.is_live, self.duration = opened

    def mark(self) -> ClockMark | None:
        return self._mark

    def segments(
        self,
        cutting: Cutting,
        *,
        comments: CommentFeed | None = None,
        exact: FrameFinder | None = None,
        ring: PacketRing | None = None,
    ) -> Iterator[Segment]:
        if exact is not None or ring is not None:
            raise ValueError("another process finds no exact frames, and keeps no packets")
        self._pipe.send(cutting)
        while isinstance(got := self._receive(), Cut):
            self._mark = got.mark
            yield got.segment if comments is None else _with_comments(got.segment, comments)
            del got  # the next one may be half a minute away
        assert isinstance(got, Ended)
        self.is_live, self.shortfall = got

    def close(self) -> None:
        """Idempotent; a thread that waits for an answer closes the pipe itself."""
        if self._is_closed:
            return
        self._is_closed = True
        self._tell_to_stop()
        self._process.rooms.discard(self._number)
        if self._receiving.acquire(blocking=False):
            self._pipe.close()
            self._receiving.release()

    def _receive(self) -> object:
        """The next answer. Raises it if it is an error, and SourceUnavailable if the process has died."""
        is_told = False
        with self._receiving:
            try:
                while not self._pipe.poll(_ASK_SECONDS):
                    if self._stop.is_set() and not is_told:
                        self._tell_to_stop()
                        is_told = True
                answer = self._pipe.recv()
            except (EOFError, OSError) as error:
                raise SourceUnavailable(f"{self.name}: the process that read it has died") from error
            finally:
                if self._is_closed:
                    self._pipe.close()
        if isinstance(answer, KuaihlError):
            try:
                raise answer
            finally:
                del answer  # or it and this frame would keep each other alive
        return answer

    def _tell_to_stop(self) -> None:
        with self._process.lock, suppress(OSError):  # it has died
            self._process.control.send(Stop(self._number))


def _with_comments(segment: Segment, comments: CommentFeed) -> Segment:
    found = comments.take(segment.start, segment.end)
    events = sorted(
        (*segment.events, *comments.take_events(segment.start)), key=lambda one: (one.kind == "eof", one.time)
    )
    return replace(segment, comments=found, has_chat=comments.has_chat, events=tuple(events))
