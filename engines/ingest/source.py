"""The source of media: the user's name for it goes in, an opened container with its chosen streams comes out.

A name is a path, a named pipe, `-` for standard input, or an http(s), HLS, rtmp(s) or srt URL. Anything that
cannot be read raises a one-line SourceError, and every wait has an end (DESIGN, section 3).
"""

import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote, unquote, urlsplit

from kuaihl.engines.ingest.container import UrlBytes, choose_best, known_duration, open_container, open_part
from kuaihl.engines.ingest.local_playlist import UNFINISHED, is_playlist, open_ended
from kuaihl.engines.ingest.mpeg_ts import BUFFER_BYTES, HEAD_BYTES, TsParts, is_ts
from kuaihl.engines.ingest.refusal import open_advice, refusal
from kuaihl.engines.ingest.timeouts import call_with_timeout
from kuaihl.engines.read_ahead import Stopped, run_stage
from kuaihl.models.errors import Remedy, SourceError, SourceUnavailable

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

    from kuaihl.engines.ingest.flv import FlvChanges

PACKETS_AHEAD = 512  # by which a connection may be ahead of its reader: some 5 s
STDIN = "-"  # the name of standard input
OPEN_SECONDS = 10.0  # the longest wait for a network source's answer, unless the caller says otherwise
_DAMAGES = 16  # failed reads in a row after which reading stops
_PATIENCE = 2.0  # seconds by which the outside watch is later than FFmpeg's time-out
_PLAYLIST_SHARE = 3.0  # a live playlist is silent for as long as a piece of it lasts
_PIPE_SECONDS = 60.0  # the longest silence of a pipe: its writer may have to log in or to wait for a keyframe
_WATCH_SHARE = 3.0  # connecting, redirects and probing each wait: the outside watch is this many times as patient

# Protocols that each kind of URL may open in turn, never `file`: a playlist from the network must not read local files.
_WEB_PROTOCOLS = "http,https,tls,tcp,crypto,httpproxy"
_PROTOCOLS = {
    "http": _WEB_PROTOCOLS,
    "https": _WEB_PROTOCOLS,
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tls,tcp",
    "rtmpt": "rtmpt,ffrtmphttp,http,tcp",
    "srt": "srt,udp",
}
# Pieces of a playlist may have any name, for no local file can be read; their PIDs may change from one to the next.
_HLS = {
    "allowed_extensions": "ALL",
    "allowed_segment_extensions": "ALL",
    "extension_picky": "0",
    "seg_format_options": "merge_pmt_versions=1",
}
ALWAYS_LIVE = frozenset({"rtmp", "rtmps", "rtmpt", "srt"})
_NO_STREAMS = frozenset(
    {"image2", "tty", "lrc", "srt", "webvtt", "ass", "txd"}
)  # FFmpeg "plays" pictures and text, too

_GUESSED_DURATION = frozenset(
    {"mpegts", "mpeg", "aac", "mp3"}
)  # from the bit rate or the last bytes, not from a header

_QUICK = {"probesize": "100000", "analyzeduration": "0"}  # to measure a length, streams need not be understood

T = TypeVar("T")


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
    is_pipe: bool = False  # its writer may fall silent
    failure: str | None = None
    shortfall: str | None = "it was not read to its end"  # why the end is not one that it vouches for; None if it is
    changes: "FlvChanges | None" = None  # for an FLV file, whose streams may come late or change
    parts: TsParts | None = None  # for an MPEG transport stream, whose programs and PIDs may change
    length: float | None = None  # in seconds, for a transport stream that was measured apart from its reading
    used: list[Closable] = field(default_factory=list)  # closed together with the container
    closed: bool = False
    busy: bool = False  # a thread is inside FFmpeg and may be blocked there
    guard: threading.Lock = field(default_factory=threading.Lock)  # of `closed` and `busy`

    @property
    def duration(self) -> float | None:
        """Duration in seconds according to the container; None if unknown."""
        return self.length or known_duration(self.container)

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

    @property
    def longest_silence(self) -> float:
        """Seconds without data after which the outside watch gives up reading, if FFmpeg has not."""
        if not self.is_network:
            return _PIPE_SECONDS + _PATIENCE
        return self.timeout * (_PLAYLIST_SHARE if self.container.format.name == "hls" else 1.0) + _PATIENCE

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

        damages = 0
        while True:
            try:
                for packet in self.follow():
                    if packet is None or packet.size:  # the last ones are empty: they flush decoders
                        damages = 0
                        yield packet
                return
            except av.InvalidDataError:
                damages += 1
                if damages == _DAMAGES:
                    raise
                yield None
            except IndexError:  # PyAV raises it at the end of a file with streams it had not known
                return

    def follow(self) -> "Iterator[Packet[Any] | None]":
        """The packets of one container after another, if the streams change."""
        import av

        if self.changes is not None:
            yield from self.follow_changes(self.changes)
            return
        while True:
            with suppress(IndexError):  # as in `demuxed`
                yield from self.container.demux(self.streams)
            if self.parts is None or not self.parts.go_on():
                return
            try:
                self.container = open_part(self.name, self.parts)  # packets keep the old one for as long as they need
            except SourceError as error:
                if error.__cause__ is not None and not isinstance(error.__cause__, av.InvalidDataError):
                    raise error.__cause__ from None
                yield None
                return
            self.choose()

    def choose(self) -> None:
        self.video, self.audio = choose_best(self.container, "video"), choose_best(self.container, "audio")  # type: ignore[assignment]

    def follow_changes(self, changes: "FlvChanges") -> "Iterator[Packet[Any] | None]":
        """An FLV file's packets, opened again where its demuxer would miss media; None before hidden media."""
        end = changes.path.stat().st_size
        while True:
            hidden = found = None
            with suppress(IndexError):  # as in `demuxed`
                for packet in self.container.demux(self.streams):
                    if not packet.size:
                        continue
                    kind = "video" if packet.stream is self.video else "audio"
                    hidden = changes.find_hidden(packet.pos, end) if packet.pos else None
                    if hidden is not None:
                        break
                    if changes.is_known(kind, packet.pos):
                        continue
                    yield packet
                    if changes.note_packet(kind, packet.pos, packet.size) and (found := changes.find()):
                        break
                else:
                    hidden = changes.find_hidden(None, end)
            found = (found or changes.find(end)) if hidden is None else None
            if hidden is not None:
                self.reopen(changes.resume(None, hidden))
                yield None
            elif found:
                self.reopen(changes.resume(*found))
            else:
                return

    def reopen(self, file: Any) -> None:
        """Go on with another container of the same media; the old one lives for as long as its packets are in use."""
        self.container = open_container(self.name, file)
        self.choose()

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
        for one in self.used:
            one.close()

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_stream(name: str) -> bool:
    """Whether a source can be read only once: a URL, standard input or a named pipe."""
    if name == STDIN or "://" in name:
        return True
    try:
        return stat.S_ISFIFO(Path(name).stat().st_mode)
    except (OSError, ValueError):  # `open_source` says what is wrong with it
        return False


def open_source(name: str, *, timeout: float = OPEN_SECONDS) -> Source:
    """Open a path, `-` or a URL; `timeout` is the longest wait in seconds for a network source's answer.

    Raises a one-line SourceError if the source cannot be read or holds neither video nor audio. Raises
    SourceUnavailable if a URL does not answer or is not on air yet.
    """
    scheme = scheme_of(name)
    if scheme in _PROTOCOLS:
        name = re.sub(r"\s", lambda space: quote(space[0]), name.strip())  # a space ends a URL, here as in messages
    if name == STDIN:
        return _from_pipe(name, timeout)
    if scheme is None or scheme == "file":
        return _from_path(name, _local_path(name), timeout)
    if scheme not in _PROTOCOLS:
        known = ", ".join(f"{one}://" for one in _PROTOCOLS)
        raise SourceError(f"{name}: {scheme}:// is not supported; give a file, - for standard input, or {known}")
    return _from_url(name, scheme, timeout)


def scheme_of(name: str) -> str | None:
    """`rtmp` of `rtmp://…` in lower case; None for a path, which may hold any character."""
    scheme, separator, _ = name.partition("://")
    return scheme.lower() if separator and scheme.replace("+", "").isalnum() else None


def _local_path(name: str) -> Path:
    return Path(unquote(urlsplit(name).path)) if scheme_of(name) == "file" else Path(name)


def _from_path(name: str, path: Path, timeout: float) -> Source:
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            path.open("rb").close()
    except OSError as error:
        raise SourceError(f"{name}: {open_advice(error)}") from error
    except ValueError as error:  # a NUL in the name
        raise SourceError(f"{name!r}: not a file name") from error
    if stat.S_ISDIR(status.st_mode):
        score_all = Remedy("name a file in it, or score all of it", {"output": "OUT"}, "batch", (name,))
        raise SourceError(f"{name}: a directory", remedy=score_all)
    if stat.S_ISFIFO(status.st_mode):
        descriptor = _within(name, _PIPE_SECONDS, lambda: os.open(path, os.O_RDONLY))
        return _from_descriptor(name, descriptor, timeout)
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"{name}: neither a file nor a pipe; give a media file")
    if status.st_size == 0:
        raise SourceError(f"{name}: the file is empty; if it is still being written, wait until data has come")
    return _from_file(name, path, timeout)


def _from_file(name: str, path: Path, timeout: float) -> Source:
    from kuaihl.engines.ingest.flv import FlvChanges

    if is_playlist(path):
        return _choose_streams(name, _open_playlist(name, path), timeout)
    file = path.open("rb")
    if is_ts(file.peek(HEAD_BYTES)):
        source = _from_ts(name, TsParts(file), timeout)
        source.length = _measure_ts(name, path)
        return source
    file.close()
    source = _choose_streams(name, open_container(name, str(path.absolute())), timeout)
    if source.container.format.name == "flv":
        source.changes = FlvChanges(path)
        source.used.append(source.changes)
    return source


def _from_ts(name: str, parts: TsParts, timeout: float) -> Source:
    try:
        source = _choose_streams(name, open_part(name, parts), timeout)
    except BaseException:
        parts.close()
        raise
    source.parts = parts
    source.used.append(parts)
    return source


def _measure_ts(name: str, path: Path) -> float | None:
    """The length of a transport stream from its first and last time stamps."""
    with suppress(SourceError), open_container(name, str(path.absolute()), options=_QUICK) as container:
        return known_duration(container)
    return None


def _open_playlist(name: str, path: Path) -> "InputContainer":
    try:
        return open_container(name, str(path.absolute()), io_open=open_ended)
    except SourceError:
        return open_container(name, str(path.absolute()), container_options=UNFINISHED)


def _from_pipe(name: str, timeout: float) -> Source:
    try:
        descriptor = os.dup(0)
    except OSError as error:
        raise SourceError(f"{name}: standard input is closed; pipe a stream into it") from error
    if os.isatty(descriptor):
        os.close(descriptor)
        raise SourceError(f"{name}: standard input is a terminal; pipe a stream into it, or name a file")
    return _from_descriptor(name, descriptor, timeout)


def _from_descriptor(name: str, descriptor: int, timeout: float) -> Source:
    """A pipe, or a file that was redirected to standard input; closes the descriptor in the end."""
    from kuaihl.engines.ingest.timeouts import PipeReader

    is_pipe = not stat.S_ISREG(os.fstat(descriptor).st_mode)
    file: Any = PipeReader(descriptor, _PIPE_SECONDS) if is_pipe else os.fdopen(descriptor, "rb")
    try:
        if is_ts(file.peek(HEAD_BYTES)):
            source = _from_ts(name, TsParts(file), timeout)
        else:
            source = _choose_streams(name, open_container(name, file), timeout)
    except OSError as error:
        file.close()
        raise refusal(name, error, is_url=False) from error
    except BaseException:
        file.close()
        raise
    source.used.append(file)
    source.is_pipe = is_pipe
    return source


def _from_url(name: str, scheme: str, timeout: float) -> Source:
    microseconds = str(int(timeout * 1_000_000))
    options = _HLS | {"merge_pmt_versions": "1", "protocol_whitelist": _PROTOCOLS[scheme], "rw_timeout": microseconds}
    if scheme in ("http", "https", "srt"):
        options["timeout"] = microseconds  # for rtmp this option means: listen
    url = scheme + name[len(scheme) :]
    longest = timeout * _WATCH_SHARE  # PyAV's own limit for opening, and for reading in case it is a live playlist
    limits = (longest, longest if scheme in ("http", "https") else timeout)

    def open_url(**others: Any) -> "InputContainer":
        return open_container(name, url, is_url=True, container_options=options, timeout=limits, **others)

    container = _within(name, longest + _PATIENCE, open_url)
    length = known_duration(container)
    if length is not None and container.format.name == "mpegts":  # a recording: it may be fetched a second time
        container.close()
        raw = {"raw_packet_size": str(BUFFER_BYTES)}
        source = _within(
            name,
            longest + _PATIENCE,
            lambda: _from_ts(name, TsParts(UrlBytes(open_url(format="data", options=raw))), timeout),
        )
        source.length = length
    else:
        source = _choose_streams(name, container, timeout)
    source.is_network = True
    source.is_live = scheme in ALWAYS_LIVE or length is None
    return source


def _within(name: str, seconds: float, call: Callable[[], T]) -> T:
    """The call's result. Raises SourceUnavailable if it takes longer than `seconds`."""
    try:
        return call_with_timeout(call, seconds)
    except TimeoutError as error:
        raise SourceUnavailable(
            f"{name}: no answer within {seconds:.0f} s; check that it is there and on air"
        ) from error


def _choose_streams(name: str, container: "InputContainer", timeout: float) -> Source:
    """The source with the best video and audio stream that can be decoded. Raises SourceError if both are missing."""
    if container.format.name in _NO_STREAMS or container.format.name.endswith("_pipe"):
        container.close()
        raise SourceError(f"{name}: a picture or a text ({container.format.name}), not a video; give a media file")
    video: Any = choose_best(container, "video")
    audio: Any = choose_best(container, "audio")
    if video is None and audio is None:
        unknown = ", ".join(sorted({stream.type for stream in container.streams}))
        container.close()
        raise SourceError(
            f"{name}: holds neither video nor audio that can be decoded" + (f" ({unknown})" * bool(unknown))
        )
    return Source(name, container, video, audio, is_network=False, is_live=False, timeout=timeout)
