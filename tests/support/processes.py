"""Other processes, watched from outside."""

import time
from collections.abc import Callable
from pathlib import Path


def wait_for(found: Callable[[], object], seconds: float = 120.0) -> str:
    """What `found` gives, once it is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := found():
            return str(value)
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


def is_alive(pid: int) -> bool:
    """Whether a process is there that has not ended; an orphan's parent may never take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
