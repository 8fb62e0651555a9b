"""Standard input and named pipes as files that FFmpeg reads, with an end to every wait."""

import os
import select


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
