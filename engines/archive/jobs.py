"""One recording of an archive as a job, and its result."""

from collections.abc import Callable
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


@dataclass(frozen=True)
class JobResult:
    """The result of a job; `reason` is one line on why it failed, `seconds` the time it took."""

    job: Job
    status: Literal["done", "skipped", "failed"]
    reason: KuaihlError | str | None = None
    seconds: float = 0.0


# Does one job; raises a KuaihlError with a readable line if it cannot.
ScoreJob = Callable[[Job], None]
