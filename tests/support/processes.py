"""Other processes: servers that run for a while, and what can be seen of any from outside."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from support.waiting import wait_until


@contextmanager
def running(command: list[str], answers: Callable[[], bool], name: str) -> Iterator[None]:
    """A server, from its first answer until it is killed."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(answers, name)
        yield
    finally:
        process.kill()
        process.wait()


def is_alive(pid: int) -> bool:
    """Whether a process is there that has not ended; an orphan's parent may never take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
