"""The register: the rooms of a server and their broadcasts, from which the next process brings them back.

It holds whole URLs, with their keys, so only its owner may read its folder.
"""

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from kuaihl.engines.outputs.atomic import cannot_write, write_output
from kuaihl.engines.outputs.lock import FolderLock
from kuaihl.engines.serving.room_spec import RoomSpec
from kuaihl.models.atomic import remove_torn
from kuaihl.models.errors import UsageError

_FOLDER, _FILE = ".serve", "rooms.json"
_FORMAT_VERSION = 1


class Entry(NamedTuple):
    """A room, the broadcast that goes on, if one does, and whether its stream was live before."""

    spec: RoomSpec
    broadcast: str | None
    was_live: bool = False


class Register:
    """The file, under a lock: one server writes into a folder of rooms at a time."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds all rooms. Raises UsageError if it cannot be used, or another server uses it."""
        self._path = folder / _FOLDER / _FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._path.parent.chmod(0o700)
        except OSError as error:
            raise cannot_write(self._path.parent, error) from error
        self._lock = FolderLock(self._path.parent)
        self._writing = threading.Lock()
        self._is_closed = False
        remove_torn(self._path.parent)

    def read(self) -> list[Entry]:
        """The rooms of the last process. Raises UsageError for a file that this version does not read."""
        try:
            said = json.loads(self._path.read_text(encoding="utf-8"))
            if said["version"] != _FORMAT_VERSION:
                raise ValueError(f"version {said['version']}")
            return [
                Entry(RoomSpec(**one["room"]), one["broadcast"], one.get("was_live", False)) for one in said["rooms"]
            ]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{self._path}: cannot be read ({error}); delete it to begin without rooms") from error

    def write(self, entries: Callable[[], Iterable[Entry]]) -> None:
        """Write what `entries` gives, whole or not at all. Raises UsageError if it cannot be written."""
        with self._writing:  # asked under the lock: the last one to write has the newest
            if self._is_closed:  # the folder may be the next server's
                return
            rooms = [
                {"room": asdict(one.spec), "broadcast": one.broadcast, "was_live": one.was_live} for one in entries()
            ]
            text = json.dumps({"version": _FORMAT_VERSION, "rooms": rooms}, ensure_ascii=False, indent=1)
            write_output(self._path, text + "\n")

    def close(self) -> None:
        """Free the folder."""
        with self._writing:
            self._is_closed = True
            self._lock.release()
