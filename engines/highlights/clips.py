"""Highlights cut from a recording into their own files, by stream copy: no re-encoding, no loss, within seconds.

One pass over the packets finds the keyframes to begin at, a second one copies. Neither seeks, which fails on FLV
without an index and on damaged files.
"""

import math
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuaihl.engines.highlights.clip_writer import INTERLEAVING, ClipWriter, Header
from kuaihl.engines.highlights.offline import rank_highlights
from kuaihl.engines.ingest.source import is_stream
from kuaihl.engines.types import SAME_TIME, Highlight
from kuaihl.models.errors import SourceError, UsageError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

# Codecs that MP4 accepts and players expect in it; anything else goes into Matroska.
_MP4_CODECS = frozenset({"h264", "hevc", "av1", "mpeg4", "aac", "mp3", "ac3", "eac3", "alac"})
_WEBM_CODECS = frozenset({"vp8", "vp9", "av1", "opus", "vorbis"})

_HEADERS_TOGETHER = 1.0  # seconds; a restarted encoder renews the headers of sound and picture almost together


@dataclass(frozen=True)
class Clip:
    """A clip on disk; its media begins and ends at these seconds of the source's clock."""

    path: Path
    start: float  # of the first frame: the keyframe at or before the highlight's start
    end: float


def cut_clips(source: str, highlights: Sequence[Highlight], folder: Path, stem: str) -> list[Clip | None]:
    """Cut each highlight to `folder/STEM_RANK_TIME.SUFFIX`; None for one that has no media in the file.

    Raises UsageError if the source is not a file or the folder cannot be written, SourceError if the file cannot be
    read.
    """
    suffix = clip_suffix(source)
    paths = [
        folder / clip_name(stem, rank, highlight.start, suffix)
        for rank, highlight in zip(rank_highlights(highlights), highlights, strict=True)
    ]
    return _copy_spans(source, highlights, paths)


def clip_name(stem: str, rank: int, start: float, suffix: str) -> str:
    """`STEM_01_00-12-30.mp4`: sorts by rank, shows the time, and is a safe name on any file system."""
    kept = re.sub(r"[^\w.\-]+", "_", stem).strip("._-")[:120] or "clip"
    seconds = int(start)
    return f"{kept}_{rank:02}_{seconds // 3600:02}-{seconds // 60 % 60:02}-{seconds % 60:02}{suffix}"


def clip_suffix(source: str) -> str:
    """`.mp4` if the codecs allow it, else `.webm` or `.mkv`; `.m4a` or `.mka` without video."""
    with _open_container(source) as container:
        streams = _copied_streams(container)
        codecs = {_codec_name(stream) for stream in streams}
        video = any(stream.type == "video" for stream in streams)
    if codecs <= _MP4_CODECS:
        return ".mp4" if video else ".m4a"
    if codecs <= _WEBM_CODECS and video:
        return ".webm"
    return ".mkv" if video else ".mka"


def _open_container(source: str) -> "InputContainer":
    import av

    if is_stream(source):
        raise UsageError(f"{source}: clips can be cut from a file alone; record the stream, then score the recording")
    try:
        return av.open(source, metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"{source}: cannot be opened to cut clips ({error.strerror})") from error


def _copied_streams(container: "InputContainer") -> list["Stream"]:
    """The best video and the best audio stream; not a cover picture. Raises SourceError if there is neither."""
    from av.stream import Disposition

    streams: list[Stream] = []
    video = container.streams.best("video")
    if video is not None and not video.disposition & Disposition.attached_pic:
        streams.append(video)
    audio = container.streams.best("audio")
    if audio is not None:
        streams.append(audio)
    if not streams:
        raise SourceError(f"{container.name}: holds neither video nor audio")
    return streams


def _codec_name(stream: "Stream") -> str:
    """`h264`, `aac`, …: the codec's own name, not that of its decoder."""
    context: Any = stream.codec_context
    return str(context.codec.canonical_name)


def _timed_packets(container: "InputContainer", streams: Sequence["Stream"]) -> Iterator[tuple["Packet[Any]", float]]:
    """Packets with the time at which they are shown, in seconds from the file's start; ends at a damaged place."""
    import av

    origin = (container.start_time or 0) / av.time_base
    with suppress(av.FFmpegError):
        for packet in container.demux(list(streams)):
            ticks = packet.dts if packet.pts is None else packet.pts
            if packet.size and ticks is not None:
                yield packet, float(ticks * packet.time_base) - origin


def _copy_spans(source: str, spans: Sequence[Highlight], paths: Sequence[Path]) -> list[Clip | None]:
    """Write every clip; each gets its final name when it is whole."""
    import av

    if not spans:
        return []
    with _open_container(source) as container:
        seen = _survey(container, until=max(one.end for one in spans))
    writers: list[ClipWriter] = []
    try:
        with _open_container(source) as container:
            streams = _copied_streams(container)
            writers += [_plan_clip(one, path, streams, seen) for one, path in zip(spans, paths, strict=True)]
            waiting = writers
            for packet, time in _timed_packets(container, streams):
                for writer in waiting:
                    writer.offer(packet, time)
                waiting = [writer for writer in waiting if not writer.is_done(time)]
                if not waiting:
                    break
        return [Clip(one.path, one.first or 0.0, one.last) if one.finish() else None for one in writers]
    except ValueError as error:  # FFmpeg's muxers raise it for media that does not fit
        raise SourceError(f"{source}: cannot be cut without re-encoding ({error})") from error
    except (av.FFmpegError, OSError) as error:
        raise UsageError(f"{paths[0].parent}: clips cannot be written ({error.strerror or error})") from error
    finally:
        for writer in writers:
            writer.clean_up()


@dataclass(frozen=True)
class _Survey:
    """The cutting points of a recording: its keyframes and the changes of a decoder's header. Seconds, in order."""

    keyframes: Sequence[float]
    headers: Mapping[int, Sequence[Header]]  # by stream index, without the first header


def _survey(container: "InputContainer", until: float) -> _Survey:
    """Read the packets up to a time, without decoding."""
    streams = _copied_streams(container)
    keyframes = array("d")  # 8 bytes each: even a day of keyframes alone fits
    headers: dict[int, list[Header]] = {stream.index: [] for stream in streams}
    in_force = {stream.index: _header_of(stream) for stream in streams}
    for packet, time in _timed_packets(container, streams):
        if packet.stream.type == "video" and packet.is_keyframe:
            keyframes.append(time)
        if packet.has_sidedata("new_extradata"):
            data = bytes(packet.get_sidedata("new_extradata"))
            if data != in_force[packet.stream.index]:  # servers repeat the same one after a reconnect
                in_force[packet.stream.index] = data
                headers[packet.stream.index].append(Header(time, data, _picture_size(packet, data)))
        if time > until + INTERLEAVING:
            break
    return _Survey(keyframes, headers)


def _picture_size(packet: "Packet[Any]", header: bytes) -> tuple[int, int] | None:
    """Width and height of the frame in a packet with a new header; None for sound or a damaged frame."""
    import av

    if packet.stream.type != "video":
        return None
    context: Any = av.CodecContext.create(packet.stream.codec_context.codec.name, "r")
    context.extradata = header
    with suppress(av.FFmpegError):
        for frame in [*context.decode(packet), *context.decode(None)]:
            return frame.width, frame.height
    return None


def _plan_clip(span: Highlight, path: Path, streams: Sequence["Stream"], seen: _Survey) -> ClipWriter:
    """The writer of a span's clip. It begins at a keyframe, and contains no change of header, as containers allow none.

    From a span with a change of header, the longest piece without one is cut.
    """
    video = {stream.index for stream in streams if stream.type == "video"}
    edges = [span.start, *(time for time in _header_changes(seen, video) if span.start < time < span.end), span.end]
    start, end = max(pairwise(edges), key=lambda piece: piece[1] - piece[0])
    index = bisect_right(seen.keyframes, start + SAME_TIME) - 1
    origin = seen.keyframes[max(0, index)] if seen.keyframes else None
    headers = _headers_at(seen, start if origin is None else origin, video)
    barrier = end if end < span.end else math.inf
    return ClipWriter(path, streams, start, end, origin, barrier, headers)


def _header_changes(seen: _Survey, video: AbstractSet[int]) -> list[float]:
    """The times at which a decoder's header changed. A change of sound with the picture counts as one."""
    pictures = [one.time for index in video for one in seen.headers[index]]
    sounds = [one.time for index in seen.headers.keys() - video for one in seen.headers[index]]
    alone = [time for time in sounds if all(abs(time - other) > _HEADERS_TOGETHER for other in pictures)]
    return sorted(pictures + alone)


def _headers_at(seen: _Survey, time: float, video: AbstractSet[int]) -> dict[int, Header]:
    """The header that each stream's decoder needs from a time on, if not the first one."""
    found = {}
    for index, headers in seen.headers.items():
        late = SAME_TIME if index in video else _HEADERS_TOGETHER
        before = [header for header in headers if header.time <= time + late]
        if before:
            found[index] = before[-1]
    return found


def _header_of(stream: "Stream") -> bytes | None:
    context: Any = stream.codec_context
    return context.extradata if context.extradata is None else bytes(context.extradata)
