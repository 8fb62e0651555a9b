"""Folders that recorders write into: their recordings as jobs, each as soon as nothing writes to it any more."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kuaihl.engines.archive.jobs import Archive, Job, JobResult, LeftOut
from kuaihl.engines.archive.manifest import job_of, read_folder
from kuaihl.engines.archive.recordings import comments_beside
from kuaihl.models.errors import Remedy, SourceError, UsageError, reason_of

_LOOK_ANYWAY = 60.0  # seconds: a network file system or a full queue of the system may swallow a change
_FASTEST, _SLOWEST = 0.5, 5.0  # seconds between two looks while a file grows or folders are polled
_SHARE = 0.1  # of the time that looking may take

# Size and time of change of a recording, then name, size and time of its comments.
_State = tuple[object, ...]


@dataclass
class _Seen:
    """A recording as the last look found it."""

    state: _State
    since: float = -math.inf  # monotonic time at which a look found it changed; without one its own time decides
    is_given: bool = False  # as a job, in this state
    was_followed: bool = False  # as it grew, in this state or an earlier one


class WatchedFolders:
    """The recordings of some folders and their subfolders, now and later, until `close`.

    `output` contains the run folders and is left out. A recording is a job if neither it nor its comments have changed
    for `min_age` seconds, and again after each change. One that is deleted or renamed before its turn is forgotten.
    Up to `follow` recordings are also jobs while they grow, each once; the others are then at most `most` at a time.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        output: Path,
        *,
        min_age: float,
        poll: bool,
        report: Callable[[LeftOut], None],
        most: float = math.inf,
        follow: int = 0,
    ) -> None:
        """Unless `poll` is set, the system tells of changes. `report` receives files that are left out for good.

        Raises SourceError if a folder is missing, UsageError if one lies in another, `output` is one of them, or
        watchfiles is not installed.
        """
        _check_folders(folders, output)
        self._folders, self._output, self._min_age = folders, output, min_age
        self._report = report
        self._most, self._follow = most, follow
        self._polls = threading.Event()
        self._changed, self._closed = threading.Event(), threading.Event()
        self._seen: dict[Path, _Seen] = {}
        self._ready: dict[Path, Job] = {}
        self._growing: dict[Path, Job] = {}  # that may be followed
        self._in_hand: dict[Path, Job] = {}
        self._owners: dict[Path, Path] = {}  # of the run folders: the recordings that they are named after
        self._told: set[tuple[str, str]] = set()  # files that are left out, with the reason
        self._grows = False
        self._last = self._next = -math.inf  # monotonic times of the last look's end and of the earliest next one
        if poll:
            self._polls.set()
        else:
            _check_package()
            threading.Thread(target=self._follow_changes, daemon=True).start()

    def jobs(self) -> Iterator[Job | None]:
        """The recordings that are ready, one by one and without an end; None if none is at the moment."""
        while not self._closed.is_set():
            if self._is_due():
                self._look()
            yield self._take()

    def conclude(self, result: JobResult) -> JobResult:
        """Note that a job has ended; without the failure of a recording that was moved or written to meanwhile."""
        path = Path(result.job.source)
        self._in_hand.pop(path, None)
        seen = self._seen.get(path)
        if result.job.grows and result.status == "failed" and not result.no_space:
            return replace(result, status="skipped", reason=f"not followed, but scored at its end: {result.reason}")
        if result.status == "skipped" and result.reason is not None and seen is not None:
            # Another process has it; if that is killed, it falls to us.
            seen.since, seen.is_given = time.monotonic(), False
        if result.status != "failed" or result.no_space:
            return result
        state = _state_of(path, comments_beside(path))
        if state is None:
            return replace(result, status="skipped", reason="deleted or renamed meanwhile")
        if seen is None or state != seen.state or not seen.is_given:
            return replace(result, status="skipped", reason="written to meanwhile, so its turn comes again")
        return result

    def close(self) -> None:
        self._closed.set()

    def _follow_changes(self) -> None:
        """In a thread: note that something has changed. If the system cannot tell, the folders are polled."""
        from watchfiles import watch

        ours = self._output.resolve()

        def is_foreign(_change: object, path: str) -> bool:
            return not Path(path).is_relative_to(ours)

        try:
            for _ in watch(
                *(folder.resolve() for folder in self._folders),
                watch_filter=is_foreign,
                stop_event=self._closed,
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                self._changed.set()
        except Exception as error:  # of the system, such as a limit on watched folders
            self._tell(LeftOut(str(self._folders[0]), f"polled, because the system cannot watch: {reason_of(error)}"))
            self._polls.set()

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        return self._grows or self._polls.is_set() or self._changed.is_set() or now >= self._last + _LOOK_ANYWAY

    def _look(self) -> None:
        """Find what is ready, and what grows."""
        begun = time.monotonic()
        self._changed.clear()
        self._ready, self._growing, self._grows = {}, {}, False
        found: set[Path] = set()
        for folder in self._folders:
            archive = read_folder(folder, self._output, min_age=self._min_age)
            found |= self._note_growing(archive, folder)
            for job in archive.rooms:
                found.add(Path(job.source))
                self._note_settled(job)
        for path in self._seen.keys() - found - self._in_hand.keys():
            del self._seen[path]
        self._owners = {output: path for output, path in self._owners.items() if path in self._seen}
        self._last = time.monotonic()
        pause = min(_SLOWEST, max(_FASTEST, self._min_age / 20))
        self._next = self._last + max(pause, (self._last - begun) / _SHARE)

    def _note_growing(self, archive: Archive, folder: Path) -> set[Path]:
        """The recordings that are still written; tells of other files that are left out."""
        growing = set()
        for one in archive.left_out:
            if one.is_growing:
                path = Path(one.source)
                comments, self._grows = comments_beside(path), True
                if (seen := self._see(path, comments)) is None:
                    continue
                growing.add(path)
                job = job_of(path, comments, folder, self._output)
                # Looks have found it changed.
                if seen.since > -math.inf and not seen.was_followed and self._owns(job):
                    self._growing[path] = replace(job, grows=True)
            elif not one.is_expected:
                self._tell(one)
        return growing

    def _note_settled(self, job: Job) -> None:
        """A recording whose own time says that it is ready is so unless looks have found it changed since."""
        path = Path(job.source)
        if not self._owns(job):
            return
        seen = self._see(path, comments_beside(path))
        if seen is None or seen.is_given:
            return
        if time.monotonic() - seen.since >= self._min_age:
            self._ready[path] = job
        else:
            self._grows = True

    def _owns(self, job: Job) -> bool:
        """Whether a recording's run folder is its own, which the first one that is seen gets; tells if not."""
        owner = self._owners.setdefault(job.output, Path(job.source))
        if owner != Path(job.source):
            self._tell(LeftOut(job.source, f"its run folder, {job.output.name}, is that of {owner}"))
        return owner == Path(job.source)

    def _see(self, path: Path, comments: Path | None) -> _Seen | None:
        """What is known of a recording, with its state of now; None if it is gone."""
        state = _state_of(path, comments)
        if state is None:
            return None
        seen = self._seen.get(path)
        if seen is None:
            seen = self._seen[path] = _Seen(state)
        elif seen.state != state:
            seen = self._seen[path] = _Seen(state, time.monotonic(), was_followed=seen.was_followed)
        return seen

    def _take(self) -> Job | None:
        """A job that is ready and in nobody's hand, as it was when it was seen."""
        followed = sum(job.grows for job in self._in_hand.values())
        free = [path for path in self._growing if path not in self._in_hand]  # one that stalled may be in hand as ended
        if free and followed < self._follow:
            path, job = free[-1], self._growing.pop(free[-1])
            self._seen[path].was_followed = True
            self._in_hand[path] = job
            return job
        if len(self._in_hand) - followed >= self._most:
            return None
        for path in list(self._ready):
            if path in self._in_hand:
                continue
            job = self._ready.pop(path)
            if _state_of(path, comments_beside(path)) != self._seen[path].state:
                self._changed.set()
                continue
            self._seen[path].is_given = True
            self._in_hand[path] = job
            return job
        return None

    def _tell(self, one: LeftOut) -> None:
        if (one.source, one.reason) not in self._told:
            self._told.add((one.source, one.reason))
            self._report(one)


def _state_of(path: Path, comments: Path | None) -> _State | None:
    """What a change to a recording or its comments changes; None if the recording is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    state = (found.st_size, found.st_mtime_ns)
    if comments is None:
        return state
    try:
        beside = comments.stat()
    except OSError:
        return state
    return (*state, comments.name, beside.st_size, beside.st_mtime_ns)


def _check_folders(folders: Sequence[Path], output: Path) -> None:
    for folder in folders:
        if not folder.is_dir():
            raise SourceError(f"{folder}: no such folder; only folders on disk are watched")
        if output.resolve() == folder.resolve():
            raise UsageError(f"{output}: is a folder of recordings; name another one for the outputs")
    for folder in folders:
        for other in folders:
            if other is not folder and folder.resolve().is_relative_to(other.resolve()):
                raise UsageError(f"{folder}: lies in {other}, whose subfolders are watched too; name it once")


def _check_package() -> None:
    try:
        import watchfiles  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "watching needs a package that is not here: pip install 'kuaihl[watch]'",
            remedy=Remedy("or poll the folders", {"poll": True}),
        ) from error
