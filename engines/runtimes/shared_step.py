"""The head's step for the threads of many rooms: one run at a time, all on one thread.

Rooms are not stacked into one call. A step of one room takes 1 to 2 ms and its encoders 18 to 51 ms, so a batch would
save a few per cent, and the rooms' states would have to be copied together and apart (docs/benchmarks.md).
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from kuaihl.engines.runtimes.device import keep_threads
from kuaihl.engines.runtimes.runtime import Precision, Runtime, RuntimeKind

if TYPE_CHECKING:
    from torch import Tensor


class SharedStep:
    """A runtime that any number of threads may call."""

    num_streams = 1

    def __init__(self, runtime: Runtime, observe: Callable[[str, float], None]) -> None:
        self._runtime, self._observe = runtime, observe
        self._worker = ThreadPoolExecutor(1, "kuaihl-head")
        self._worker.submit(keep_threads).result()

    @property
    def kind(self) -> RuntimeKind:
        return self._runtime.kind

    @property
    def precision(self) -> Precision:
        return self._runtime.precision

    def run(self, *inputs: "Tensor") -> "tuple[Tensor, ...]":
        return self._worker.submit(self._run, inputs).result()

    def _run(self, inputs: "tuple[Tensor, ...]") -> "tuple[Tensor, ...]":
        began = time.monotonic()
        found = tuple(one.clone() for one in self._runtime.run(*inputs))  # the next run may overwrite them
        self._observe("head", time.monotonic() - began)
        return found
