"""What a worker of any runner answers for a job, and when a job has used more than it may."""

import errno
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

from kuaihl.engines.archive.jobs import NO_PROGRESS, InHand, Job, JobResult, Limits, Progress, ScoreJob, WorkerLost
from kuaihl.models.errors import KuaihlError, Remedy, reason_of

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # what fails one job for lack of space fails every other


class Answer(NamedTuple):
    """How a job ended in its worker; "full" is a failure for lack of space."""

    kind: Literal["done", "skipped", "failed", "full"]
    reason: KuaihlError | str | None = None
    warnings: tuple[str, ...] = ()
    progress: Progress = NO_PROGRESS

    def result(self, job: Job, seconds: float) -> JobResult:
        """The answer as the result of its job."""
        status: Literal["done", "skipped", "failed"] = "failed" if self.kind == "full" else self.kind
        return JobResult(
            job, status, self.reason, seconds, self.warnings, no_space=self.kind == "full", progress=self.progress
        )


def do_job(score_job: ScoreJob, job: Job, tell: Callable[[Progress], None]) -> Answer:
    """Do one job, telling its progress; its errors do not affect the others."""
    last = NO_PROGRESS

    def note(progress: Progress) -> None:
        nonlocal last
        last = progress
        tell(progress)

    try:
        return Answer("done", None, tuple(score_job(job, note)), last)
    except InHand as error:
        return Answer("skipped", str(error), (), last)
    except KuaihlError as error:
        return Answer("full" if lacks_space(error) else "failed", error, (), last)
    except Exception as error:
        reason = f"unexpected {type(error).__name__}: {reason_of(error, 300)}"
        return Answer("full" if lacks_space(error) else "failed", reason, (), last)


def late_after(limits: Limits, progress: Progress) -> float:
    """The seconds after which a job has used up its time."""
    allowed = (limits.seconds, limits.seconds_by_length(progress))
    return min((one for one in allowed if one is not None), default=math.inf)


def excess_of(limits: Limits, progress: Progress, seconds: float, memory: int) -> WorkerLost | None:
    """What a job has used more of than it may after `seconds`, its worker holding `memory` bytes; None if nothing."""
    late = late_after(limits, progress)
    if seconds >= late:
        if limits.seconds is None or late < limits.seconds:
            more = Remedy("allow more time", {"time_factor": None})
            return WorkerLost(f"not done after {late:g} s, too long for its length", remedy=more)
        return WorkerLost(f"not done after {late:g} s", remedy=Remedy("allow more time", {"time_limit": None}))
    if limits.memory is not None and memory > limits.memory:
        more = Remedy("allow more memory", {"memory_limit": None})
        return WorkerLost(f"its process used more than {limits.memory / 1e9:.3g} GB of memory", remedy=more)
    return None


def lacks_space(error: BaseException | None) -> bool:
    """Whether a full or read-only disk is behind an error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            return True
        error = error.__cause__ or error.__context__
    return False
