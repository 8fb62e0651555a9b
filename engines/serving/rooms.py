"""All rooms of a server: they come and go, and the register brings them back after a restart."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kuaihl.engines.serving.register import Entry, Register
from kuaihl.engines.serving.room import House, Room
from kuaihl.engines.serving.room_spec import RoomSpec
from kuaihl.models.errors import UsageError, reason_of

_POLL_SECONDS = 0.05
_KEPT_ENDED = 1_000  # ended rooms that are still listed


class RoomExists(UsageError):
    """A room of this id is there, with another source."""


class TooManyRooms(UsageError):
    """The server has as many rooms as it may have, or as the system gives it threads for, or is ending."""


@dataclass(frozen=True)
class Leaving:
    """A room whose publisher has left, and the timer that will end it."""

    room: Room
    timer: threading.Timer


class Rooms:
    """The rooms by their ids. All methods may be called from any thread."""

    def __init__(self, make_house: Callable[[Callable[[], None]], House], folder: Path, *, most: int = 500) -> None:
        """`make_house` is given what to call when a room has news for the register.

        Raises UsageError if the folder cannot be used, or another server uses it.
        """
        self._register = Register(folder)
        self._house = make_house(self._note)
        self._most = most
        self._lock = threading.RLock()
        self._rooms: dict[str, Room] = {}
        self._leaving: dict[str, Leaving] = {}
        self._kept: dict[str, Entry] | None = None  # for the next process, once this one ends
        self._fault = ""  # why the register could not be written the last time

    def restore(self) -> int:
        """Bring the rooms of the last process back; their number.

        Raises UsageError as `Register.read`, TooManyRooms if the system has no thread for one.
        """
        rooms = [
            Room(one.spec, self._house, one.broadcast, is_restored=True, was_live=one.was_live)
            for one in self._register.read()
        ]
        with self._lock:  # all of them before the first one starts, which may write the register
            self._rooms |= {room.spec.id: room for room in rooms}
        for room in rooms:
            _start(room)
        return len(rooms)

    def add(self, spec: RoomSpec) -> tuple[Room, bool]:
        """A room, and whether it is new: one that has the same source is left as it is.

        Raises RoomExists if another source has its id, TooManyRooms if there is no place.
        """
        with self._lock:
            found = None if self._is_left_to_next(spec) else self._find_or_start(spec)
        if found is None or found[1]:
            self._write()
        if found is None:
            raise TooManyRooms("the server is ending; the next one takes rooms")
        return found

    def _find_or_start(self, spec: RoomSpec) -> tuple[Room, bool]:
        there = self._rooms.get(spec.id)
        if there is not None and there.state != "ended" and not there.is_stopping:
            if there.spec.url != spec.url:
                raise RoomExists(f"room {spec.id} is there, with another source; end it first")
            self._cancel_leaving(spec.id)
            if spec.origin == "hook":
                there.announce()
            return there, False
        others = [room for room in self._rooms.values() if room is not there and room.state != "ended"]
        if len(others) >= self._most:
            raise TooManyRooms(f"there are {self._most} rooms, as many as this server may have")
        room = Room(spec, self._house)
        _start(room)  # before it is listed: one without a thread would look as if it waited
        self._cancel_leaving(spec.id)
        self._rooms.pop(spec.id, None)  # so that the newest is the last
        self._rooms[spec.id] = room
        self._forget_ended()
        return room, True

    def _is_left_to_next(self, spec: RoomSpec) -> bool:
        """Whether the server is ending; the stream of a hook, which tells once, is then left to the next process."""
        if self._kept is not None and spec.origin == "hook" and len(self._kept) < self._most:
            self._kept.setdefault(spec.id, Entry(spec, None))
        return self._kept is not None

    def remove(self, room_id: str) -> Room | None:
        """End a room, which is then no longer listed; None if there is none."""
        with self._lock:
            self._cancel_leaving(room_id)
            room = self._rooms.pop(room_id, None)
            if self._kept is not None:
                self._kept.pop(room_id, None)
        if room is not None:
            room.stop()
            self._write()
        return room

    def leave(self, room_id: str, grace: float) -> None:
        """Its publisher has left: end a room that a hook began, unless it is added again within `grace` seconds."""
        with self._lock:
            room = self._rooms.get(room_id)
            if room is None or room.spec.origin != "hook" or self._kept is not None:
                return
            self._cancel_leaving(room_id)
            timer = threading.Timer(grace, self._end_left, (room_id,))
            timer.daemon = True
            try:
                timer.start()
            except RuntimeError:  # no thread to wait on
                room.stop()
            else:
                self._leaving[room_id] = Leaving(room, timer)

    def get(self, room_id: str) -> Room | None:
        """The room of an id."""
        with self._lock:
            return self._rooms.get(room_id)

    def all(self) -> list[Room]:
        """Every room that is listed."""
        with self._lock:
            return list(self._rooms.values())

    def stop(self) -> None:
        """Let every room end after the media that was read; the register keeps them for the next process."""
        with self._lock:
            if self._kept is None:
                self._kept = {one.spec.id: one for one in self._entries()}
            for leaving in self._leaving.values():
                leaving.timer.cancel()
            rooms = list(self._rooms.values())
        for room in rooms:
            room.stop()

    def join(self, seconds: float) -> bool:
        """Whether all rooms have ended within `seconds`; those that only wait for a server's answer are left alone."""
        deadline = time.monotonic() + seconds
        while alive := [room for room in self.all() if room.is_alive]:
            if time.monotonic() > deadline or all(room.is_opening for room in alive):
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def close(self) -> None:
        """Free the folder."""
        self._register.close()

    def _end_left(self, room_id: str) -> None:
        with self._lock:
            leaving = self._leaving.get(room_id)
            if leaving is None or leaving.timer is not threading.current_thread():  # called off meanwhile
                return
            del self._leaving[room_id]
            if self._rooms.get(room_id) is not leaving.room:
                return
        leaving.room.stop()

    def _cancel_leaving(self, room_id: str) -> None:
        if (leaving := self._leaving.pop(room_id, None)) is not None:
            leaving.timer.cancel()

    def _forget_ended(self) -> None:
        ended = [room_id for room_id, room in self._rooms.items() if room.state == "ended"]
        for room_id in ended[: max(len(ended) - _KEPT_ENDED, 0)]:
            del self._rooms[room_id]

    def _note(self) -> None:
        """A room has news. While the server is ending all rooms end, but are to come back."""
        if self._kept is None:
            self._write()

    def _write(self) -> None:
        """Bring the register up to date.

        A disk that is full ends no room: it is reported once, and the next news of a room is another try.
        """
        try:
            self._register.write(self._entries)
            fault = ""
        except UsageError as error:
            fault = str(error)
        if fault != self._fault:
            self._fault = fault
            self._house.report(
                f"after a restart other rooms would come back: {fault}" if fault else "the register is written again"
            )

    def _entries(self) -> list[Entry]:
        with self._lock:
            if self._kept is not None:
                return list(self._kept.values())
            return [
                Entry(room.spec, room.broadcast if room.goes_on else None, room.was_live)
                for room in self._rooms.values()
                if room.state != "ended"
            ]


def _start(room: Room) -> None:
    """Start a room's thread. Raises TooManyRooms if the system has none."""
    try:
        room.start()
    except RuntimeError as error:
        raise TooManyRooms(f"room {room.spec.id}: the system has no thread for it ({reason_of(error)})") from error
