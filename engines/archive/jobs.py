"""One recording of an archive as a job, and what became of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kuaihl.models.errors import KuaihlError


@dataclass(frozen=True)
class Job:
    """One item of an archive: where it is, where its outputs go, and what is known of it."""

    source: str
    output: Path
    comments: Path | None = None
    streamer: str | None = None
    cuts: Path | None = None  # what an editor cut of it, where a manifest says so


@dataclass(frozen=True)
class JobResult:
    """What became of a job; `reason` says in one line why it failed, `seconds` is what it took."""

    job: Job
    status: Literal["done", "skipped", "failed"]
    reason: KuaihlError | str | None = None
    seconds: float = 0.0


# Does one job; raises a KuaihlError with one line for people where it cannot.
ScoreJob = Callable[[Job], None]
