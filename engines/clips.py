"""Highlights cut out of a recording as files of their own, by stream copy: no re-encoding, no loss, in seconds.

One pass over the packets finds the keyframes to begin at, a second one copies: no seeking, which FLV without an index
and damaged files do not survive.
"""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuaihl.engines.offline_highlights import ranks
from kuaihl.engines.segment import Highlight
from kuaihl.models.errors import SourceError, UsageError

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

# What a container takes and players expect in it; anything else goes into Matroska.
MP4_CODECS = frozenset({"h264", "hevc", "av1", "mpeg4", "aac", "mp3", "ac3", "eac3", "alac"})
WEBM_CODECS = frozenset({"vp8", "vp9", "av1", "opus", "vorbis"})

SAME_TIME = 1e-3  # seconds; containers round times to the millisecond
INTERLEAVING = 10.0  # seconds by which one stream may lag behind the other in the file


@dataclass(frozen=True)
class Clip:
    """A clip on disk; where its media begins and ends on the source's clock, in seconds."""

    path: Path
    start: float  # of the first frame: the keyframe at or before the highlight's start
    end: float


@dataclass
class Cut:
    """A clip in the making: its span, and the output once the first packet has come."""

    path: Path
    start: float
    end: float
    origin: float | None = None  # the clip's time 0: its keyframe, or without video its first packet
    output: "OutputContainer | None" = None
    streams: dict[int, "Stream"] = field(default_factory=dict)  # by the source's stream index
    last_dts: dict[int, int] = field(default_factory=dict)
    first: float | None = None
    last: float = 0.0
    shown: dict[int, float] = field(default_factory=dict)  # latest time of a packet, by the source's stream index
    passed: set[int] = field(default_factory=set)  # streams that have gone beyond the end

    @property
    def temporary(self) -> Path:
        return self.path.with_name(f".{self.path.name}.part")


def cut_clips(source: str, highlights: Sequence[Highlight], folder: Path, stem: str) -> list[Clip | None]:
    """Cut each highlight to `folder/STEM_RANK_TIME.SUFFIX`; None for one that has no media in the file.

    Raises UsageError where the source is not a file or the folder cannot be written, SourceError where the file cannot
    be read.
    """
    suffix = clip_suffix(source)
    paths = [
        folder / clip_name(stem, rank, highlight.start, suffix)
        for rank, highlight in zip(ranks(highlights), highlights, strict=True)
    ]
    return copy_spans(source, [Cut(path, one.start, one.end) for path, one in zip(paths, highlights, strict=True)])


def cut_clip(source: str, highlight: Highlight, path: Path) -> Clip:
    """Cut one highlight to a file whose suffix is what `clip_suffix` says. Raises as `cut_clips`, and where empty."""
    clip = copy_spans(source, [Cut(path, highlight.start, highlight.end)])[0]
    if clip is None:
        raise SourceError(f"{source}: no media between {highlight.start:.1f} and {highlight.end:.1f} s")
    return clip


def clip_name(stem: str, rank: int, start: float, suffix: str) -> str:
    """`STEM_01_00-12-30.mp4`: sorts by rank, tells the time, and is a safe name on any file system."""
    kept = re.sub(r"[^\w.\-]+", "_", stem).strip("._-")[:120] or "clip"
    seconds = int(start)
    return f"{kept}_{rank:02}_{seconds // 3600:02}-{seconds // 60 % 60:02}-{seconds % 60:02}{suffix}"


def clip_suffix(source: str) -> str:
    """`.mp4` where the codecs allow it, else `.webm` or `.mkv`; `.m4a` or `.mka` without video."""
    with opened(source) as container:
        streams = copied_streams(container)
        codecs = {codec_name(stream) for stream in streams}
        video = any(stream.type == "video" for stream in streams)
    if codecs <= MP4_CODECS:
        return ".mp4" if video else ".m4a"
    if codecs <= WEBM_CODECS and video:
        return ".webm"
    return ".mkv" if video else ".mka"


def opened(source: str) -> "InputContainer":
    import av

    if source == "-" or "://" in source:
        raise UsageError(f"{source}: clips can be cut from a file alone; record the stream, then score the recording")
    try:
        return av.open(source, metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"{source}: cannot be opened to cut clips ({error.strerror})") from error


def copied_streams(container: "InputContainer") -> list["Stream"]:
    """The best video and the best audio stream; a cover picture is no video. Raises SourceError where both lack."""
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


def codec_name(stream: "Stream") -> str:
    """`h264`, `aac`, …: the codec's own name, not that of the library which decodes it."""
    context: Any = stream.codec_context
    return str(context.codec.canonical_name)


def timed_packets(container: "InputContainer", streams: Sequence["Stream"]) -> Iterator[tuple["Packet[Any]", float]]:
    """Packets with the time at which they are shown, in seconds from the file's start; ends where it is broken."""
    import av

    origin = (container.start_time or 0) / av.time_base
    with suppress(av.FFmpegError):
        for packet in container.demux(list(streams)):
            ticks = packet.dts if packet.pts is None else packet.pts
            if packet.size and ticks is not None:
                yield packet, float(ticks * packet.time_base) - origin


def copy_spans(source: str, cuts: list[Cut]) -> list[Clip | None]:
    """Write every cut; a clip appears under its name when it is whole."""
    import av

    if not cuts:
        return []
    with opened(source) as container:
        find_beginnings(container, cuts)
    try:
        with opened(source) as container:
            streams = copied_streams(container)
            waiting = list(cuts)
            for packet, time in timed_packets(container, streams):
                for cut in waiting:
                    offer(cut, packet, time, streams)
                waiting = [cut for cut in waiting if not done(cut, time, streams)]
                if not waiting:
                    break
        return [finished(cut) for cut in cuts]
    except ValueError as error:  # what FFmpeg's muxers say of media that does not fit
        raise SourceError(f"{source}: cannot be cut without re-encoding ({error})") from error
    except (av.FFmpegError, OSError) as error:
        raise UsageError(f"{cuts[0].path.parent}: clips cannot be written ({error.strerror or error})") from error
    finally:
        for cut in cuts:
            if cut.output is not None:
                with suppress(OSError, ValueError):
                    cut.output.close()
            cut.temporary.unlink(missing_ok=True)


def find_beginnings(container: "InputContainer", cuts: Sequence[Cut]) -> None:
    """Set where each cut's video begins: the last keyframe at or before its start, else the first one in it."""
    streams = [stream for stream in copied_streams(container) if stream.type == "video"]
    if not streams:  # any audio packet can begin a clip
        return
    latest = max(cut.start for cut in cuts)
    for packet, time in timed_packets(container, streams):
        if packet.is_keyframe:
            for cut in cuts:
                if time <= cut.start + SAME_TIME or (cut.origin is None and time < cut.end):
                    cut.origin = time
        if time > latest + INTERLEAVING and all(cut.origin is not None for cut in cuts):
            break


def offer(cut: Cut, packet: "Packet[Any]", time: float, streams: Sequence["Stream"]) -> None:
    """Copy a packet into a cut that it belongs to, with its times counted from the cut's beginning."""
    index = packet.stream.index
    is_video = packet.stream.type == "video"
    lag = 0 if packet.dts is None or packet.pts is None else packet.pts - packet.dts
    decoded = time - float(lag * packet.time_base)
    # By decoding time, so that the last frames have what they refer to; and then no frame between those is left out.
    shown = cut.shown.get(index, -math.inf)
    if decoded >= cut.end - SAME_TIME and time > shown:
        if decoded > shown:
            cut.passed.add(index)
        return
    if (
        time < (cut.start if cut.origin is None else cut.origin) - SAME_TIME
    ):  # also frames before the keyframe that refer to what lies before it
        return
    if is_video and index not in cut.last_dts and not packet.is_keyframe:
        return
    if cut.output is None:
        open_output(cut, streams)
    if cut.origin is None:
        cut.origin = time
    cut.first = time if cut.first is None else min(cut.first, time)
    cut.last = max(cut.last, time + float((packet.duration or 0) * packet.time_base))
    cut.shown[index] = max(shown, time)
    copy_packet(cut, packet, pts=time - cut.origin, dts=decoded - cut.origin)


def copy_packet(cut: Cut, packet: "Packet[Any]", *, pts: float, dts: float) -> None:
    """Write a packet with times in seconds from the clip's start; the packet is left as it was."""
    assert cut.output is not None
    index = packet.stream.index
    target = cut.streams[index]
    tick = target.time_base
    assert tick is not None
    kept = packet.stream, packet.time_base, packet.pts, packet.dts, packet.duration
    # Decoding times must rise tick by tick in the output, whatever they do in a damaged source.
    ticks = round(dts / tick)
    ticks = max(ticks, cut.last_dts.get(index, ticks - 1) + 1)
    cut.last_dts[index] = ticks
    packet.stream, packet.time_base = target, tick
    packet.dts, packet.pts = ticks, max(round(pts / tick), ticks)
    packet.duration = round((kept[4] or 0) * kept[1] / tick)
    cut.output.mux(packet)
    packet.stream, packet.time_base, packet.pts, packet.dts, packet.duration = kept


def open_output(cut: Cut, streams: Sequence["Stream"]) -> None:
    import av

    suffix = cut.path.suffix
    names = {".mp4": "mp4", ".m4a": "mp4", ".webm": "webm", ".mkv": "matroska", ".mka": "matroska"}
    options = {"movflags": "+faststart"} if names[suffix] == "mp4" else {}
    cut.output = av.open(str(cut.temporary), "w", format=names[suffix], options=options)
    for stream in streams:
        copy: Any = cut.output.add_stream_from_template(stream, opaque=True)
        if names[suffix] == "mp4" and codec_name(stream) == "hevc":
            copy.codec_context.codec_tag = "hvc1"  # the other tag, hev1, does not play on Apple's systems
        cut.streams[stream.index] = copy
    cut.output.start_encoding()  # the container now fixes its streams' time bases


def done(cut: Cut, time: float, streams: Sequence["Stream"]) -> bool:
    """Whether nothing more of a cut can come."""
    return len(cut.passed) == len(streams) or time > cut.end + INTERLEAVING


def finished(cut: Cut) -> Clip | None:
    """Put a cut in its place; None where the source ends before its start."""
    if cut.output is None or cut.first is None:
        return None
    cut.output.close()
    cut.output = None
    if cut.last <= cut.start + SAME_TIME:  # nothing but what led up to it
        return None
    cut.temporary.replace(cut.path)
    return Clip(cut.path, cut.first, cut.last)
