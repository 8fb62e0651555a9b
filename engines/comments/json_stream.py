"""JSON values one at a time: a text stream in, its values or an array's elements out, in bounded memory.

Reads one document, JSON Lines and concatenated documents alike. A file that is still being written, or was cut off,
gives everything complete. A torn line is given as BAD, and reading goes on at the next line. Work on what is not JSON
is bounded: a file that is hardly anything else ends early, with a last BAD.
"""

import json
import re
from collections.abc import Iterator
from typing import TextIO

BAD = object()  # stands for a stretch that is not JSON
_CHUNK = 1 << 18  # characters
_MAX_VALUE = 1 << 26  # characters of one value; a comment is a few hundred, a page of YouTube's chat about a million
_MAX_PARTS = 1_000_000  # commas and brackets of one value, each of which may be an object in memory
_MAX_MEMBERS = 10_000  # of an object
_MAX_BESIDE = 1 << 20  # characters kept of an object beside the array that is wanted
_MAX_WASTE = 1 << 24  # characters that were parsed in vain, …
_WASTE_SHARE = 32  # … and as many times those that were read
_DEEP = 1 << 13  # characters that a value nested too deep counts for
_TAIL = 16  # an error this near the end of the window may be a number or literal cut in two
_SPACE = re.compile("[ \t\r\n\0]*")  # recorders that lost power leave runs of NUL


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
        self._dropped = 0  # characters before the window
        self._wasted = 0
        self._ended = False
        self._decode = json.JSONDecoder().raw_decode

    def peek(self) -> str:
        """The next character that is not space, "" at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            assert found is not None
            self._at = found.end()
            if self._at < len(self._text):
                return self._text[self._at]
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
                if cut_off and self._may_grow() and self._read_more():
                    continue
                self._wasted += error.pos - self._at
            except (RecursionError, ValueError):  # nested thousands deep, or an integer of thousands of digits
                self._wasted += _DEEP
            else:
                # A number may go on beyond the window; everything else ends with its last character.
                length = end - self._at
                if end == len(self._text) and isinstance(value, int | float) and self._read_more():
                    continue
                self._at += length
                return value
            self._to_next_line()
            if self._wasted > _MAX_WASTE + _WASTE_SHARE * (self._dropped + self._at):
                self._text, self._at, self._ended = "", 0, True
            return BAD

    def _may_grow(self) -> bool:
        """Whether the value at the window's head may be longer than the window, and still take little memory."""
        parts = sum(self._text.count(sign, self._at) for sign in ",[{")
        return len(self._text) - self._at < _MAX_VALUE and parts < _MAX_PARTS

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
        start = self._dropped + self._at
        whole: dict[str, object] = {}
        found, members = False, 0
        self._at += 1
        while self.peek() not in ("", "}"):
            if self.peek() == ",":
                self._at += 1
                continue
            key, members = self.value(), members + 1
            if not isinstance(key, str) or self.peek() != ":" or members > _MAX_MEMBERS:
                self._to_next_line()
                yield BAD
                return
            self._at += 1
            if key == array and self.peek() == "[":
                yield from self.elements()
                found = True
            else:
                value = self.value()
                if self._dropped + self._at - start < _MAX_BESIDE:
                    whole[key] = value
        self._at += 1
        if not found:
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
        self._dropped += self._at
        self._text, self._at = rest + read, 0
        return bool(read)
