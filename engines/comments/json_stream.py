"""JSON values one at a time: a text stream in, its values or an array's elements out, in bounded memory.

Reads one document, JSON Lines and concatenated documents alike. A file that is still being written, or was cut off,
gives everything complete. A torn line is given as BAD, and reading goes on at the next line.
"""

import json
from collections.abc import Iterator
from typing import TextIO

BAD = object()  # stands for a stretch that is not JSON
_CHUNK = 1 << 18  # characters
_MAX_VALUE = 1 << 26  # characters of one value; a comment is a few hundred, a page of YouTube's chat about a million
_TAIL = 16  # an error this near the end of the window may be a number or literal cut in two
_SPACE = " \t\r\n\0"  # recorders that lost power leave runs of NUL


def json_values(stream: TextIO, array: str | None = None) -> Iterator[object]:
    """Each top-level value; an array gives its elements, an object with the key `array` the elements of that array."""
    source = _Source(stream)
    while source.peek():
        if source.peek() == "[":
            yield from source.elements()
        elif array is not None and source.peek() == "{":
            yield from source.elements_under(array)
        else:
            yield source.value()


def dig(value: object, *path: str | int) -> object:
    """The value at `path` in nested objects and arrays, None if there is nothing."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


class _Source:
    """A window onto the stream that grows until the value at its head is complete."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._at = 0
        self._ended = False
        self._decode = json.JSONDecoder().raw_decode

    def peek(self) -> str:
        """The next character that is not space, "" at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._read_more():
                return ""

    def value(self) -> object:
        """The next value; or BAD, and then the window moves to the next line."""
        self.peek()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut_off = error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _TAIL
                if cut_off and len(self._text) - self._at < _MAX_VALUE and self._read_more():
                    continue
            except (RecursionError, ValueError):  # nested thousands deep, or an integer of thousands of digits
                pass
            else:
                # A number may go on beyond the window; everything else ends with its last character.
                length = end - self._at
                if end == len(self._text) and isinstance(value, int | float) and self._read_more():
                    continue
                self._at += length
                return value
            self._to_next_line()
            return BAD

    def elements(self) -> Iterator[object]:
        self._at += 1
        while self.peek() not in ("", "]"):
            if self.peek() == ",":
                self._at += 1
            else:
                yield self.value()
        self._at += 1

    def elements_under(self, array: str) -> Iterator[object]:
        """The elements of the object's member `array`, or the object itself if it has no such array."""
        start = self._at
        whole: dict[str, object] = {}
        self._at += 1
        while self.peek() not in ("", "}"):
            if self.peek() == ",":
                self._at += 1
                continue
            key = self.value()
            if not isinstance(key, str) or self.peek() != ":":
                self._to_next_line()
                yield BAD
                return
            self._at += 1
            if key == array and self.peek() == "[":
                yield from self.elements()
                start = -1
            else:
                whole[key] = self.value()
        self._at += 1
        if start >= 0:
            yield whole

    def _to_next_line(self) -> None:
        while (newline := self._text.find("\n", self._at)) < 0:
            self._at = len(self._text)
            if not self._read_more():
                return
        self._at = newline + 1

    def _read_more(self) -> bool:
        """Read on, and drop the text before the window's head. False at the end of the stream."""
        if self._ended:
            return False
        rest = self._text[self._at :]
        # Doubling keeps the cost of parsing a long value repeatedly linear in its length.
        read = self._stream.read(max(_CHUNK, len(rest)))
        self._ended = not read
        self._text, self._at = rest + read, 0
        return bool(read)
