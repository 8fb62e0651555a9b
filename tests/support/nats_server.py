"""A real NATS server with JetStream for tests; skipped with a reason where it is not installed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.ports import accepts
from support.processes import running


@contextmanager
def nats_server(folder: Path, port: int, *options: str) -> Iterator[str]:
    """Its address; its streams are in `folder`, where the next one finds them."""
    program = shutil.which("nats-server")
    if program is None:
        pytest.skip("nats-server is not installed (apt-get install nats-server)")
    command = [program, "-js", "-sd", str(folder), "-a", "127.0.0.1", "-p", str(port), *options]
    with running(command, lambda: accepts(port), "NATS"):
        yield f"nats://127.0.0.1:{port}"
