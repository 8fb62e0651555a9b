"""An archive at scale: jobs go out to worker processes, results come back one by one.

Each worker loads its models once and then scores job after job. A job that fails, takes too long, or whose process dies
in a decoder, is reported with its reason. The worker is started again, and the rest go on. A worker ends with the
process that started it.
"""

import errno
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
from typing import Literal

from kuaihl.engines.archive.jobs import InHand, Job, JobResult, ScoreJob
from kuaihl.models.errors import BatchError, KuaihlError, Remedy, reason_of

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # what fails one job for lack of space fails every other
_SECONDS_TO_END = 5.0  # after which a worker that was asked to end is killed
_ASK_AGAIN = 0.5  # seconds
_NO_MORE = object()
_ORPHANED = 1  # the exit code of a worker whose parent has died

_Answer = tuple[Literal["done", "skipped", "failed", "full"], KuaihlError | str | None, tuple[str, ...]]


@dataclass
class _Worker:
    """A live worker process and its current job."""

    process: BaseProcess
    connection: Connection
    job: Job | None = None
    since: float = 0.0


def score_archive(
    jobs: Iterable[Job | None],
    *,
    processes: int,
    prepare: Callable[[], ScoreJob],
    finished: Callable[[Job], bool],
    time_limit: float | None = None,
) -> Generator[JobResult]:
    """Score every job in `processes` workers and yield results as they come.

    A job is taken from `jobs` when a worker is free for it. None there means that no job is ready now but more may
    come, so the next is asked for half a second later.

    `prepare` is called once in each worker (it must be picklable) and returns the function that scores a job there.
    Jobs for which `finished` is true are skipped. A job that takes longer than `time_limit` seconds, loading included,
    fails. Once a job has found no space to write to, no other is begun. Raises the error of a worker that cannot load
    its models.
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
            if not is_waiting and not _count_busy(workers):
                return
            for worker in _wait_for_workers(workers, time_limit, _ASK_AGAIN if is_waiting else None):
                result = _collect(worker, time_limit)
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
    worker.job, worker.since = job, time.monotonic()
    # A worker that died while loading its models cannot take it; `_collect` then reports that.
    _with_broken_pipe_ignored(worker.connection, job)


def _with_broken_pipe_ignored(connection: Connection, message: object) -> None:
    try:
        connection.send(message)
    except (BrokenPipeError, ConnectionResetError):
        return


def _wait_for_workers(workers: list[_Worker], time_limit: float | None, at_most: float | None) -> list[_Worker]:
    """The workers that have sent a message, died, or used up their time since the last call.

    At least one, unless none has after `at_most` seconds.
    """
    busy = [worker for worker in workers if worker.job]
    times = [] if at_most is None else [at_most]
    if time_limit is not None and busy:
        first = min(worker.since for worker in busy) + time_limit
        times.append(max(0.0, first - time.monotonic()))
    heard = wait([worker.connection for worker in busy], min(times, default=None))
    late = time.monotonic() - time_limit if time_limit is not None else -math.inf
    return [worker for worker in busy if worker.connection in heard or worker.since <= late]


def _collect(worker: _Worker, time_limit: float | None) -> JobResult:
    """The result of a worker's current job; raises the error that kept its models from loading."""
    job, seconds = worker.job, time.monotonic() - worker.since
    assert job is not None
    worker.job = None
    if not worker.connection.poll():
        _stop_workers([worker])
        late = BatchError(f"not done after {time_limit:g} s", remedy=Remedy("allow more time", {"time_limit": None}))
        return JobResult(job, "failed", late, seconds)
    try:
        kind, reason, warnings = worker.connection.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join(_SECONDS_TO_END)
        return JobResult(job, "failed", f"its process died ({_exit_words(worker.process.exitcode)})", seconds)
    if kind == "fatal":
        raise reason
    status: Literal["done", "skipped", "failed"] = "failed" if kind == "full" else kind
    return JobResult(job, status, reason, seconds, warnings, no_space=kind == "full")


def _exit_words(code: int | None) -> str:
    """A process's exit code in words."""
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
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
        _with_broken_pipe_ignored(connection, ("fatal", error, ()))
        return
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        _with_broken_pipe_ignored(connection, _run_room(score_job, job))


def _end_with_parent() -> None:
    """Wait for the end of the process that started this one, then end at once, whatever is under way."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(_ORPHANED)


def _run_room(score_job: ScoreJob, job: Job) -> _Answer:
    """Score one job; its errors do not affect the others."""
    try:
        return "done", None, tuple(score_job(job))
    except InHand as error:
        return "skipped", str(error), ()
    except KuaihlError as error:
        return "full" if _lacks_space(error) else "failed", error, ()
    except Exception as error:
        reason = f"unexpected {type(error).__name__}: {reason_of(error, 300)}"
        return "full" if _lacks_space(error) else "failed", reason, ()


def _lacks_space(error: BaseException | None) -> bool:
    """Whether a full or read-only disk is behind an error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            return True
        error = error.__cause__ or error.__context__
    return False
