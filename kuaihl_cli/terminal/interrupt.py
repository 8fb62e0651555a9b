"""Ctrl-C and SIGTERM, which mean the same: a command ends cleanly, or a run first writes what it has."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_INTERRUPTED = 130
_ONE_WISH = 0.4  # `timeout`, `uv run` and others send a signal twice, to the process and to its group: s between them


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; a second one interrupts, unless it comes with the first."""
    stop = threading.Event()

    def ask() -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    with _handled(ask, signal.SIGINT, signal.SIGTERM):
        yield stop


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt as Ctrl-C does, so that what is half done is cleared away."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    is_plain = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # and not ignored, as behind a shell's &
    with _handled(_interrupt, signal.SIGTERM, *([signal.SIGINT] if is_plain else [])):
        yield


def _interrupt() -> None:
    raise KeyboardInterrupt


@contextmanager
def _handled(act: Callable[[], None], *numbers: signal.Signals) -> Iterator[None]:
    """Act on those signals, but not on one that comes with another."""
    last = float("-inf")

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal last
        if time.monotonic() - last >= _ONE_WISH:
            last = time.monotonic()
            act()

    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
