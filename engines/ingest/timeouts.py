"""Calls that may hang, watched from outside: FFmpeg's own time-outs are now and then ignored or capped.

A call that hangs is left behind in its thread, which ends with the process: nothing in C can be interrupted safely.
"""

import os
import queue
import select
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def call_with_timeout(call: Callable[[], T], seconds: float) -> T:
    """The call's result or its exception; TimeoutError if neither has come after `seconds`."""
    answers: queue.SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:  # handed to the caller, whatever it is
            answers.put((None, error))

    threading.Thread(target=run, name="watched", daemon=True).start()
    try:
        result, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds} s") from None
    if error is not None:
        try:
            raise error
        finally:
            del error  # or it and this frame would keep each other alive
    return result  # type: ignore[return-value]


class PipeReader:
    """A pipe as a file, whose silences have an end."""

    def __init__(self, descriptor: int, seconds: float) -> None:
        self.descriptor = descriptor
        self.seconds = seconds

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end. Raises TimeoutError if the writer is silent for too long."""
        ready, _, _ = select.select([self.descriptor], [], [], self.seconds)
        if not ready:
            raise TimeoutError(f"no data for {self.seconds:.0f} s")
        return os.read(self.descriptor, size)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
