"""A file that another program still writes, read as it grows: its end is where it has grown no more for a while."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path

_LOOK_SECONDS = 0.25  # between two looks at its end


@dataclass(frozen=True)
class Growth:
    """How a growing file is followed."""

    settled: float  # seconds without a new byte after which it is finished
    stop: threading.Event  # ends it where it is


class GrowingFile:
    """A growing file, read forward alone."""

    def __init__(self, path: Path, growth: Growth) -> None:
        """Raises OSError."""
        self._file, self._growth = path.open("rb"), growth
        self._since = time.monotonic()  # of the latest byte

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end."""
        while not (data := self._file.read1(size)):
            if time.monotonic() >= self._since + self._growth.settled or self._growth.stop.wait(_LOOK_SECONDS):
                return b""
        self._since = time.monotonic()
        return data

    def close(self) -> None:
        self._file.close()
