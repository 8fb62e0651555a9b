"""FFmpeg's demuxer for a file, a URL or any object with `read`, and the choice among its streams."""

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from kuaihl.engines.ingest.mp4_index import NO_INDEX, lacks_index
from kuaihl.engines.ingest.refusal import cause, refusal
from kuaihl.models.errors import SourceError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

    from kuaihl.engines.ingest.parts import Parts

BUFFER_BYTES = 1 << 18  # asked of a store at once
PIECE_BYTES = 1 << 16  # handed to FFmpeg at once: smaller ones cost time, and larger ones memory in every room
RAW_PACKETS = {  # of the format "data"
    "raw_packet_size": str(PIECE_BYTES),
    "use_wallclock_as_timestamps": "1",  # when it came, without the wait for Python's lock that follows
}
_REST_SECONDS = 0.2  # between two reads of a stream that has no more; longer ones hide its lag after a fault
_WAITED = 0.001  # seconds that a read takes at least if it had to wait


def open_container(name: str, file: Any, *, is_url: bool = False, **options: Any) -> "InputContainer":
    """FFmpeg's demuxer for `file`. Raises a readable SourceError."""
    import av

    try:
        container: InputContainer = av.open(file, metadata_errors="replace", **options)
        return container
    except (av.FFmpegError, OSError, ValueError, EOFError) as error:
        raise refusal(name, error, is_url=is_url) from cause(error)


def open_file(name: str, file: Any, what: Any = None, **options: Any) -> "InputContainer":
    """The demuxer for a `file` with `seek`, opened as `what` if that is another name for it. Raises SourceError."""
    try:
        return open_container(name, what or file, **options)
    except SourceError as error:
        with suppress(OSError):
            if lacks_index(file):
                raise SourceError(f"{name}: {NO_INDEX}") from error
        raise


class UrlBytes:
    """The bytes behind a URL, through FFmpeg's client with its limits and time-outs."""

    def __init__(self, container: "InputContainer") -> None:
        """`container` was opened in the format "data", with RAW_PACKETS."""
        self.container = container
        self.size = container.size  # bytes; 0 or less if unknown
        self.packets = container.demux()
        self.rests = False  # a few times per second all that has come is read, instead of message by message
        self._is_drained = False  # the last read had to wait
        self._rested = 0.0

    def read(self, _size: int) -> bytes:
        """What comes next at once, however much; empty at the end. Raises FFmpeg's errors.

        A room has a hundred messages per second. If each woke a thread, forty rooms in a process would mostly wait for
        Python's lock.
        """
        began = time.monotonic()
        if self.rests and self._is_drained:
            time.sleep(_REST_SECONDS)
        asked, rest = time.time(), time.monotonic() - began
        packet = next(self.packets, None)
        if packet is None or packet.pts is None or packet.time_base is None:
            return b""
        self._is_drained = float(packet.pts * packet.time_base) - asked > _WAITED
        if not self._is_drained:
            self._rested += rest  # this came meanwhile, nobody knows when
        return bytes(packet)

    def take_rest(self) -> float:
        """Seconds since the last call in which nothing was read although something had come."""
        rested, self._rested = self._rested, 0.0
        return rested

    def close(self) -> None:
        self.container.close()


def known_duration(container: "InputContainer") -> float | None:
    """The duration in seconds according to the container; None if unknown."""
    duration: int | None = container.duration
    return duration / 1_000_000 if duration and duration > 0 else None


def open_part(name: str, parts: "Parts") -> "InputContainer":
    """The demuxer of the next part that holds video or audio. Raises a readable SourceError."""
    while True:
        try:
            container = parts.open(name)
        except SourceError:
            if not parts.go_on():
                raise
            continue
        chosen = [choose_best(container, "video"), choose_best(container, "audio")]
        if any(chosen):
            parts.choose(frozenset(one.id for one in chosen if one is not None), wants_more=None in chosen)
            return container
        container.close()
        if not parts.go_on():
            raise SourceError(f"{name}: holds neither video nor audio that can be decoded")


def choose_best(container: "InputContainer", kind: Literal["video", "audio"]) -> "Stream | None":
    """FFmpeg's choice among the streams of a kind, or the first that can be decoded; a cover picture is not a video."""
    from av.stream import Disposition

    first = container.streams.best(kind)
    streams: list[Stream] = [stream for stream in container.streams if stream.type == kind]
    for stream in sorted(streams, key=lambda one: one is not first):
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic:
            return stream
    return None


def replaced_by(stream: "Stream", earlier: "Iterable[Stream]") -> "list[Stream]":
    """Those of its kind in other containers: whoever holds one keeps its container and decoders alive."""
    return [one for one in earlier if one.type == stream.type and one.container is not stream.container]
