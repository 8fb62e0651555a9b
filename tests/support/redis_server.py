"""A real Redis server for tests; skipped with a reason where it is not installed."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.processes import running


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as one:
            one.sendall(b"PING\r\n")
            return one.recv(64) != b""
    except OSError:
        return False


@contextmanager
def redis_server(folder: Path, port: int, *options: str) -> Iterator[str]:
    """Its address; it keeps nothing."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options]
    with running(command, lambda: answers(port), "Redis"):
        yield f"redis://127.0.0.1:{port}/0"
