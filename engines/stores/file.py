"""An object as a file: read forward with blocks on their way ahead, or anywhere, without a copy on disk."""

import io
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor

from kuaihl.engines.stores.store import StoredObject, look_up, read_range
from kuaihl.engines.stores.urls import base_name
from kuaihl.models.errors import SourceError

_BLOCK = 1 << 20  # bytes of one request
_AHEAD = 4  # blocks that are fetched while earlier ones are used
_KEPT = 12  # blocks in memory: of a container that is read at two places, and those ahead of each


class StoredFile(io.RawIOBase):
    """Bytes of one version of an object. Reading raises SourceError if it is replaced meanwhile."""

    def __init__(self, url: str) -> None:
        """Raises SourceError if there is nothing, SourceUnavailable if the store does not answer."""
        self.stored: StoredObject = look_up(url)
        self.name = base_name(url)  # FFmpeg looks at the suffix
        self.error: SourceError | None = None  # why reading failed: FFmpeg may take it for the end
        self._position = 0
        self._last = -2  # the block that was read last; the first one alone, for many a reader wants no more
        self._blocks: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._fetchers = ThreadPoolExecutor(_AHEAD, thread_name_prefix="stored")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.stored.size}[whence]
        if origin + offset < 0:
            raise ValueError(f"no byte {origin + offset}")
        self._position = origin + offset
        return self._position

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        if self._position >= self.stored.size:
            return 0
        number, offset = divmod(self._position, _BLOCK)
        try:
            block = self._read_block(number)
        except SourceError as error:
            self.error = error
            raise
        part = memoryview(block)[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)

    def close(self) -> None:
        self._fetchers.shutdown(wait=False, cancel_futures=True)
        super().close()

    def _read_block(self, number: int) -> bytes:
        """One block; those behind it are fetched as well if the one before it was read last."""
        goes_on = number == self._last + 1
        count = -(-self.stored.size // _BLOCK)
        for wanted in range(number, min(number + _AHEAD + 1, count) if goes_on else number + 1):
            if wanted not in self._blocks:
                start = wanted * _BLOCK
                end = min(start + _BLOCK, self.stored.size)
                self._blocks[wanted] = self._fetchers.submit(read_range, self.stored, start, end)
        self._blocks.move_to_end(number)
        self._last = number
        while len(self._blocks) > _KEPT:
            self._blocks.popitem(last=False)
        return self._blocks[number].result()
