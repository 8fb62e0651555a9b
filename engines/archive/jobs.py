"""One recording of an archive as a job, its result, and what of the archive is no job."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kuaihl.models.errors import KuaihlError


@dataclass(frozen=True)
class Job:
    """One item of an archive: its location, the folder of its outputs, and known facts."""

    source: str
    output: Path
    comments: Path | None = None
    streamer: str | None = None
    cuts: Path | None = None  # an editor's cuts of it, if a manifest names them
    room: str = ""  # its id in a data set
    grows: bool = False  # it is followed while its recorder writes it


@dataclass(frozen=True)
class LeftOut:
    """A file of an archive that is no job, and why; `is_expected` if nobody would take it for a recording.

    One that `is_growing` may still be written, or its comments may.
    """

    source: str
    reason: str
    is_expected: bool = False
    is_growing: bool = False


@dataclass(frozen=True)
class Archive:
    """The recordings of a folder or manifest, and everything in it that is none or is not ready."""

    rooms: tuple[Job, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class JobResult:
    """The result of a job: `reason` is one line on why it failed, `seconds` the time it took.

    One that another process is doing is skipped, and `reason` says which one.

    `warnings` are the faults of a recording that was scored all the same. After a job that found `no_space`, no other
    is begun.
    """

    job: Job
    status: Literal["done", "skipped", "failed"]
    reason: KuaihlError | str | None = None
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    no_space: bool = False


class InHand(Exception):
    """Raised by a `ScoreJob` for a job that another process is doing; its words say which one."""


# Does one job and returns warnings; raises a KuaihlError with a readable line if it cannot.
ScoreJob = Callable[[Job], Sequence[str]]
