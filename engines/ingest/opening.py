"""Opening a source: the user's name for it goes in, a `Source` with its chosen streams comes out.

A name is a path, a named pipe, `-` for standard input, an http(s), HLS, rtmp(s) or srt URL, or the address of an object
in a store. Anything that cannot be read raises a one-line SourceError, and every wait has an end (DESIGN, section 3).
"""

import io
import os
import re
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

from kuaihl.engines.ingest.container import (
    BUFFER_BYTES,
    PIECE_BYTES,
    RAW_PACKETS,
    UrlBytes,
    choose_best,
    known_duration,
    open_container,
    open_file,
    open_part,
)
from kuaihl.engines.ingest.flv import FlvParts, is_flv
from kuaihl.engines.ingest.growing import GrowingFile, Growth
from kuaihl.engines.ingest.local_playlist import UNFINISHED, check_names, is_playlist
from kuaihl.engines.ingest.mp4_index import INDEX_LAST, lacks_index
from kuaihl.engines.ingest.mpeg_ts import HEAD_BYTES, TsParts, is_ts
from kuaihl.engines.ingest.parts import Peekable, Readable, WhatCame
from kuaihl.engines.ingest.playlist_parts import CHANGING_PIECES, SHOWN, Open, PlaylistParts, is_playlist_head
from kuaihl.engines.ingest.refusal import cause, lacks_protocol, open_advice, refusal
from kuaihl.engines.ingest.source import PATIENCE, PIPE_SECONDS, Guard, Source
from kuaihl.engines.ingest.srt_program import SrtProgram
from kuaihl.engines.ingest.timeouts import PipeReader, call_with_timeout
from kuaihl.engines.stores.file import StoredFile
from kuaihl.engines.stores.urls import SCHEMES, is_stored
from kuaihl.models.errors import Remedy, SourceError, SourceUnavailable

if TYPE_CHECKING:
    from av.container import InputContainer

STDIN = "-"  # the name of standard input
OPEN_SECONDS = 10.0  # the longest wait for a network source's answer, unless the caller says otherwise
_WATCH_SHARE = 3.0  # connecting, redirects and probing each wait: the outside watch is this many times as patient
_GROWTH_SHARE = 2.0  # a playlist may take this many times as long to grow

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
ALWAYS_LIVE = frozenset({"rtmp", "rtmps", "rtmpt", "srt"})
_NO_STREAMS = frozenset({"image2", "tty", "lrc", "srt", "webvtt", "ass", "txd"})  # FFmpeg "plays" them, too

_LEFT_BEHIND = "its playlist does not grow, so nobody is on air; a server may leave one behind when a stream ends"
_UNTRUSTED = "a playlist (HLS), which is read only from hosts that are allowed by name; the operator may allow it"
_QUICK = {"probesize": "100000", "analyzeduration": "0"}  # to measure a length, streams need not be understood

T = TypeVar("T")


def is_stream(name: str) -> bool:
    """Whether a source can be read only once: a URL, standard input or a named pipe. An object in a store is a file."""
    if name == STDIN or "://" in name:
        return not is_stored(name)
    try:
        return stat.S_ISFIFO(Path(name).stat().st_mode)
    except (OSError, ValueError):  # `open_source` says what is wrong with it
        return False


def open_source(
    name: str, *, timeout: float = OPEN_SECONDS, guard: Guard | None = None, growth: Growth | None = None
) -> Source:
    """Open a path, `-` or a URL; `timeout` is the longest wait in seconds for a network source's answer.

    `guard` may refuse a URL before it is opened, here and whenever the source is connected to again. `growth` is how a
    file is followed that is still written; only what can be read from its beginning can be.

    Raises a one-line SourceError if the source cannot be read or holds neither video nor audio. Raises
    SourceUnavailable if a URL does not answer or is not on air yet.
    """
    scheme = scheme_of(name)
    if scheme in _PROTOCOLS:
        name = re.sub(r"\s", lambda space: quote(space[0]), name.strip())  # a space ends a URL, here as in messages
    if name == STDIN:
        return _from_pipe(name, timeout)
    if scheme is None or scheme == "file":
        return _from_path(name, _local_path(name), timeout, growth)
    if is_stored(name):
        return _from_store(name, timeout)
    if scheme not in _PROTOCOLS:
        known = ", ".join(f"{one}://" for one in (*_PROTOCOLS, *SCHEMES))
        raise SourceError(f"{name}: {scheme}:// is not supported; give a file, - for standard input, or {known}")
    return _from_url(name, scheme, timeout, guard)


def scheme_of(name: str) -> str | None:
    """`rtmp` of `rtmp://…` in lower case; None for a path, which may hold any character."""
    scheme, separator, _ = name.partition("://")
    return scheme.lower() if separator and scheme.replace("+", "").isalnum() else None


def _local_path(name: str) -> Path:
    return Path(unquote(urlsplit(name).path)) if scheme_of(name) == "file" else Path(name)


def _from_path(name: str, path: Path, timeout: float, growth: Growth | None) -> Source:
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
        descriptor = _within(name, PIPE_SECONDS, lambda: os.open(path, os.O_RDONLY))
        return _from_descriptor(name, descriptor, timeout)
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"{name}: neither a file nor a pipe; give a media file")
    if status.st_size == 0:
        raise SourceError(f"{name}: the file is empty; if it is still being written, wait until data has come")
    if growth is not None:
        source = _from_bytes(name, Peekable(GrowingFile(path, growth)), timeout)
        source.is_growing = True
        return source
    return _from_file(name, path, timeout)


def _from_file(name: str, path: Path, timeout: float) -> Source:
    if is_playlist(path):
        return _from_local_playlist(name, path, timeout)
    file = path.open("rb")
    parts = _parts_in(file.peek(HEAD_BYTES), file)
    if parts is None:
        with file:
            return _choose_streams(name, open_file(name, file, str(path.absolute())), timeout)
    source = _from_parts(name, parts, timeout)
    source.length = _length(source, lambda: open_container(name, str(path.absolute()), options=_QUICK))
    return source


def _from_store(name: str, timeout: float) -> Source:
    """An object: FLV and transport streams are read forward, other containers wherever their demuxer wants to."""
    stored = StoredFile(name)
    file: io.BufferedReader[Any] = io.BufferedReader(stored, BUFFER_BYTES)
    try:
        head = file.peek(HEAD_BYTES)
        if not head:
            raise SourceError(f"{name}: the object is empty")
        if is_playlist_head(head):
            raise SourceError(f"{name}: a playlist, which is not followed in a store; name its pieces or a recording")
        parts = _parts_in(head, file)
        if parts is None:
            source = _choose_streams(name, _open_stored(name, file), timeout)
        else:
            source = _from_parts(name, parts, timeout)
            place = file.tell()
            source.length = _length(source, lambda: _open_stored(name, file, options=_QUICK))
            file.seek(place)
    except BaseException as error:
        file.close()
        if stored.error is not None and isinstance(error, SourceError):
            raise stored.error from None
        raise
    source.stored = stored
    source.used.append(file)
    return source


def _open_stored(name: str, file: "io.BufferedReader[Any]", **options: Any) -> "InputContainer":
    """FFmpeg's demuxer of an object from its beginning; what is in it must open neither files nor URLs."""
    file.seek(0)
    return open_file(name, file, buffer_size=BUFFER_BYTES, container_options={"protocol_whitelist": ""}, **options)


def _parts_in(head: bytes, file: Readable) -> FlvParts | TsParts | None:
    """The file, which begins with `head`, in parts; None if its streams are all known at its beginning."""
    if is_ts(head):
        return TsParts(WhatCame(file))
    return FlvParts(WhatCame(file)) if is_flv(head) else None


def _from_parts(name: str, parts: FlvParts | TsParts, timeout: float, *, is_url: bool = False) -> Source:
    try:
        source = _choose_streams(name, open_part(name, parts), timeout)
    except BaseException as error:
        failure = parts.error
        parts.close()
        if failure is None or isinstance(failure, SourceError) or not isinstance(error, SourceError):
            raise
        raise refusal(name, failure, is_url=is_url) from cause(failure)
    source.parts = parts
    source.used.append(parts)
    return source


def open_at(head: Source, byte: int) -> Source:
    """The file of a `head` in parts again, from near a byte of it on. Raises SourceError."""
    assert isinstance(head.parts, FlvParts | TsParts)
    first, begin = head.parts.entry(byte)
    try:
        file: io.BufferedIOBase
        if is_stored(head.name):
            file = io.BufferedReader(StoredFile(head.name), BUFFER_BYTES)
        else:
            file = _local_path(head.name).open("rb")
        file.seek(begin)
    except OSError as error:
        raise SourceError(f"{head.name}: {open_advice(error)}") from error
    return _from_parts(head.name, type(head.parts)(WhatCame(Peekable(file, first))), head.timeout)


def _length(source: Source, measure: "Callable[[], InputContainer]") -> float | None:
    """The length of a recording in seconds: FLV may state it, otherwise the first and last time stamps tell."""
    if source.container.format.name == "flv" and (known := known_duration(source.container)):
        return known
    with suppress(SourceError), measure() as container:
        return known_duration(container)
    return None


def _from_local_playlist(name: str, path: Path, timeout: float) -> Source:
    def demux(io_open: Open) -> "InputContainer":
        return open_container(name, str(path.absolute()), io_open=io_open, container_options=SHOWN)

    check_names(name, path)
    try:
        parts = PlaylistParts(lambda file, _: Path(file).open("rb"), demux, never_grows=True)  # noqa: SIM115
        return _from_playlist(name, parts, timeout)
    except SourceError:
        container = open_container(name, str(path.absolute()), container_options=UNFINISHED)
        return _choose_streams(name, container, timeout)


def _from_playlist(name: str, parts: PlaylistParts, timeout: float) -> Source:
    source = _choose_streams(name, open_part(name, parts), timeout)
    source.parts = parts
    return source


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
    is_pipe = not stat.S_ISREG(os.fstat(descriptor).st_mode)
    file: Any = Peekable(PipeReader(descriptor, PIPE_SECONDS)) if is_pipe else os.fdopen(descriptor, "rb")
    source = _from_bytes(name, file, timeout)
    source.is_pipe = is_pipe
    return source


def _from_bytes(name: str, file: Any, timeout: float) -> Source:
    """A source that is read through an object with `peek`, `read` and `close`, which is closed in the end."""
    try:
        head = file.peek(HEAD_BYTES)
        if not head:
            raise SourceError(f"{name}: no data came; see what the program that writes it says")
        is_forward = isinstance(file, Peekable)
        if is_forward and lacks_index(io.BytesIO(head)):
            raise SourceError(f"{name}: {INDEX_LAST}")
        parts = _parts_in(head, file)
        if parts is not None:
            source = _from_parts(name, parts, timeout)
        else:
            container = open_container(name, file) if is_forward else open_file(name, file)
            source = _choose_streams(name, container, timeout)
    except OSError as error:
        file.close()
        raise refusal(name, error, is_url=False) from error
    except BaseException:
        file.close()
        raise
    source.used.append(file)
    return source


def _from_url(name: str, scheme: str, timeout: float, guard: Guard | None) -> Source:
    microseconds = str(int(timeout * 1_000_000))
    options = {"protocol_whitelist": _PROTOCOLS[scheme], "rw_timeout": microseconds, **CHANGING_PIECES}
    if scheme in ("http", "https", "srt"):
        options["timeout"] = microseconds  # for rtmp this option means: listen
    options |= guard(name) if guard is not None else {}
    url = scheme + name[len(scheme) :]
    longest = timeout * _WATCH_SHARE  # PyAV's own limit for opening, and for reading in case it is a live playlist
    limits = (longest, longest if scheme in ("http", "https") else timeout)

    def open_url(**others: Any) -> "InputContainer":
        return open_container(name, url, is_url=True, container_options=options, timeout=limits, **others)

    def demux(io_open: Open) -> "InputContainer":
        asked = {**options, **SHOWN}
        return open_container(
            name, url, is_url=True, io_open=io_open, container_options=asked, timeout=limits, buffer_size=PIECE_BYTES
        )

    def fetch(address: str, more: Mapping[str, str]) -> UrlBytes | SrtProgram:
        asked = {**options, **more}
        try:
            container = open_container(
                name, address, is_url=True, format="data", options=RAW_PACKETS, container_options=asked, timeout=limits
            )
        except SourceError as error:
            if scheme != "srt" or not lacks_protocol(error):
                raise
            return SrtProgram(name, address, timeout)
        return UrlBytes(container)

    def open_named(address: str, more: Mapping[str, str]) -> Peekable:
        return Peekable(WhatCame(fetch(address, more)))  # without a length, the end is an error

    def open_any() -> Source:
        got = fetch(url, {})
        file, is_recording = Peekable(got), got.size > 0
        if isinstance(got, UrlBytes):
            got.rests = not is_recording
        try:
            head = file.peek(HEAD_BYTES)
            parts = _parts_in(head, file)
        except Exception as error:
            if not file.ahead:
                file.close()
                raise refusal(name, error, is_url=True) from cause(error)
            head, parts = file.ahead, None  # a short answer, such as a playlist, whose end its server did not announce
        if parts is None:
            file.close()
            if is_playlist_head(head):
                if "format_whitelist" in options:
                    raise SourceError(f"{name}: {_UNTRUSTED}")
                parts_shown = PlaylistParts(open_named, demux, patience=_GROWTH_SHARE * timeout)
                with suppress(SourceError):  # behind a redirect, or with cookies, FFmpeg alone finds the pieces
                    return _from_playlist(name, parts_shown, timeout)
                if parts_shown.is_left_behind:
                    raise SourceUnavailable(f"{name}: {_LEFT_BEHIND}")
            return _choose_streams(name, open_url(), timeout)
        source = _from_parts(name, parts, timeout, is_url=True)
        if is_recording:
            source.length = _length(source, lambda: open_url(options=_QUICK))
        source.url_bytes = got if isinstance(got, UrlBytes) else None
        source.is_live = not is_recording  # the duration that a publisher states may be that of its own file
        return source

    source = _within(name, 2 * longest + PATIENCE, open_any)
    source.is_network, source.url_guard = True, guard
    source.is_live |= scheme in ALWAYS_LIVE or source.duration is None
    if source.is_live:
        for stream in source.streams:  # three pictures per segment are no hurry, and many rooms may share a process
            stream.codec_context.thread_count = 1
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
