"""An archive at scale: jobs go out to worker processes, results come back one by one.

Each worker loads its models once and then scores job after job. A job that fails, or whose process dies in a
decoder, is reported with its reason. The worker is started again, and the rest go on.
"""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from kuaihl.engines.archive.jobs import Job, JobResult, ScoreJob
from kuaihl.models.errors import KuaihlError


@dataclass
class _Worker:
    """A live worker process and its current job."""

    process: BaseProcess
    connection: Connection
    job: Job | None = None
    since: float = 0.0


def score_archive(
    jobs: Iterable[Job], *, processes: int, prepare: Callable[[], ScoreJob], finished: Callable[[Job], bool]
) -> Iterator[JobResult]:
    """Score every job in `processes` workers and yield results as they come.

    `prepare` is called once in each worker (it must be picklable) and returns the function that scores a job there.
    Jobs for which `finished` is true are skipped. Raises the error of a worker that cannot load its models.
    """
    pending: list[Job] = []
    for job in jobs:
        if finished(job):
            yield JobResult(job, "skipped")
        else:
            pending.append(job)
    pending.reverse()
    workers: list[_Worker] = []
    try:
        for _ in range(min(processes, len(pending))):
            workers.append(_start_worker(prepare))
            _hand_over(workers[-1], pending.pop())
        while any(worker.job for worker in workers):
            for worker in _wait_for_workers(workers):
                yield _collect(worker)
                if not worker.process.is_alive() and pending:
                    workers[workers.index(worker)] = worker = _start_worker(prepare)
                if pending:
                    _hand_over(worker, pending.pop())
    finally:
        for worker in workers:
            _stop_worker(worker)


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


def _wait_for_workers(workers: list[_Worker]) -> list[_Worker]:
    """The workers that have sent a message or died since the last call; waits for at least one."""
    busy = [worker for worker in workers if worker.job]
    heard = wait([worker.connection for worker in busy])
    return [worker for worker in busy if worker.connection in heard]


def _collect(worker: _Worker) -> JobResult:
    """The result of a worker's current job; raises the error that kept its models from loading."""
    job, seconds = worker.job, time.monotonic() - worker.since
    assert job is not None
    worker.job = None
    try:
        kind, reason = worker.connection.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join(5.0)
        return JobResult(job, "failed", f"its process died ({_exit_words(worker.process.exitcode)})", seconds)
    if kind == "fatal":
        raise reason
    return JobResult(job, "done" if kind == "done" else "failed", reason, seconds)


def _exit_words(code: int | None) -> str:
    """A process's exit code in words."""
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def _stop_worker(worker: _Worker) -> None:
    worker.connection.close()
    worker.process.terminate()
    worker.process.join(5.0)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()


def _serve(connection: Connection, prepare: Callable[[], ScoreJob]) -> None:
    """A worker's life: load the models, then score jobs until the pipe closes."""
    # Ctrl-C reaches the whole process group; only the parent decides, and terminates its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        score_job = prepare()
    except KuaihlError as error:
        _with_broken_pipe_ignored(connection, ("fatal", error))
        return
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        _with_broken_pipe_ignored(connection, _run_room(score_job, job))


def _run_room(score_job: ScoreJob, job: Job) -> tuple[str, KuaihlError | str | None]:
    """Score one job; its errors do not affect the others."""
    try:
        score_job(job)
    except KuaihlError as error:
        return "failed", error
    except Exception as error:
        return "failed", f"unexpected {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return "done", None
