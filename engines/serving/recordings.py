"""Recordings that a recorder's webhook announces: scored one after another, behind the live rooms.

Those that wait are in a file, so that a restart loses none. A recorder repeats itself, and files are announced that are
scored already: neither is scored twice.
"""

import json
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuaihl.engines.archive.answers import lacks_space
from kuaihl.engines.archive.names import path_name
from kuaihl.engines.archive.recorder_hooks import read_announcement
from kuaihl.engines.encoders.scheduler import Closed, Scheduler
from kuaihl.engines.outputs.atomic import write_output
from kuaihl.engines.outputs.lock import FolderInUse
from kuaihl.engines.scoring.journal import AlreadyScored
from kuaihl.engines.scoring.run import Run
from kuaihl.engines.sinks.settings import SinkSettings
from kuaihl.models.errors import KuaihlError, SourceError, UsageError, reason_of

if TYPE_CHECKING:
    from kuaihl.engines.scoring.model import Model

LOG = logging.getLogger("kuaihl")

_FILE = "recordings.json"
_FOLDER = "recordings"  # in the server's folder, for their run folders
_REMEMBERED = 10_000  # announcements that are known again
_MOST_TRIES = 2  # that ended with the process, and without a new segment
_AGAIN = 60.0  # seconds until what cannot be written now is tried again


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
        # With the number of times that each was begun, which no end of the process took back.
        self._waiting = {self._root / name: tries for name, tries in _read_list(self._list).items()}
        self._begun: Path | None = None
        self._postponed: set[Path] = set()
        self._again_at = 0.0
        self._told: dict[Path, str] = {}  # why one waits
        self._known: OrderedDict[str, tuple[Path, ...]] = OrderedDict()  # announcements
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="kuaihl-recordings", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End with the media that was read; what waits is left to the next process."""
        self._stop.set()
        with self._changed:
            if self._begun is not None:
                self._take_back(self._begun)
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
            waiting = self._waiting | dict.fromkeys(new, 0)
            self._write(waiting)  # before it counts as known: the recorder tries again if this fails
            self._known[event] = found.recordings
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            self._waiting = waiting
            self._changed.notify_all()
        return len(new)

    def _work(self) -> None:
        while (path := self._next()) is not None:
            try:
                self._begin(path)
                self._score(path)
            except Closed:
                return
            except AlreadyScored:
                self._desk.report(f"recording {path.name}: is scored already")
            except Exception as error:
                if not self._stop.is_set() and _may_pass(error):
                    self._postpone(path, error)
                    continue
                self._fail(path, error)
            if self._stop.is_set():
                return
            self._leave_out(path)

    def _next(self) -> Path | None:
        """The recording that has waited longest, of those that can be tried now; None when the server ends."""
        with self._changed:
            while not self._stop.is_set():
                left = self._again_at - time.monotonic()
                if left <= 0:
                    self._postponed.clear()
                for path in self._waiting:
                    if path not in self._postponed:
                        return path
                self._changed.wait(left if self._postponed else None)
            return None

    def _begin(self, path: Path) -> None:
        """Count a try, before it can end the process. Raises SourceError after too many, UsageError as `_write`."""
        with self._changed:
            tries = self._waiting[path]
            if tries >= _MOST_TRIES:
                raise SourceError(f"the server died {tries} times while it scored it; score it by itself to see why")
            self._count(path, tries + 1)
            self._begun = None if self._stop.is_set() else path

    def _count(self, path: Path, tries: int) -> None:
        with self._changed:
            if self._waiting[path] != tries:
                self._waiting[path] = tries
                self._write(self._waiting)

    def _take_back(self, path: Path) -> None:
        """The try that is under way did not end the process."""
        self._begun = None
        with suppress(UsageError):
            self._count(path, max(self._waiting[path] - 1, 0))

    def _postpone(self, path: Path, error: Exception) -> None:
        """Try it again later; if the disk is full, the others too."""
        with self._changed:
            self._take_back(path)
            self._postponed |= {path} if isinstance(error, FolderInUse) else self._waiting.keys()
            self._again_at = time.monotonic() + _AGAIN
        if self._told.get(path) != str(error):
            self._told[path] = str(error)
            self._desk.report(f"recording {path.name}: waits: {error}")

    def _fail(self, path: Path, error: Exception) -> None:
        """Report it, and take another announcement of it for a new one."""
        if isinstance(error, KuaihlError):
            self._desk.report(f"recording {path.name}: failed: {error}")
        else:
            LOG.warning(f"recording {path.name}: unexpected {type(error).__name__}", exc_info=error)
            self._desk.report(f"recording {path.name}: unexpected {type(error).__name__}: {reason_of(error)}")
        with self._changed:
            for event in [event for event, paths in self._known.items() if path in paths]:
                del self._known[event]

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
                self._count(path, 0)  # it gets on
            result = run.finish()
        desk.ended(folder)
        if not self._stop.is_set():
            desk.report(f"recording {path.name}: {len(result.highlights)} highlights in {folder}")

    def _folder_of(self, path: Path) -> Path:
        return self._output / _FOLDER / path_name(path.relative_to(self._root).parts)

    def _leave_out(self, path: Path) -> None:
        with self._changed:
            self._begun = None
            del self._waiting[path]
            self._told.pop(path, None)
            try:
                self._write(self._waiting)
            except KuaihlError as error:
                self._desk.report(str(error))

    def _write(self, waiting: Mapping[Path, int]) -> None:
        entries = [{"recording": str(path.relative_to(self._root)), "tries": tries} for path, tries in waiting.items()]
        write_output(self._list, json.dumps(entries, indent=1) + "\n")


def _may_pass(error: Exception) -> bool:
    """Whether an error is not the recording's: its folder is in use, or a file cannot be written now."""
    cannot_write = isinstance(error, UsageError) and isinstance(error.__cause__, OSError)
    return isinstance(error, FolderInUse) or cannot_write or lacks_space(error)


def _read_list(path: Path) -> dict[str, int]:
    """The recordings that an earlier process left, below their root, each with its tries. Raises UsageError."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(entries, list):
            raise ValueError("no list")
        # Version 0.2.0 wrote names alone.
        alike: list[Any] = [{"recording": one, "tries": 0} if isinstance(one, str) else one for one in entries]
        return {str(one["recording"]): int(one["tries"]) for one in alike}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); delete it to begin without recordings") from error
