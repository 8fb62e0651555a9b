"""A stream of bytes in parts: a new one begins where the streams in it change, and is opened as a file of its own.

FFmpeg's demuxers announce new streams too late for PyAV, which drops their packets. So the bytes pass through here.
"""

from typing import Protocol


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def close(self) -> object: ...


class WhatCame:
    """A file that ends where reading it fails, so that all before that can still be used."""

    def __init__(self, file: Readable) -> None:
        self.file = file
        self.error: Exception | None = None  # why it ended

    def read(self, size: int) -> bytes:
        if self.error is not None:
            return b""
        try:
            return self.file.read(size)
        except Exception as error:  # raised by whoever has read all that came before
            self.error = error
            return b""

    def close(self) -> None:
        self.error = None  # its traceback leads back here
        self.file.close()


class Peekable:
    """A file, perhaps behind some bytes, whose next ones can be seen before they are read.

    PyAV needs no more of a file, and finds no name that would suggest a format.
    """

    def __init__(self, file: Readable, ahead: bytes = b"") -> None:
        self.file = file
        self.ahead = ahead  # read or put before the file, but not handed out

    def peek(self, size: int) -> bytes:
        """The next `size` bytes or more, fewer at the end; they stay to be read. Raises what reading raises."""
        while len(self.ahead) < size and (more := self.file.read(size - len(self.ahead))):
            self.ahead += more
        return self.ahead

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, empty at the end; what the file gives beyond that stays ahead."""
        data = self.ahead or self.file.read(size)
        self.ahead = data[size:]
        return data[:size]

    def close(self) -> None:
        self.file.close()


class Parts(Protocol):
    """A file for FFmpeg that ends where the streams change, and goes on after `go_on`."""

    file: WhatCame
    name: str
    format: str  # FFmpeg's name for it
    damaged: bool  # bytes have been skipped since it was last set to False
    is_plain: bool  # all so far came in one piece, and needs no more to decode than its beginning told
    lead: int  # bytes by which a place in the file is later than in what was handed out

    def read(self, size: int) -> bytes:
        """Bytes of this part, at most `size`; empty at its end."""

    def choose(self, ids: frozenset[int], /, *, wants_more: bool) -> None:
        """Tell that FFmpeg knows this part's streams: which ones are read, and whether another one would be, too."""

    def entry(self, byte: int) -> tuple[bytes, int]:
        """What a reading from the middle of the file begins with, and the byte at which it goes on in the file."""

    def go_on(self) -> bool:
        """Skip the rest of this part and begin the next one; returns whether there is one."""

    def close(self) -> None: ...
