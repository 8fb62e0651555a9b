"""A stream of bytes in parts: a new one begins where the streams in it change, and is opened as a file of its own.

FFmpeg's demuxers announce new streams too late for PyAV, which drops their packets. So the bytes pass through here.
"""

from typing import TYPE_CHECKING, Protocol

from kuaihl.engines.ingest.container import PIECE_BYTES, known_duration, open_container

if TYPE_CHECKING:
    from av.container import InputContainer


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
    """A stream in parts: FFmpeg's demuxer of one ends where the streams change, and `go_on` leads to the next."""

    damaged: bool  # something has been skipped since it was last set to False

    @property
    def error(self) -> Exception | None:
        """Why reading ended before the end."""

    def open(self, name: str) -> "InputContainer":
        """The demuxer of this part; `name` is the source's. Raises a readable SourceError."""

    def duration(self, container: "InputContainer") -> float | None:
        """Of all parts, in seconds, as they or the demuxer of this part tell it; None if unknown."""

    def choose(self, ids: frozenset[int], /, *, wants_more: bool) -> None:
        """Tell that FFmpeg knows this part's streams: which ones are read, and whether another one would be, too."""

    def locate(self, byte: int) -> int | None:
        """The byte of the file that FFmpeg takes for `byte`; None if it cannot be read from there on."""

    def go_on(self) -> bool:
        """Skip the rest of this part and begin the next one; returns whether there is one."""


class ByteParts:
    """What parts of a file have in common that are handed to FFmpeg as bytes; it ends where a part ends."""

    name: str  # for PyAV, which must find no other format in it
    format: str  # FFmpeg's name for it

    def __init__(self, file: WhatCame) -> None:
        self.file = file
        self.damaged = False
        self.is_plain = True  # all so far came in one piece, and needs no more to decode than its beginning told
        self.lead = 0  # bytes by which a place in the file is later than in what was handed out

    @property
    def error(self) -> Exception | None:
        return self.file.error

    def open(self, name: str) -> "InputContainer":
        return open_container(name, self, format=self.format, buffer_size=PIECE_BYTES)

    def duration(self, container: "InputContainer") -> float | None:
        return known_duration(container)

    def locate(self, byte: int) -> int | None:
        return byte + self.lead if self.is_plain else None

    def close(self) -> None:
        self.file.close()
