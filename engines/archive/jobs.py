"""One recording of an archive as a job, its limits and result, the runners that do jobs, and what is no job."""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from kuaihl.models.errors import BatchError, KuaihlError

LEAST_SECONDS = 600.0  # that a job may take however short its media: models are loaded first


@dataclass(frozen=True, slots=True)  # there may be a hundred thousand
class Job:
    """One item of an archive: its location, the folder of its outputs, and known facts."""

    source: str
    output: Path
    comments: str | Path | None = None  # a text is an address in an object store
    streamer: str | None = None
    cuts: Path | None = None  # an editor's cuts of it, if a manifest names them
    room: str = ""  # its id in a data set
    listed: str = ""  # of objects in a store: the versions of it and its comments when they were listed
    grows: bool = False  # it is followed while its recorder writes it


@dataclass(frozen=True)
class Following:
    """How recordings are followed while they grow."""

    most: int  # at a time
    settled: float  # seconds without a new byte after which one is finished
    beside: bool = True  # whether comments are read that come beside one later


@dataclass(frozen=True)
class LeftOut:
    """A file of an archive that is no job, and why; `is_expected` if nobody would take it for a recording.

    One that `is_growing` may still be written, or its comments may. `name` is that of its outputs if it becomes a job.
    """

    source: str
    reason: str
    is_expected: bool = False
    is_growing: bool = False
    name: str = ""


@dataclass(frozen=True)
class Archive:
    """The recordings of a folder or manifest, and everything in it that is none or is not ready."""

    rooms: tuple[Job, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class Progress:
    """The state of a job under way: its segments so far, and seconds of media."""

    segments: int = 0
    position: float = 0.0  # the end of the last segment
    start: float = 0.0  # where this try began: later than 0 if it goes on with an earlier one
    duration: float | None = None  # as the container says; None if it does not

    @property
    def media_seconds(self) -> float:
        """The media that this try has been through."""
        return max(0.0, self.position - self.start)


@dataclass(frozen=True)
class Limits:
    """The most that one job may use; None is no limit."""

    seconds: float | None = None
    per_second: float | None = None  # seconds per second of media, at least LEAST_SECONDS in all
    memory: int | None = None  # bytes that its worker holds in RAM

    def seconds_by_length(self, progress: Progress) -> float | None:
        """The limit that follows from the media; None without one.

        What was scored counts if it is longer than the container says, so a false length ends no good job.
        """
        if self.per_second is None or progress.duration is None:
            return None
        return max(LEAST_SECONDS, self.per_second * max(progress.duration, progress.position))


NO_PROGRESS, NO_LIMITS = Progress(), Limits()


@dataclass(frozen=True)
class JobResult:
    """The result of a job: `reason` is one line on why it failed, `seconds` the time it took.

    One that another process is doing is skipped, and `reason` says which one. One that failed too often is not begun
    any more: it is quarantined, with the reason of the last try.

    `warnings` are the faults of a recording that was scored all the same. After a job that found `no_space`, no other
    is begun. `progress` is the last that is known. One that `was_moved` had a worker before, which was ended for the
    sake of another job, and may write until it is gone.
    """

    job: Job
    status: Literal["done", "skipped", "failed", "quarantined"]
    reason: KuaihlError | str | None = None
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    no_space: bool = False
    progress: Progress = NO_PROGRESS
    was_moved: bool = False


class InHand(Exception):
    """Raised by a `ScoreJob` for a job that another process is doing; its words say which one."""


class WorkerLost(BatchError):
    """The worker of a job died, or was ended because it used too much time or memory: another try may succeed."""


# Does one job, tells its progress now and then, and returns warnings. Raises a KuaihlError with a readable line if it
# cannot.
ScoreJob = Callable[[Job, Callable[[Progress], None]], Sequence[str]]


class Runner(Protocol):
    """What does jobs on some machines, and knows nothing of ledgers and tries. It must keep these promises.

    - A job is taken from `jobs` when a worker is free for it. None there means that no job is ready now, but more may
      come: the next is asked for soon, and results that come meanwhile are yielded at once.
    - A job for which `finished` is true is skipped; it is asked right before the job would begin.
    - `prepare` is called once in each worker (it can be pickled) and returns the function that does a job there.
    - `tell` is called here when a worker begins with a job, and again with its progress, if the runner knows it.
    - Each job that was taken ends in one result, whatever happens to its worker: that is a WorkerLost.
    - After a result with `no_space` no other job is begun.
    - The error of a worker that cannot load its models is raised. To close the generator ends all workers.
    """

    def __call__(
        self,
        jobs: Iterable[Job | None],
        *,
        prepare: Callable[[], ScoreJob],
        finished: Callable[[Job], bool],
        limits: Limits,
        tell: Callable[[Job, Progress], None],
    ) -> Generator[JobResult]: ...
