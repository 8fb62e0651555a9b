"""The local runner: jobs go out to worker processes, results come back one by one.

Each worker loads its models once and then scores job after job. A job that fails, takes too much time or memory, or
whose process dies in a decoder, is reported with its reason. The worker is started again, and the rest go on. A worker
ends with the process that started it.
"""

import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from kuaihl.engines.archive.answers import Answer, do_job, excess_of, late_after
from kuaihl.engines.archive.jobs import NO_LIMITS, NO_PROGRESS, Job, JobResult, Limits, Progress, ScoreJob, WorkerLost
from kuaihl.engines.archive.processes import resident_bytes
from kuaihl.models.errors import KuaihlError

_SECONDS_TO_END = 5.0  # after which a worker that was asked to end is killed
_ASK_AGAIN = 0.5  # seconds
_LOOK_AT_MEMORY = 0.25  # seconds
_TELL_EVERY = 0.5  # seconds
_NO_MORE = object()
_ORPHANED = 1  # the exit code of a worker whose parent has died


@dataclass
class _Worker:
    """A live worker process, its current job, and how far that is."""

    process: BaseProcess
    connection: Connection
    job: Job | None = None
    since: float = 0.0
    progress: Progress = NO_PROGRESS

    def late_at(self, limits: Limits) -> float:
        """The monotonic time at which its job has used up its time."""
        return self.since + late_after(limits, self.progress)

    def excess(self, limits: Limits) -> WorkerLost | None:
        """What it has used more of than its job may; None if nothing."""
        memory = 0 if limits.memory is None else resident_bytes(self.process.pid)
        return excess_of(limits, self.progress, time.monotonic() - self.since, memory)


def score_archive(
    jobs: Iterable[Job | None],
    *,
    processes: int,
    prepare: Callable[[], ScoreJob],
    finished: Callable[[Job], bool],
    limits: Limits = NO_LIMITS,
    tell: Callable[[Job, Progress], None] = lambda _job, _progress: None,
) -> Generator[JobResult]:
    """Score every job in `processes` workers and yield results as they come: a `Runner` (engines/archive/jobs.py).

    The time of a job includes that of loading the models. Memory is looked at four times per second.
    """
    coming, workers = iter(jobs), list[_Worker]()
    is_over = False
    try:
        while True:
            is_waiting = False
            while not is_over and not is_waiting and _count_busy(workers) < processes:
                job = next(coming, _NO_MORE)
                if not isinstance(job, Job):
                    is_over, is_waiting = job is _NO_MORE, job is None
                elif finished(job):
                    yield JobResult(job, "skipped")
                else:
                    _hand_over(_free_worker(workers, prepare), job)
                    tell(job, NO_PROGRESS)
            if not is_waiting and not _count_busy(workers):
                return
            for worker in _wait_for_workers(workers, limits, _ASK_AGAIN if is_waiting else math.inf):
                result = _collect(worker, limits, tell)
                if result is not None:
                    yield result
                    is_over = is_over or result.no_space
    finally:
        _stop_workers(workers)


def _count_busy(workers: list[_Worker]) -> int:
    return sum(worker.job is not None for worker in workers)


def _free_worker(workers: list[_Worker], prepare: Callable[[], ScoreJob]) -> _Worker:
    """A live worker without a job: one of those that wait, or else a new one. Those that have died are let go."""
    workers[:] = [worker for worker in workers if worker.job or worker.process.is_alive()]
    free = next((worker for worker in workers if not worker.job), None)
    if free is None:
        free = _start_worker(prepare)
        workers.append(free)
    return free


def _start_worker(prepare: Callable[[], ScoreJob]) -> _Worker:
    # Spawn, not fork: a fork after torch has started its threads may hang.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, prepare), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _hand_over(worker: _Worker, job: Job) -> None:
    worker.job, worker.since, worker.progress = job, time.monotonic(), NO_PROGRESS
    # A worker that died while loading its models cannot take it; `_collect` then reports that.
    _with_broken_pipe_ignored(worker.connection, job)


def _with_broken_pipe_ignored(connection: Connection, message: object) -> None:
    try:
        connection.send(message)
    except (BrokenPipeError, ConnectionResetError):
        return


def _wait_for_workers(workers: list[_Worker], limits: Limits, at_most: float) -> list[_Worker]:
    """The workers that have sent a message, died, or used more than they may.

    At least one, unless none has after `at_most` seconds.
    """
    busy = [worker for worker in workers if worker.job]
    end = time.monotonic() + at_most
    while True:
        now = time.monotonic()
        until = min([end, *(worker.late_at(limits) for worker in busy)])
        pause = until - now if limits.memory is None else min(until - now, _LOOK_AT_MEMORY)
        heard = wait([worker.connection for worker in busy], None if math.isinf(pause) else max(0.0, pause))
        found = [worker for worker in busy if worker.connection in heard or worker.excess(limits)]
        if found or time.monotonic() >= end:
            return found


def _collect(worker: _Worker, limits: Limits, tell: Callable[[Job, Progress], None]) -> JobResult | None:
    """The result of a worker's current job, None if it only told its progress.

    Raises the error that kept its models from loading.
    """
    job, seconds = worker.job, time.monotonic() - worker.since
    assert job is not None
    if not worker.connection.poll():
        excess = worker.excess(limits)
        if excess is None:  # its memory has shrunk again
            return None
        worker.job = None
        _stop_workers([worker])
        return JobResult(job, "failed", excess, seconds, progress=worker.progress)
    try:
        message = worker.connection.recv()
    except (EOFError, ConnectionResetError):
        worker.job = None
        worker.process.join(_SECONDS_TO_END)
        died = WorkerLost(f"its process died ({_exit_words(worker.process.exitcode)})")
        return JobResult(job, "failed", died, seconds, progress=worker.progress)
    if isinstance(message, Progress):
        worker.progress = message
        tell(job, message)
        return None
    worker.job = None
    if isinstance(message, KuaihlError):
        raise message
    answer: Answer = message
    return answer.result(job, seconds)


def _exit_words(code: int | None) -> str:
    """A process's exit code in words."""
    if code is not None and code < 0:
        named = {one.value: one.name for one in signal.Signals}  # some of the real-time ones have no name
        return f"signal {named.get(-code, -code)}"
    return f"exit code {code}"


def _stop_workers(workers: list[_Worker]) -> None:
    """End all workers, at once and then by force."""
    for worker in workers:
        worker.connection.close()
        worker.process.terminate()
    for worker in workers:
        worker.process.join(_SECONDS_TO_END)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def _serve(connection: Connection, prepare: Callable[[], ScoreJob]) -> None:
    """A worker's life: load the models, then score jobs until the pipe closes."""
    # Ctrl-C reaches the whole process group; only the parent decides, and terminates its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        score_job = prepare()
    except KuaihlError as error:
        _with_broken_pipe_ignored(connection, error)
        return
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        _with_broken_pipe_ignored(connection, _run_job(score_job, job, connection))


def _end_with_parent() -> None:
    """Wait for the end of the process that started this one, then end at once, whatever is under way."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(_ORPHANED)


def _run_job(score_job: ScoreJob, job: Job, connection: Connection) -> Answer:
    """Do one job, telling its progress now and then."""
    told = -math.inf

    def tell(progress: Progress) -> None:
        nonlocal told
        if time.monotonic() >= told + _TELL_EVERY:
            told = time.monotonic()
            _with_broken_pipe_ignored(connection, progress)

    return do_job(score_job, job, tell)
