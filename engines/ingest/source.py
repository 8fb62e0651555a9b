"""An opened source of media: a container and its chosen streams, read packet by packet until it ends or is closed.

Every wait has an end (DESIGN, section 3). `opening` makes one from the user's name for it.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from kuaihl.engines.ingest.container import UrlBytes, choose_best, known_duration, open_part
from kuaihl.engines.ingest.parts import Parts
from kuaihl.engines.read_ahead import Stopped, run_stage
from kuaihl.engines.stores.file import StoredFile
from kuaihl.models.errors import SourceError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

    from kuaihl.engines.ingest.packets import TimedPacket

PACKETS_AHEAD = 512  # by which a connection may be ahead of its reader: some 5 s
_DAMAGES = 16  # failed reads in a row after which reading stops …
_FLV_DAMAGES = 1 << 16  # … if each may be for ever; in FLV each passes a tag
PATIENCE = 2.0  # seconds by which the outside watch is later than FFmpeg's time-out
_PLAYLIST_SHARE = 3.0  # a live playlist is silent for as long as a piece of it lasts
PIPE_SECONDS = 60.0  # the longest silence of a pipe: its writer may have to log in or to wait for a keyframe

_GUESSED_DURATION = frozenset(
    {"mpegts", "mpeg", "aac", "mp3"}
)  # from the bit rate or the last bytes, not from a header


# Asked before every connection to a URL: gives more options for FFmpeg, or raises SourceError to refuse it.
Guard = Callable[[str], Mapping[str, str]]


class Closable(Protocol):
    def close(self) -> object: ...


@dataclass(eq=False)
class Source:
    """An opened source. `failure` gives the reason if reading ended before the end of the stream."""

    name: str
    container: "InputContainer"
    video: "VideoStream | None"
    audio: "AudioStream | None"
    is_network: bool  # read on a watched thread, for its reads may hang
    is_live: bool  # a URL without an end: a disconnect may be followed by more
    timeout: float  # seconds without data after which a network source counts as lost
    url_guard: Guard | None = None
    is_pipe: bool = False  # its writer may fall silent
    is_growing: bool = False  # a file that is followed while it is written
    failure: str | None = None
    shortfall: str | None = "it was not read to its end"  # why the end is not one that it vouches for; None if it is
    stored: StoredFile | None = None  # the object that it is read from
    parts: Parts | None = None  # for FLV, MPEG transport streams and HLS, whose streams may change
    length: float | None = None  # in seconds, for parts that were measured apart from their reading
    url_bytes: UrlBytes | None = None  # what a URL that is no playlist is made of
    used: list[Closable] = field(default_factory=list)  # closed together with the container
    damages: int = 0  # failed reads in a row
    closed: bool = False
    busy: bool = False  # a thread is inside FFmpeg and may be blocked there
    guard: threading.Lock = field(default_factory=threading.Lock)  # of `closed` and `busy`

    @property
    def duration(self) -> float | None:
        """Duration in seconds according to the container or the playlist; None if unknown."""
        if self.length or self.parts is None:
            return self.length or known_duration(self.container)
        return self.parts.duration(self.container)

    @property
    def origin(self) -> float | None:
        """The earliest time stamp on the source's own clock, in seconds: 0 on our clock."""
        start: int | None = self.container.start_time
        return None if start is None else start / 1_000_000

    @property
    def streams(self) -> "list[Stream]":
        return [stream for stream in (self.video, self.audio) if stream is not None]

    @property
    def promised(self) -> float | None:
        """The length in seconds that a file states for its chosen streams; None if only a scan would show it."""
        if self.is_network or self.container.format.name in _GUESSED_DURATION:
            return None
        known = [float(one.duration * one.time_base) for one in self.streams if one.duration and one.time_base]
        if known:
            return max(known)
        return self.duration if len(self.streams) == len(self.container.streams) else None

    def locate(self, keyframe: "TimedPacket") -> int | None:
        """The byte of a recording at which a packet begins; None if it cannot be read from there on."""
        place: int | None = keyframe.packet.pos
        return None if self.parts is None or self.is_live or place is None else self.parts.locate(place)

    @property
    def longest_silence(self) -> float:
        """Seconds without data after which the outside watch gives up reading, if FFmpeg has not."""
        if not self.is_network:
            return PIPE_SECONDS + PATIENCE
        return self.timeout * (_PLAYLIST_SHARE if self.container.format.name == "hls" else 1.0) + PATIENCE

    def read(self) -> "Iterator[Packet[Any] | None]":
        """The chosen streams' packets as they come, None for damaged data; to be called once.

        It may block for as long as FFmpeg does. It ends when another thread closes the source. Raises FFmpeg's errors.
        """
        items = self.demuxed()
        while True:
            with self.guard:
                if self.closed:
                    return
                self.busy = True
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                with self.guard:
                    self.busy = False
                    left_to_us = self.closed
                if left_to_us:
                    self.release()
            if left_to_us:
                return
            yield item

    def read_ahead(self, stop: threading.Event | None = None) -> "Iterator[Packet[Any] | None]":
        """As `read`, for a network source: on a thread of its own, so that no wait is too long.

        It ends when `stop` is set. Raises FFmpeg's errors, and TimeoutError after `longest_silence`.
        """
        stage = run_stage(self.read(), PACKETS_AHEAD)
        try:
            while True:
                yield stage.take(self.longest_silence, stop)
        except (StopIteration, Stopped):
            return
        finally:
            stage.close(0.0)  # do not wait for a thread that is blocked in FFmpeg

    def demuxed(self) -> "Iterator[Packet[Any] | None]":
        import av

        while True:
            try:
                for packet in self.follow():
                    if packet is None or packet.size:  # the last ones are empty: they flush decoders
                        self.damages = 0
                        yield packet
                self.check_store()
                return
            except av.InvalidDataError:
                self.check_store()
                self.damages += 1
                if self.damages == (_FLV_DAMAGES if self.container.format.name == "flv" else _DAMAGES):
                    raise
                yield None
            except IndexError:  # PyAV raises it at the end of a file with streams it had not known
                self.check_store()
                return

    def check_store(self) -> None:
        """Raise the error of a store that has failed: neither an end nor damage is one then."""
        if self.stored is not None and self.stored.error is not None:
            raise self.stored.error

    def follow(self) -> "Iterator[Packet[Any] | None]":
        """The packets of one container after another, if the streams change; None before those that follow damage."""
        parts = self.parts
        while True:
            with suppress(IndexError):  # as in `demuxed`
                for packet in self.container.demux(self.streams):
                    if parts is not None and parts.damaged:
                        parts.damaged = False
                        yield None
                    yield packet
            if parts is None:
                return
            try:
                if not parts.go_on():
                    break
                self.container = open_part(self.name, parts)  # packets keep the old one for as long as they need
            except SourceError:
                yield None
                break
            self.video, self.audio = choose_best(self.container, "video"), choose_best(self.container, "audio")  # type: ignore[assignment]
        if parts.error is not None:
            raise parts.error

    def close(self) -> None:
        """Idempotent; never waits for a thread that is reading: that thread then releases the container itself."""
        with self.guard:
            if self.closed:
                return
            self.closed = True
            if self.busy:
                return
        self.release()

    def release(self) -> None:
        self.container.close()
        self.video = self.audio = None  # a closed source is kept for its name and its end, not for its decoders
        for one in self.used:
            one.close()

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
