"""The options of a command that does many recordings: how many at once, what each may use, how often it is tried."""

from dataclasses import dataclass

from kuaihl.engines.archive.bookkeeping import Rules
from kuaihl.engines.archive.jobs import Limits
from kuaihl.engines.archive.processes import can_see_memory
from kuaihl.models.errors import UsageError
from kuaihl_cli.options import (
    JobsOption,
    MemoryLimitOption,
    RetryOption,
    TimeFactorOption,
    TimeLimitOption,
    TriesOption,
)


@dataclass(frozen=True, kw_only=True)
class LimitOptions:
    """Workers, limits and tries."""

    jobs: JobsOption = 1
    time_limit: TimeLimitOption = 86_400.0
    time_factor: TimeFactorOption = 20.0
    memory_limit: MemoryLimitOption = None
    tries: TriesOption = 3
    retry_quarantined: RetryOption = False


def limits_of(options: LimitOptions) -> Limits:
    """The limits among the options. Raises UsageError if this system does not tell a process's memory."""
    if options.memory_limit is not None and not can_see_memory():
        raise UsageError("this system does not tell how much memory a process holds", setting="memory_limit")
    return Limits(options.time_limit, options.time_factor, options.memory_limit)


def rules_of(options: LimitOptions, *, again: bool) -> Rules:
    """How often a recording is tried; `again`: also what is done."""
    return Rules(options.tries, again=again, retry_quarantined=options.retry_quarantined)
