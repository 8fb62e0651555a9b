"""Stages on threads: an iterator goes in, the same items come out, made ahead on a thread behind a bounded queue.

A full queue makes the thread wait (back-pressure). An error upstream is raised to the consumer. A consumer that
leaves early ends the thread: nothing grows and nothing is left behind.
"""

import math
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")

_JOIN_SECONDS = 2.0  # how long a closed stage waits for its thread
_POLL_SECONDS = 0.3  # how often a wait checks its `stop`
_PAUSE_SECONDS = 0.05  # a wait after which items come in a burst, …
_GATHER_SECONDS = 0.03  # … which has this long to come together
_BURST = 64  # items at most: what is taken is no longer counted against the queue's bound


class Stopped(Exception):
    """`stop` was set during the wait for an item."""


class Channel(Generic[T]):
    """A bounded queue between one producer and one consumer, either of which may end it."""

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self.items: deque[T] = deque()
        self.changed = threading.Condition()
        self.finished = False  # the producer will put no more
        self.abandoned = False  # the consumer will take no more
        self.error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Add an item, waiting for room; False if nobody will ever take it."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.items) < self.maxsize or self.abandoned)
            if not self.abandoned:
                self.items.append(item)
                self.changed.notify_all()
            return not self.abandoned

    def take(self, timeout: float | None = None, stop: threading.Event | None = None) -> T:
        """The next item, or the error that ended the producer.

        Raises StopIteration at the end, TimeoutError after `timeout` seconds, Stopped once `stop` is set.
        """
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        longest = threading.TIMEOUT_MAX if stop is None else _POLL_SECONDS
        with self.changed:
            while True:
                if stop is not None and stop.is_set():
                    raise Stopped
                left = max(deadline - time.monotonic(), 0.0)
                if self.changed.wait_for(lambda: self.items or self.finished or self.abandoned, min(left, longest)):
                    break
                if left <= longest:
                    raise TimeoutError(f"no data for {timeout:.0f} s")
            if self.items:
                self.changed.notify_all()
                return self.items.popleft()
            error, self.error = self.error, None
            if error is None:
                raise StopIteration
            try:
                raise error
            finally:
                del error  # or its traceback, this frame and it would keep each other, and what was read, alive

    def take_burst(self, timeout: float | None = None, stop: threading.Event | None = None) -> list[T]:
        """The items that are there, at least one and at most BURST. Raises as `take`.

        After a pause they are left to gather for a moment: two threads that hand over item by item take Python's lock
        from each other, and from all others, each time.
        """
        asked = time.monotonic()
        burst = [self.take(timeout, stop)]
        if time.monotonic() - asked > _PAUSE_SECONDS:
            time.sleep(_GATHER_SECONDS)
        with self.changed:
            burst += [self.items.popleft() for _ in range(min(len(self.items), _BURST - 1))]
            self.changed.notify_all()
        return burst

    def finish(self, error: BaseException | None) -> None:
        with self.changed:
            self.finished = True
            if not self.abandoned:
                self.error = error
            self.changed.notify_all()

    def abandon(self) -> None:
        with self.changed:
            self.abandoned = True
            self.items.clear()
            self.error = None
            self.changed.notify_all()


def _produce(upstream: Iterable[T], channel: Channel[T]) -> None:
    """A stage's thread: put every item of upstream into the channel, and close upstream here, where it ran."""
    try:
        try:
            for item in upstream:
                if not channel.put(item):
                    break
                del item  # the next one may be half a minute away
        finally:
            close = getattr(upstream, "close", None)
            if close is not None:
                close()
    except BaseException as error:  # the consumer sees it, whatever it is
        channel.finish(error)
    else:
        channel.finish(None)


class Stage(Iterator[T]):
    """An iterator with a thread behind it, made by `run_stage`. To leave early, close it or use `with`."""

    def __init__(self, upstream: Iterable[T], maxsize: int, stop: threading.Event | None) -> None:
        self.stop = stop
        self.channel: Channel[T] = Channel(maxsize)
        # The thread holds only the channel, so that a stage dropped without `close` still ends it.
        self.thread = threading.Thread(target=_produce, args=(upstream, self.channel), name="kuaihl-stage", daemon=True)
        self.forget = weakref.finalize(self, self.channel.abandon)
        self.thread.start()

    @property
    def waiting(self) -> int:
        """The number of items that are made and not yet taken."""
        return len(self.channel.items)

    def take(self, timeout: float, stop: threading.Event | None = None) -> T:
        """The next item within `timeout` seconds.

        Raises TimeoutError, StopIteration, Stopped once `stop` is set, or upstream's own error.
        """
        return self.channel.take(timeout, stop)

    def take_burst(self, timeout: float, stop: threading.Event | None = None) -> list[T]:
        """The items that are there, at least one within `timeout` seconds. Raises as `take`."""
        return self.channel.take_burst(timeout, stop)

    def __next__(self) -> T:
        return self.channel.take()

    def close(self, timeout: float = _JOIN_SECONDS) -> bool:
        """End the stage and drop the waiting items; True if its thread has ended within `timeout` seconds.

        A thread that is blocked upstream for longer is left alone: it ends, and closes upstream, at its next item.
        """
        left_early = not self.channel.finished
        self.channel.abandon()
        if left_early and self.stop is not None:
            self.stop.set()
        if self.thread is not threading.current_thread():
            self.thread.join(timeout)
        return not self.thread.is_alive()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def run_stage(upstream: Iterable[T], maxsize: int, *, stop: threading.Event | None = None) -> Stage[T]:
    """Run `upstream` on a thread of its own, at most `maxsize` items ahead of the consumer.

    `stop` is set if the consumer leaves before the end, to wake a live source that blocks further up.
    """
    if maxsize < 1:
        raise ValueError("a stage needs room for at least one item")
    return Stage(upstream, maxsize, stop)
