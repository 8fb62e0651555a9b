"""A worker of the Ray runner, inside its actor: it loads the models once, and does some jobs at once on its threads."""

import io
import os
import pickle
import platform
import threading
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import NamedTuple

from kuaihl.engines.archive.answers import Answer, do_job
from kuaihl.engines.archive.jobs import Job, Progress, ScoreJob
from kuaihl.engines.archive.processes import resident_bytes
from kuaihl.models.errors import BatchError, KuaihlError

CLUSTER_FILE = "cluster.id"  # by which a node proves that it sees the outputs' folder


class Place(NamedTuple):
    """The folder that the batch was started in, and that of its outputs with the words in its CLUSTER_FILE."""

    start: Path
    outputs: Path | None = None
    mark: str = ""


class Ready(NamedTuple):
    """A worker that has loaded its models: its node, and what it said meanwhile; or the error that kept it from it."""

    node: str
    host: str
    said: tuple[str, ...] = ()
    error: KuaihlError | None = None


class Look(NamedTuple):
    """A worker's memory in bytes, and how far each job is."""

    memory: int
    progress: dict[Path, Progress]  # by the folder of the job's outputs


class RayWorker:
    """Its methods may be called at once: `do` as often as the runner likes, `look` beside it."""

    def __init__(self, place: Place, prepare: bytes) -> None:
        """`prepare` is the pickled function that loads the models."""
        self._place, self._prepare = place, prepare
        self._score_job: ScoreJob | None = None
        self._lock = threading.Lock()
        self._progress: dict[Path, Progress] = {}

    def load(self) -> Ready:
        """Load the models. An error that would meet every other worker is returned."""
        import ray

        node, host, said = ray.get_runtime_context().get_node_id(), platform.node(), io.StringIO()
        try:
            self._enter_place(host)
            prepare: Callable[[], ScoreJob] = pickle.loads(self._prepare)
            with redirect_stderr(said):
                self._score_job = prepare()
        except KuaihlError as error:
            return Ready(node, host, error=error)
        return Ready(node, host, tuple(said.getvalue().splitlines()))

    def do(self, job: Job) -> Answer:
        """Do one job."""
        assert self._score_job is not None

        def tell(progress: Progress) -> None:
            with self._lock:
                self._progress[job.output] = progress

        try:
            return do_job(self._score_job, job, tell)
        finally:
            with self._lock:
                self._progress.pop(job.output, None)

    def look(self) -> Look:
        """The memory that is used, and the progress of the jobs under way."""
        with self._lock:
            return Look(resident_bytes(os.getpid()), dict(self._progress))

    def _enter_place(self, host: str) -> None:
        """Raise BatchError if the outputs' folder is another one on this node."""
        with suppress(OSError):  # without it, paths must be absolute
            os.chdir(self._place.start)
        if self._place.outputs is None:
            return
        try:
            found = (self._place.outputs / CLUSTER_FILE).read_text()
        except OSError:
            found = ""
        if found != self._place.mark:
            raise BatchError(
                f"{self._place.outputs}: node {host} does not see this folder; put recordings and outputs on storage "
                "that all nodes mount at the same place"
            )
