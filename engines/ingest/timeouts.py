"""Calls that may hang, watched from outside: FFmpeg's own time-outs are now and then ignored or capped.

A call that hangs is left behind in its thread, which ends with the process: nothing in C can be interrupted safely.
"""

import os
import queue
import select
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

AHEAD = 256  # items: two or three seconds of packets
GLANCE = 0.2  # seconds between two looks at a flag

T = TypeVar("T")


def watched(call: Callable[[], T], seconds: float) -> T:
    """The call's result or its exception; TimeoutError where neither has come after `seconds`."""
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
        raise error
    return result  # type: ignore[return-value]


class ReadAhead(Generic[T]):
    """An iterator that runs in a thread of its own, so that nobody waits for it longer than `seconds`.

    `release` is called in that thread once reading has ended: what is being read must not be closed under its feet.
    """

    def __init__(self, items: Iterator[T], release: Callable[[], object]) -> None:
        self.items = items
        self.release = release
        self.ahead: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(AHEAD)
        self.stopped = threading.Event()
        threading.Thread(target=self.run, name="read ahead", daemon=True).start()

    def run(self) -> None:
        try:
            for item in self.items:
                if not self.put(item, None):
                    return
            self.put(None, StopIteration())
        except BaseException as error:  # raised again where the items are taken
            self.put(None, error)
        finally:
            self.stopped.wait()
            self.release()

    def put(self, item: T | None, error: BaseException | None) -> bool:
        while not self.stopped.is_set():
            try:
                self.ahead.put((item, error), timeout=GLANCE)
            except queue.Full:
                continue
            return True
        return False

    def take(self, seconds: float, stop: threading.Event | None = None) -> Iterator[T]:
        """The items in order, until `stop` is set; raises what reading raised, TimeoutError after so many seconds."""
        while True:
            deadline = time.monotonic() + seconds
            while True:
                try:
                    item, error = self.ahead.get(timeout=GLANCE)
                    break
                except queue.Empty:
                    if stop is not None and stop.is_set():
                        return
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"no data for {seconds:.0f} s") from None
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]

    def stop(self) -> None:
        self.stopped.set()


class PipeReader:
    """What PyAV asks of a file, and no more: `read`, `close`, and a name that says nothing of the format."""

    name = "pipe"

    def __init__(self, descriptor: int, seconds: float) -> None:
        self.descriptor = descriptor
        self.seconds = seconds

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end. Raises TimeoutError where the writer is silent for too long."""
        ready, _, _ = select.select([self.descriptor], [], [], self.seconds)
        if not ready:
            raise TimeoutError(f"no data for {self.seconds:.0f} s")
        return os.read(self.descriptor, size)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
