"""The one place where a room's events are published: they are counted, and go to all who listen now."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from kuaihl.engines.serving.room_events import RoomEvent

_KEPT = 10_000  # events that a listener to all rooms may have missed: half an hour of 150 rooms
_WAITING = 1_000  # events that wait for one listener before it is let go
MOST_LISTENERS = 200


@dataclass(frozen=True)
class Numbered:
    """An event, and its number among those of all rooms."""

    number: int
    event: RoomEvent


class Listener:
    """One who listens, in an event loop: events come out as they are published."""

    def __init__(self, room: str | None) -> None:
        """`room` is the only one listened to; None: all of them."""
        self.room = room
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Numbered | None] = asyncio.Queue()
        self._is_left = False

    async def next(self, timeout: float) -> Numbered | None:
        """The next event; None if the listener is to go. Raises TimeoutError."""
        return await asyncio.wait_for(self._queue.get(), timeout)

    def tell(self, numbered: Numbered | None) -> None:
        """Called from any thread; None lets the listener go."""
        try:
            self._loop.call_soon_threadsafe(self._put, numbered)
        except RuntimeError:  # the loop has ended
            self._is_left = True

    def _put(self, numbered: Numbered | None) -> None:
        if self._queue.qsize() < _WAITING:
            self._queue.put_nowait(numbered)
        elif not self._is_left:  # it is too slow: it may come back with the id of its last event
            self._is_left = True
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait(None)


class Hub:
    """Publishes events, each on its room's own thread."""

    def __init__(self, boot: str, count: Callable[[RoomEvent], None]) -> None:
        """`boot` tells this process's numbers from those of an earlier one. `count` must return at once."""
        self.boot = boot
        self._count = count
        self._lock = threading.Lock()
        self._recent: deque[Numbered] = deque(maxlen=_KEPT)
        self._listeners: set[Listener] = set()
        self._number = 0

    def publish(self, event: RoomEvent) -> None:
        """Count the event, and tell everybody who listens."""
        self._count(event)
        with self._lock:
            self._number += 1
            numbered = Numbered(self._number, event)
            self._recent.append(numbered)
            listeners = [one for one in self._listeners if one.room in (None, event.room)]
            for listener in listeners:
                listener.tell(numbered)

    @property
    def is_full(self) -> bool:
        """Whether as many listen as may."""
        return len(self._listeners) >= MOST_LISTENERS

    def listen(self, room: str | None) -> Listener:
        """A new listener, to be called in an event loop."""
        listener = Listener(room)
        with self._lock:
            self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """The listener is told no more."""
        with self._lock:
            self._listeners.discard(listener)

    def since(self, event_id: str | None) -> list[Numbered] | None:
        """The events of all rooms behind an id of `id_of`, none without an id; None if they are no longer known."""
        if event_id is None:
            return []
        boot, _, number = event_id.partition("-")
        with self._lock:
            if boot != self.boot or not (number.isdecimal() and len(number) < 16):
                return None
            first = self._recent[0].number if self._recent else self._number + 1
            if int(number) < first - 1:
                return None
            return [one for one in self._recent if one.number > int(number)]

    def id_of(self, numbered: Numbered) -> str:
        """The id of an event among those of all rooms."""
        return f"{self.boot}-{numbered.number}"

    def close(self) -> None:
        """Let all listeners go."""
        with self._lock:
            for listener in self._listeners:
                listener.tell(None)
