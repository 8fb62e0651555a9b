"""Waiting for something that happens on another thread or in another process."""

import time
from collections.abc import Callable


def wait_until(happened: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.005)
