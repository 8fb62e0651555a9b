"""The connection to a Ray cluster, or a Ray of our own on this machine, for as long as a batch runs."""

import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kuaihl.engines.archive.ray_worker import CLUSTER_FILE, Place
from kuaihl.models.errors import UsageError, reason_of

_SECONDS_TO_ANSWER = 10.0
_OBJECT_STORE = 100 << 20  # bytes: jobs and answers are small, and media never passes through Ray


@dataclass(frozen=True)
class Crew:
    """The workers that are wanted, at most: how many, what each occupies, and where.

    Without an `address`, Ray is started on this machine, and ends with the batch. `outputs` is the folder that each
    node must see; None if the outputs go to an object store.
    """

    workers: int
    address: str | None = None
    per_worker: int = 1  # jobs that a worker does at once
    cpus: int = 1  # CPUs of each worker
    device: str = "auto"
    outputs: Path | None = None

    def gpus(self, there: float) -> float:
        """The GPUs, or the part of one, that each worker occupies in a cluster that has `there` of them now."""
        if self.device == "cpu" or (self.device == "auto" and not there):
            return 0.0
        on_each = max(1, -(-self.workers // max(1, int(there))))
        # Ray counts in parts of 1/10,000: a bit less than a third fits three times.
        return int(10_000 / on_each) / 10_000 if there else 1.0

    def place(self) -> Place:
        """Where the batch was started and writes to."""
        if self.outputs is None:
            return Place(Path.cwd())
        path = self.outputs / CLUSTER_FILE
        with suppress(FileExistsError), path.open("x") as file:
            file.write(secrets.token_hex(8))
        return Place(Path.cwd(), self.outputs, path.read_text())


@contextmanager
def connected(crew: Crew) -> Iterator[Any]:
    """The module `ray`, connected. Raises UsageError if it is not installed or the cluster cannot be joined.

    A caller's own connection is used as it is.
    """
    # For the Ray that is started here: no reports of usage, and workers of the same priority as those without Ray.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray warns if it has no value
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "needs a package that is not here: pip install 'kuaihl[ray]'", setting="runner", value="ray"
        ) from error
    if ray.is_initialized():
        yield ray
        return
    try:
        with _signals_kept():
            _connect(ray, crew)
        yield ray
    finally:
        ray.shutdown()


def _connect(ray: Any, crew: Crew) -> None:
    quiet = {"log_to_driver": False, "logging_level": "critical"}
    try:
        _check_listens(crew.address)
        if crew.address is None:
            ray.init(
                address="local",
                num_cpus=crew.workers * crew.cpus,  # as many as were asked for, as the local runner does
                object_store_memory=_OBJECT_STORE,
                include_dashboard=False,
                **quiet,
            )
        else:
            ray.init(address=crew.address, **quiet)
    except (RuntimeError, ConnectionError, ValueError, OSError, ray.exceptions.RayError) as error:
        raise UsageError(f"cannot be joined ({reason_of(error)})", setting="address", value=crew.address) from error
    # Ray's daemons print each death of a node or worker to standard output; the runner reports them in its own words.
    ray._private.worker._worker_logs_enabled = False


def _check_listens(address: str | None) -> None:
    """Raise OSError if nothing listens at a HOST:PORT: Ray would try for longer than anybody waits."""
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_ANSWER).close()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Give SIGTERM back to the command: Ray takes it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
