"""The Ray runner: jobs go out to actors on the nodes of a cluster, results come back one by one.

Each actor loads its models once. Ray starts actors where there is room, which is what lets a cluster grow; those that
find none keep waiting, and their jobs are done by the others. A worker or a node that dies loses only the jobs that it
had in hand. docs/archives.md says why these are actors and not Ray Data.
"""

import pickle
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kuaihl.engines.archive.answers import excess_of
from kuaihl.engines.archive.jobs import NO_LIMITS, NO_PROGRESS, Job, JobResult, Limits, Progress, ScoreJob, WorkerLost
from kuaihl.engines.archive.ray_cluster import Crew, connected
from kuaihl.models.errors import BatchError, reason_of

_TICK = 0.5  # seconds between two looks at limits, and for new jobs
_LOOK_EVERY = 2.0  # seconds between two looks into a worker
_IDLE_SECONDS = 60.0  # after which a worker without a job is ended, so that a cluster may shrink
_DEATHS_WHILE_LOADING = 3  # in a row: then something is wrong for all workers
_NO_MORE = object()
_DISTRIBUTION = "kuaihl"


@dataclass(eq=False)
class _Task:
    """A job in an actor's hand; `ref` is Ray's name of its answer."""

    ref: Any
    job: Job
    since: float = field(default_factory=time.monotonic)
    progress: Progress = NO_PROGRESS

    @property
    def seconds(self) -> float:
        """The time since it was handed over."""
        return time.monotonic() - self.since


@dataclass(eq=False)
class _Worker:
    """An actor: one that loads, or one that has loaded and does jobs."""

    actor: Any
    loading: Any  # Ray's name of what `load` returns; None once that is here
    node: str = ""
    host: str = ""
    tasks: list[_Task] = field(default_factory=list)
    busy_at: float = field(default_factory=time.monotonic)  # when it last had a job
    look: Any = None  # Ray's name of a look that is not here yet
    looked_at: float = 0.0
    memory: int = 0  # bytes, as of the last look
    is_reserved: bool = False  # for one job alone


def score_on_ray(
    jobs: Iterable[Job | None],
    *,
    crew: Crew,
    prepare: Callable[[], ScoreJob],
    finished: Callable[[Job], bool],
    limits: Limits = NO_LIMITS,
    tell: Callable[[Job, Progress], None] = lambda _job, _progress: None,
    report: Callable[[str], None] = lambda _line: None,
) -> Generator[JobResult]:
    """Do every job in the actors of a crew: a `Runner` (engines/archive/jobs.py).

    A job is taken when an actor is free or is wanted for it. The first one that is not finished needs Ray. The time of
    a job includes neither loading the models nor waiting for a place in the cluster. `report` gets what workers said
    while they loaded.

    Raises UsageError if Ray is missing or the cluster cannot be joined, BatchError for nodes that cannot do the work.
    """
    coming, is_over = iter(jobs), False
    actors: _Actors | None = None
    with ExitStack() as stack:
        while True:
            is_waiting = False
            while not is_over and not is_waiting and (actors is None or actors.have_room):
                job = next(coming, _NO_MORE)
                if not isinstance(job, Job):
                    is_over, is_waiting = job is _NO_MORE, job is None
                elif finished(job):
                    yield JobResult(job, "skipped")
                else:
                    if actors is None:
                        ray = stack.enter_context(connected(crew))
                        actors = stack.enter_context(closing(_Actors(ray, crew, prepare, limits, tell, report)))
                    actors.take(job)
            if actors is not None and actors.in_hand:
                for result in actors.results():
                    yield result
                    if result.no_space:
                        is_over = True
                        actors.drop_waiting()
            elif is_waiting:
                time.sleep(_TICK)
            else:
                return


class _Actors:
    """The actors of a crew, and the jobs that were taken and are not done."""

    def __init__(
        self,
        ray: Any,
        crew: Crew,
        prepare: Callable[[], ScoreJob],
        limits: Limits,
        tell: Callable[[Job, Progress], None],
        report: Callable[[str], None],
    ) -> None:
        self._ray, self._crew, self._limits, self._tell, self._report = ray, crew, limits, tell, report
        gpus = crew.gpus(ray.cluster_resources().get("GPU", 0.0))
        actor = ray.remote(num_cpus=crew.cpus, num_gpus=gpus, max_concurrency=crew.per_worker + 1)
        # Pickled here, not by Ray: a node with another version of this package must be able to say so.
        self._make: Callable[[], Any] = lambda: actor(_worker_class()).remote(
            version(_DISTRIBUTION), crew.place(), pickle.dumps(prepare)
        )
        self._workers: list[_Worker] = []
        self._waiting: deque[Job] = deque()
        self._suspects: deque[Job] = deque()  # one of them may have ended their worker: each is done alone
        self._moved: set[Path] = set()  # outputs of jobs whose worker was lost or ended
        self._said: set[str] = set()
        self._deaths = 0  # of workers that loaded, in a row

    @property
    def in_hand(self) -> int:
        """The number of jobs that were taken and are not done."""
        return len(self._waiting) + len(self._suspects) + sum(len(worker.tasks) for worker in self._workers)

    @property
    def have_room(self) -> bool:
        """Whether another job could be done at once with those in hand, if all actors had a place."""
        return self.in_hand < self._crew.workers * self._crew.per_worker

    def take(self, job: Job) -> None:
        """Do a job as soon as an actor can."""
        self._waiting.append(job)

    def drop_waiting(self) -> None:
        """Begin none of the jobs that wait."""
        self._waiting.clear()
        self._suspects.clear()

    def results(self) -> Iterator[JobResult]:
        """The results that come within a moment. Raises BatchError, and the errors of workers that cannot load."""
        self._start_missing()
        self._hand_over()
        self._look()
        owners = {ref: worker for worker in self._workers for ref in _refs_of(worker)}
        ready, rest = self._ray.wait(list(owners), num_returns=1, timeout=_TICK)
        if ready and rest:
            ready += self._ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        for ref in ready:
            if owners[ref] in self._workers:  # it may just have been lost
                yield from self._receive(owners[ref], ref)
        yield from self._end_those_over_limits()
        self._end_idle()

    def close(self) -> None:
        """End all actors, whatever they do."""
        for worker in tuple(self._workers):
            self._end(worker)

    def _start_missing(self) -> None:
        wanted = min(self._crew.workers, -(-self.in_hand // self._crew.per_worker))
        while len(self._workers) < wanted:
            actor = self._make()
            self._workers.append(_Worker(actor, actor.load.remote()))

    def _hand_over(self) -> None:
        """Give jobs that wait to actors that have loaded, the least busy first."""
        while self._suspects or self._waiting:
            free = [one for one in self._workers if one.loading is None and not one.is_reserved]
            worker = min(free, key=lambda one: len(one.tasks), default=None)
            if worker is None or len(worker.tasks) >= self._crew.per_worker:
                return
            worker.is_reserved = bool(self._suspects) and not worker.tasks
            queue = self._suspects if worker.is_reserved else self._waiting
            if not queue:
                return
            job = queue.popleft()
            worker.tasks.append(_Task(worker.actor.do.remote(job), job))
            self._tell(job, NO_PROGRESS)

    def _look(self) -> None:
        """Ask busy actors for their memory and progress, now and then."""
        now = time.monotonic()
        for worker in self._workers:
            if worker.tasks and worker.look is None and now >= worker.looked_at + _LOOK_EVERY:
                worker.look, worker.looked_at = worker.actor.look.remote(), now

    def _receive(self, worker: _Worker, ref: Any) -> Iterator[JobResult]:
        """What has come from an actor; if that is its end, the results of the jobs which it had."""
        try:
            found = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            if worker.loading is not None:
                self._note_death_while_loading(worker, error)
            else:
                yield from self._lose(worker, error)
            return
        if ref == worker.loading:
            self._welcome(worker, found)
        elif ref == worker.look:
            worker.look, worker.memory = None, found.memory
            for task in worker.tasks:
                if task.job.output in found.progress:
                    task.progress = found.progress[task.job.output]
                    self._tell(task.job, task.progress)
        else:
            (task,) = (one for one in worker.tasks if one.ref == ref)
            worker.tasks.remove(task)
            worker.is_reserved, worker.busy_at = False, time.monotonic()
            yield replace(found.result(task.job, task.seconds), was_moved=task.job.output in self._moved)

    def _welcome(self, worker: _Worker, ready: Any) -> None:
        """An actor that has loaded. Raises the error that kept it from it."""
        if ready.error is not None:
            raise ready.error
        worker.loading, worker.node, worker.host, worker.busy_at = None, ready.node, ready.host, time.monotonic()
        self._deaths = 0
        for line in ready.said:
            if line not in self._said:  # by another worker
                self._said.add(line)
                self._report(line)

    def _note_death_while_loading(self, worker: _Worker, error: Exception) -> None:
        self._workers.remove(worker)
        self._deaths += 1
        cause = getattr(error, "cause", None) or error
        if self._deaths >= _DEATHS_WHILE_LOADING or isinstance(error, self._ray.exceptions.RayTaskError):
            raise BatchError(f"workers end while they load the models: {reason_of(cause, 300)}")

    def _lose(self, worker: _Worker, error: Exception) -> Iterator[JobResult]:
        """The results of the jobs of an actor that has died; those among which the guilty one is unknown wait again."""
        self._let_go(worker)
        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        if worker.node not in alive:
            reason = f"its node {worker.host} was lost"
        elif len(worker.tasks) > 1:
            self._suspects.extend(task.job for task in worker.tasks)
            return
        elif "running low on memory" in str(error):
            reason = f"its process was ended, for node {worker.host} ran low on memory"
        else:
            reason = f"its process died on node {worker.host}"
        for task in worker.tasks:
            yield JobResult(task.job, "failed", WorkerLost(reason), task.seconds, progress=task.progress)

    def _end_those_over_limits(self) -> Iterator[JobResult]:
        for worker in tuple(self._workers):
            for task in worker.tasks:
                excess = excess_of(self._limits, task.progress, task.seconds, worker.memory)
                if excess is None:
                    continue
                others = [one.job for one in worker.tasks if one is not task]
                if others and excess_of(self._limits, task.progress, task.seconds, 0) is None:
                    self._suspects += [task.job, *others]  # memory is the worker's: who took it shows alone
                else:
                    self._waiting.extendleft(others)
                    yield JobResult(task.job, "failed", excess, task.seconds, progress=task.progress)
                self._end(worker)
                break

    def _end_idle(self) -> None:
        if self._waiting or self._suspects:
            return
        for worker in tuple(self._workers):
            if not worker.tasks and time.monotonic() >= worker.busy_at + _IDLE_SECONDS:
                self._end(worker)

    def _end(self, worker: _Worker) -> None:
        self._let_go(worker)
        self._ray.kill(worker.actor)

    def _let_go(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        self._moved.update(task.job.output for task in worker.tasks)


def _refs_of(worker: _Worker) -> list[Any]:
    """What an actor is to send, as Ray names it."""
    return [ref for ref in (worker.loading, worker.look, *(task.ref for task in worker.tasks)) if ref is not None]


def _worker_class() -> type:
    """The actor's class. Ray sends it by value, for it is no module's, and it imports this package on its node."""

    class Worker:
        def __init__(self, version: str, *arguments: Any) -> None:
            self._version, self._arguments = version, arguments
            self._worker: Any = None

        def load(self) -> Any:
            from importlib.metadata import PackageNotFoundError, version
            from platform import node

            try:
                found = f"has kuaihl {version('kuaihl')}"
            except PackageNotFoundError:
                found = "has no kuaihl"
            if found != f"has kuaihl {self._version}":
                raise RuntimeError(f"node {node()} {found}, this one {self._version}; install the same on every node")
            from kuaihl.engines.archive.ray_worker import RayWorker

            self._worker = RayWorker(*self._arguments)
            return self._worker.load()

        def do(self, job: Any) -> Any:
            return self._worker.do(job)

        def look(self) -> Any:
            return self._worker.look()

    return Worker
