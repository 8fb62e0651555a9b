"""Jobs done by any runner, with a ledger: what is done is skipped, what may succeed is tried again, what fails too
often is quarantined.

Two rules. Another try in the same run is for a lost worker and for a source that does not answer, never for a recording
that cannot be read. Quarantine is for a recording whose tries lost their worker, or could not read it: not for one that
does not answer, and not for an output that cannot be written.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from kuaihl.engines.archive.jobs import NO_LIMITS, Job, JobResult, Limits, Progress, Runner, ScoreJob, WorkerLost
from kuaihl.engines.archive.ledger import Basis, Ledger
from kuaihl.engines.outputs.run_record import identify_source
from kuaihl.models.errors import KuaihlError, SourceError, SourceUnavailable

_PAUSE = 2.0  # seconds before the second try, and twice as long before each that follows
_LONGEST_PAUSE = 60.0
_MOST_LOST_HANDS = 7  # times that a job waits for its lost worker to end: 4 min in all


@dataclass(frozen=True)
class Work:
    """What is made of each job.

    `key` tells the hashes of options and of the bundle. `inputs` and `products` tell the sizes and times of the files
    that a job reads and writes, at the cost of a few stats: while all three are what they were, `is_done` would say
    what it said. None there means that it cannot be told so cheaply.
    """

    prepare: Callable[[], ScoreJob]  # once in each worker
    is_done: Callable[[Job], bool]  # by all that an earlier run left, however long it takes
    key: Callable[[Job], tuple[str, str]]
    inputs: Callable[[Job], str | None]
    products: Callable[[Job], str | None]
    warnings: Callable[[Job], Sequence[str]]  # of a job that an earlier run has done


@dataclass(frozen=True)
class Rules:
    """How often a job is tried, and what of an earlier run counts."""

    tries: int = 3  # with the same content, options and weights; then a job is quarantined
    again: bool = False  # also what is done or quarantined
    retry_quarantined: bool = False


USUAL_RULES = Rules()


def score_with_ledger(
    jobs: Iterable[Job | None],
    work: Work,
    runner: Runner,
    ledger: Ledger,
    *,
    rules: Rules = USUAL_RULES,
    limits: Limits = NO_LIMITS,
    tell: Callable[[Job, Progress], None] = lambda _job, _progress: None,
    conclude: Callable[[JobResult], JobResult] = lambda result: result,
    report: Callable[[JobResult], None] = lambda _: None,
) -> Generator[JobResult]:
    """Do the jobs as a `Runner` does them, and yield one result per job, its last.

    `conclude` has the last word on a result. `report` gets the failure of each try that another one follows. Raises as
    the runner.
    """
    books = _Books(work, ledger, rules, report)

    def begin(job: Job, progress: Progress) -> None:
        books.begin(job)
        tell(job, progress)

    results = runner(books.feed(jobs), prepare=work.prepare, finished=books.is_settled, limits=limits, tell=begin)
    try:
        with closing(results):
            for result in results:
                if result.status != "skipped":
                    books.begin(result.job)  # a runner may have told nothing of it
                if not books.takes_again(result):
                    yield books.enter(conclude(result))
    finally:
        ledger.give_back()


def undone_first(jobs: Sequence[Job], ledger: Ledger) -> Iterator[Job]:
    """The jobs that the ledger has as done come last: workers begin before all of those were looked at."""
    done = ledger.names("done")
    later = [job.output.name in done for job in jobs]
    del done
    yield from (job for job, is_done in zip(jobs, later, strict=True) if not is_done)
    yield from (job for job, is_done in zip(jobs, later, strict=True) if is_done)


class _Books:
    """The tries of this run."""

    def __init__(self, work: Work, ledger: Ledger, rules: Rules, report: Callable[[JobResult], None]) -> None:
        self._work, self._ledger, self._rules, self._report = work, ledger, rules, report
        self._again: deque[tuple[float, Job]] = deque()  # with the monotonic time from which on
        self._under_way: dict[str, int] = {}  # tries of this run, of each job that has no result yet
        self._begun: set[str] = set()
        self._quarantined: dict[str, str] = {}  # jobs that are not begun, with the reason

    def feed(self, jobs: Iterable[Job | None]) -> Iterator[Job | None]:
        """New jobs, and those to try again, until all have their result."""
        for job in jobs:
            if job is not None:
                self._under_way[job.output.name] = 0
            yield self._take_again() if job is None else job
        while self._under_way:
            yield self._take_again()

    def _take_again(self) -> Job | None:
        if self._again and self._again[0][0] <= time.monotonic():
            return self._again.popleft()[1]
        return None

    def is_settled(self, job: Job) -> bool:
        """Whether a job need not begin: it is done, or is quarantined."""
        name = job.output.name
        if self._rules.again or self._under_way[name]:
            return False
        row, basis = self._ledger.find(name), self._basis_of(job)
        if row is not None and row.has_basis(basis):
            if row.state == "quarantined" and not self._rules.retry_quarantined:
                self._quarantined[name] = f"quarantined after {_times(row.tries)}: {row.reason}"
                return True
            is_listed = row.state == "done" and row.inputs is not None and row.products is not None
            if is_listed and row.products == self._work.products(job):
                return True
        if not self._work.is_done(job):
            return False
        self._ledger.confirm(job, _identified(basis, job), self._work.products(job), lambda: self._work.warnings(job))
        return True

    def begin(self, job: Job) -> None:
        """Note the first that is told of a try."""
        name = job.output.name
        if name not in self._begun:
            self._begun.add(name)
            self._ledger.begin(job, _identified(self._basis_of(job), job))

    def takes_again(self, result: JobResult) -> bool:
        """Whether a result is not the last word on its job: then another try follows."""
        name = result.job.output.name
        if self._is_in_lost_hands(result):
            self._ledger.give_back(name)
            self._try_again(result.job)
            return True
        if result.status != "failed" or result.no_space:
            return False
        match result.reason:
            case WorkerLost():
                tries = self._tries_of(name)
            case SourceUnavailable() if not result.job.grows:  # one that grew is settled, and gets its turn
                tries = self._under_way.get(name, 0) + 1
            case _:
                return False
        if tries >= self._rules.tries:
            return False
        self._report(result)
        self._ledger.end(result, "waiting", None)
        self._try_again(result.job)
        return True

    def _try_again(self, job: Job) -> None:
        name = job.output.name
        self._begun.discard(name)
        pause = min(_PAUSE * 2 ** self._under_way[name], _LONGEST_PAUSE)
        self._again.append((time.monotonic() + pause, job))
        self._under_way[name] += 1

    def _is_in_lost_hands(self, result: JobResult) -> bool:
        """Whether the lost worker of a job still writes: on a machine out of reach it lives for a minute or so."""
        tried = self._under_way.get(result.job.output.name, 0)
        is_skipped = result.status == "skipped" and result.reason is not None and (tried > 0 or result.was_moved)
        return is_skipped and tried <= _MOST_LOST_HANDS and not self._work.is_done(result.job)

    def enter(self, result: JobResult) -> JobResult:
        """Enter the last result of a job; returns it, or that the job was not begun for it is quarantined."""
        job, name = result.job, result.job.output.name
        had_worker = self._under_way.pop(name, 0) > 0 or result.was_moved
        self._begun.discard(name)
        if (reason := self._quarantined.pop(name, None)) is not None:
            return replace(result, status="quarantined", reason=reason)
        if result.status == "skipped" and result.reason is not None and had_worker and self._work.is_done(job):
            # The worker that this run has lost was able to end it.
            result = replace(result, status="done", reason=None, warnings=tuple(self._work.warnings(job)))
        if result.status == "done":
            self._ledger.end(result, "done", self._work.products(job))
        elif result.status == "failed" and not result.no_space:
            self._enter_failure(result)
        elif result.reason is not None:  # another process does it or has done it, it is gone, or there is no space
            is_there = not (result.no_space or job.grows) and self._work.products(job) is not None
            self._ledger.give_back(name, "done" if is_there else "waiting")
        return result

    def _enter_failure(self, result: JobResult) -> None:
        is_poison = _blames_recording(result.reason) and self._tries_of(result.job.output.name) >= self._rules.tries
        self._ledger.end(result, "quarantined" if is_poison else "failed", None)

    def _tries_of(self, name: str) -> int:
        """The tries of a job, with the one that has just ended and those of earlier runs."""
        row = self._ledger.find(name)
        return 1 + (row.tries if row is not None else self._under_way.get(name, 0))

    def _basis_of(self, job: Job) -> Basis:
        options, bundle = self._work.key(job)
        return Basis(options, bundle, self._work.inputs(job))


def _identified(basis: Basis, job: Job) -> Basis:
    """The basis with the content of the source, if that can be read."""
    try:
        found = identify_source(job.source)
    except SourceError:
        return basis
    return replace(basis, size=found.size, modified_ns=found.modified_ns, ends_sha256=found.ends_sha256)


def _blames_recording(reason: KuaihlError | str | None) -> bool:
    """Whether a failure is that of the recording itself; one of an unexpected kind counts as such."""
    match reason:
        case SourceUnavailable():
            return False
        case SourceError() | WorkerLost():
            return True
        case _:
            return isinstance(reason, str)


def _times(number: int) -> str:
    return "1 try" if number == 1 else f"{number} tries"
