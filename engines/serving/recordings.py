"""Recordings that a recorder's webhook announces: scored one after another, behind the live rooms.

Those that wait are in a file, so that a restart loses none. A recorder repeats itself, and files are announced that are
scored already: neither is scored twice.
"""

import json
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kuaihl.engines.archive.names import path_name
from kuaihl.engines.archive.recorder_hooks import read_announcement
from kuaihl.engines.encoders.scheduler import Closed, Scheduler
from kuaihl.engines.outputs.atomic import write_output
from kuaihl.engines.outputs.lock import FolderInUse
from kuaihl.engines.scoring.journal import AlreadyScored
from kuaihl.engines.scoring.run import Run
from kuaihl.engines.sinks.settings import SinkSettings
from kuaihl.models.errors import KuaihlError, UsageError, reason_of

if TYPE_CHECKING:
    from kuaihl.engines.scoring.model import Model

LOG = logging.getLogger("kuaihl")

_FILE = "recordings.json"
_FOLDER = "recordings"  # in the server's folder, for their run folders
_REMEMBERED = 10_000  # announcements that are known again


@dataclass(frozen=True)
class Desk:
    """What the recordings share with the rooms."""

    model: "Model"
    scheduler: Scheduler
    sinks: SinkSettings
    ended: Callable[[Path], None]  # called with the run folder of a recording that was scored
    report: Callable[[str], None]  # receives lines to show


class Recordings:
    """The recordings below `root`, the folder that the recorder writes into, on a thread of their own."""

    def __init__(self, root: Path, output: Path, desk: Desk) -> None:
        """`output` is the server's folder. Raises UsageError for a list of an earlier process that cannot be read."""
        self._root = Path(os.path.normpath(root.absolute()))  # recorders name whole paths
        self._output, self._desk = output, desk
        self._list = output / ".serve" / _FILE
        self._changed = threading.Condition()
        self._waiting: list[Path] = [self._root / name for name in _read_list(self._list)]
        self._known: OrderedDict[str, None] = OrderedDict()  # announcements
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="kuaihl-recordings", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End with the media that was read; what waits is left to the next process."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()

    def join(self, seconds: float) -> bool:
        """Whether the thread has ended within `seconds`."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def folders(self) -> set[Path]:
        """The run folders of those that wait."""
        with self._changed:
            return set(map(self._folder_of, self._waiting))

    def announce(self, recorder: str, payload: object) -> int:
        """Take what a recorder posted; the number of recordings that wait because of it.

        Raises SourceError if it is not the recorder's, or names a file outside the root, UsageError if the list cannot
        be written.
        """
        found = read_announcement(recorder, payload, self._root)
        if found is None:
            return 0
        event = f"{recorder} {found.event}"
        with self._changed:
            if event in self._known:
                return 0
            new = [path for path in found.recordings if path not in self._waiting]
            self._write([*self._waiting, *new])  # before it counts as known: the recorder tries again if this fails
            self._known[event] = None
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            self._waiting += new
            self._changed.notify_all()
        return len(new)

    def _work(self) -> None:
        while (path := self._next()) is not None:
            try:
                self._score(path)
            except Closed:
                return
            except AlreadyScored:
                self._desk.report(f"recording {path.name}: is scored already")
            except FolderInUse as error:
                self._desk.report(f"recording {path.name}: {error}")
            except KuaihlError as error:
                self._desk.report(f"recording {path.name}: failed: {error}")
            except Exception as error:
                LOG.warning(f"recording {path.name}: unexpected {type(error).__name__}", exc_info=True)
                self._desk.report(f"recording {path.name}: unexpected {type(error).__name__}: {reason_of(error)}")
            if self._stop.is_set():
                return
            self._leave_out(path)

    def _next(self) -> Path | None:
        """The recording that has waited longest; None when the server ends."""
        with self._changed:
            while not (self._waiting or self._stop.is_set()):
                self._changed.wait()
            return None if self._stop.is_set() else self._waiting[0]

    def _score(self, path: Path) -> None:
        """Score it, or go on with it. Raises KuaihlError, and Closed."""
        desk, folder = self._desk, self._folder_of(path)
        with Run(
            desk.model,
            str(path),
            desk.model.settings,
            output=folder,
            comments="auto",
            earlier="update",
            stop=self._stop,
            report=lambda line: desk.report(f"recording {path.name}: {line}"),
            encode=partial(desk.scheduler.encode, patient=True),
            sinks=desk.sinks,
            room=folder.name,
        ) as run:
            for _ in run:
                pass
            result = run.finish()
        desk.ended(folder)
        if not self._stop.is_set():
            desk.report(f"recording {path.name}: {len(result.highlights)} highlights in {folder}")

    def _folder_of(self, path: Path) -> Path:
        return self._output / _FOLDER / path_name(path.relative_to(self._root).parts)

    def _leave_out(self, path: Path) -> None:
        with self._changed:
            self._waiting.remove(path)
            try:
                self._write(self._waiting)
            except KuaihlError as error:
                self._desk.report(str(error))

    def _write(self, waiting: list[Path]) -> None:
        names = [str(path.relative_to(self._root)) for path in waiting]
        write_output(self._list, json.dumps(names, indent=1) + "\n")


def _read_list(path: Path) -> list[str]:
    """The recordings that an earlier process left, below their root. Raises UsageError."""
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("no list of names")
        return names
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); delete it to begin without recordings") from error
