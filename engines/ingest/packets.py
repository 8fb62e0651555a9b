"""One pass over a source: compressed packets on one monotonic clock come out, with its faults as events, in order.

The clock begins at 0; `clock.py` treats time stamps that jump or restart. A jump needs two witnesses: a single packet
with a stray time is dropped as `corrupt`. Nothing seeks, and a read error ends the stream.
"""

import errno
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from kuaihl.engines.ingest.clock import BACKWARDS, GAP, SKEW, Clock, Track
from kuaihl.engines.ingest.container import replaced_by
from kuaihl.engines.ingest.source import Source
from kuaihl.engines.ingest.standing import StandingStamps, TimeUnknown
from kuaihl.engines.types import Event
from kuaihl.engines.warnings import CUT_OFF, READING_FAILED
from kuaihl.models.errors import SourceError

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

    AnyPacket = Packet[Any]

_CUT_OFF = 2.0  # seconds that may be missing at the end before a file counts as cut off
_STANDS_STILL = "its time stamps stand still, and neither sound nor a frame rate tells the time"
_GIVE_IT_TIMES = "remux it at its frame rate, as `ffmpeg -r RATE -i IN -c copy OUT.mp4` does"
_PIPE_ENDED = "a pipe does not say whether its writer was done"
_LOST = "the connection was lost"
SILENT = "no more data came in time"
_DAMAGE_SECONDS = 1.0  # of media per event about damage, however many packets are damaged


class TimedPacket(NamedTuple):
    """A compressed unit and its times in seconds. It is a tuple, for there are a hundred of them per second."""

    kind: Literal["video", "audio"]
    packet: "AnyPacket"  # packet.stream.codec_context is the decoder to use; each stream has its own
    time: float  # when it is shown, on the monotonic clock
    decode_time: float  # packets are in its order: no later packet of the stream is shown before this
    duration: float  # of its frame or frames; 0.0 if unknown
    keyframe: bool  # video that can be decoded without earlier packets
    media_time: float  # when it is shown, on the source's own clock


class _StreamTrack:
    """A stream: its place on the clock, and its state from packet to packet."""

    __slots__ = ("codec", "header", "shown", "suspect", "tick", "track")

    def __init__(self, stream: "Stream") -> None:
        self.track = Track(stream.type)
        self.tick = float(stream.time_base or 1)  # seconds per unit of its time stamps
        self.codec = stream.codec_context.codec.canonical_name
        self.header: bytes | None = getattr(stream.codec_context, "extradata", None)
        self.shown = 0.0  # when the last of its frames ends
        self.suspect: AnyPacket | None = None  # a packet that jumped and waits for a second witness

    def time_packet(self, packet: "AnyPacket", raw: float) -> TimedPacket:
        """The packet on our clock; `raw` is its decode time on the source's clock."""
        track, tick = self.track, self.tick
        shift = track.shift
        pts = packet.pts
        media_time = raw if pts is None else pts * tick
        if not -BACKWARDS <= media_time - raw <= SKEW:
            media_time = raw  # a frame is not shown long before or after it is decoded
        duration = (packet.duration or 0) * tick
        if duration:
            track.advance(raw + shift, duration)
        else:
            track.advance_unmeasured(raw + shift, stamped=pts is not None or packet.dts is not None)
        time = media_time + shift
        if time + duration > self.shown:
            self.shown = time + duration
        if track.kind == "audio":
            return TimedPacket("audio", packet, time, raw + shift, duration, False, media_time)
        return TimedPacket("video", packet, time, raw + shift, duration, packet.is_keyframe, media_time)

    def changes_header(self, packet: "AnyPacket") -> bool:
        """Whether this packet brings a new decoder header; the container may also repeat the old one."""
        if not packet.has_sidedata("new_extradata"):
            return False
        header = bytes(packet.get_sidedata("new_extradata"))
        changed = header != self.header
        self.header = header
        return changed


@dataclass
class _Damage:
    """Reports damage in at most one event per second of media."""

    reported: float | None = None

    def report(self, time: float, detail: str) -> Iterator[Event]:
        if self.reported is None or time >= self.reported + _DAMAGE_SECONDS:
            self.reported = time
            yield Event("corrupt", time, detail)


def packets(
    source: Source, *, start: float = 0.0, stop: threading.Event | None = None, on_own_thread: bool = False
) -> Iterator[TimedPacket | Event]:
    """Every packet of the chosen streams; the last item is always the event `eof`, with the reason in `source.failure`.

    `start`: where the clock begins, for a source that continues another. `stop`: ends the stream at the next packet
    once another thread sets it. `on_own_thread`: the caller watches the thread that runs this; otherwise a network
    source is read ahead on another. A read error ends the stream. Raises SourceError if a file holds no packet, or no
    time at all.
    """
    stream_tracks: dict[Stream, _StreamTrack] = {stream: _StreamTrack(stream) for stream in source.streams}
    clock = Clock([stream_track.track for stream_track in stream_tracks.values()], source.origin, start)
    damage = _Damage()
    standing = StandingStamps()
    for packet in _receive_packets(source, stop, on_own_thread):
        if packet is None:
            yield from damage.report(clock.front(), "damaged data were skipped")
            continue
        try:
            stands_still = standing.correct(packet)
        except TimeUnknown as error:
            if clock.front() - start <= GAP and not source.is_live:
                raise SourceError(f"{source.name}: {_STANDS_STILL}; {_GIVE_IT_TIMES}") from error
            source.failure = _STANDS_STILL
            break
        if stands_still:
            clock.rebases += 1
            detail = f"the time stamps of the {packet.stream.type} stand still; its frames are counted instead"
            yield Event("rebase", clock.front(), detail)
        stream_track = stream_tracks.get(packet.stream)
        if stream_track is None:
            yield from _new_stream(packet, stream_tracks, clock)
            stream_track = stream_tracks[packet.stream]
        track = stream_track.track
        raw = _decode_time(packet, stream_track, clock)
        if stream_track.suspect is not None or not -track.backwards <= raw + track.shift - track.last <= GAP:
            yield from _judge_jump(packet, stream_track, list(stream_tracks.values()), clock, damage)
            if stream_track.suspect is packet:
                continue
        if packet.is_corrupt:
            yield from damage.report(clock.front(), f"damaged {track.kind}")
        if packet.is_keyframe and track.kind == "video" and stream_track.changes_header(packet):
            yield Event("header_change", raw + track.shift, "the header of the video changed")
        yield stream_track.time_packet(packet, raw)
    for stream_track in stream_tracks.values():
        if stream_track.suspect is not None:
            yield from damage.report(
                clock.front(), f"{stream_track.track.kind} with a time out of all order was dropped"
            )
    stopped = stop is not None and stop.is_set()
    cut_off: list[Event] = []
    if clock.begun:
        end = max(stream_track.shown for stream_track in stream_tracks.values())
        if not clock.rebases and not stopped:
            cut_off = list(_cut_off(source, end - start))
            yield from cut_off
    elif source.is_network or stopped:
        end = start
    else:
        raise SourceError(
            f"{source.name}: not a single packet could be read; {source.failure or 'the file is damaged'}"
        )
    if source.failure or stopped:
        source.shortfall = _describe_end(source, stopped)
    elif cut_off:
        source.shortfall = cut_off[0].detail
    else:
        source.shortfall = None if source.promised or not source.is_pipe else _PIPE_ENDED
    yield Event("eof", end, _describe_end(source, stopped))


def _new_stream(packet: "AnyPacket", stream_tracks: "dict[Stream, _StreamTrack]", clock: Clock) -> Iterator[Event]:
    """Add a stream that was not there at the beginning: it replaces the one of its kind, or is the first."""
    stream = packet.stream
    stream_track = _StreamTrack(stream)
    before = next((one for one in stream_tracks.values() if one.track.kind == stream.type), None)
    if before is None:
        stream_track.track.shift = clock.shared
        clock.tracks.append(stream_track.track)
    else:
        stream_track.track, stream_track.shown = before.track, before.shown
        if before.codec != stream_track.codec:
            yield Event("header_change", clock.front(), f"the {stream.type} is now {stream_track.codec}")
    stream_tracks[stream] = stream_track
    for one in replaced_by(stream, stream_tracks):
        if stream_tracks[one].suspect is None:
            del stream_tracks[one]


def _judge_jump(
    packet: "AnyPacket", stream_track: _StreamTrack, stream_tracks: list[_StreamTrack], clock: Clock, damage: _Damage
) -> Iterator[TimedPacket | Event]:
    """The items to pass on before a packet that jumps, or that comes after one that did.

    A packet that stays its stream's suspect waits for the next one, of any stream, to confirm it.
    """
    earlier, stream_track.suspect = stream_track.suspect, None
    if earlier is not None and clock.fits(stream_track.track, _decode_time(earlier, stream_track, clock)):
        yield stream_track.time_packet(
            earlier, _decode_time(earlier, stream_track, clock)
        )  # another stream has confirmed it
        earlier = None
    raw = _decode_time(packet, stream_track, clock)
    if not clock.fits(stream_track.track, raw):
        witnesses = [
            (stream_track, earlier),
            *((other, other.suspect) for other in stream_tracks if other is not stream_track),
        ]
        for other, suspect in witnesses:
            if suspect is not None and clock.agree(raw, _decode_time(suspect, other, clock)):
                other.suspect = earlier = None
                yield clock.jump(other.track, _decode_time(suspect, other, clock))
                yield other.time_packet(suspect, _decode_time(suspect, other, clock))
                break
        if not clock.fits(stream_track.track, raw):
            stream_track.suspect = packet
    if earlier is not None:
        yield from damage.report(clock.front(), f"{stream_track.track.kind} with a time out of all order was dropped")


def _decode_time(packet: "AnyPacket", stream_track: _StreamTrack, clock: Clock) -> float:
    """Seconds on the source's clock; from the place in the stream if the packet has no time stamp at all."""
    dts = packet.dts
    if dts is None:
        dts = packet.pts
        if dts is None:
            return clock.expected(stream_track.track)
    return dts * stream_track.tick


def _receive_packets(source: Source, stop: threading.Event | None, on_own_thread: bool) -> Iterator["AnyPacket | None"]:
    """The packets as they come, None for damaged data; if an error ends the stream, `source.failure` is set."""
    import av

    try:
        watched = source.is_network and not on_own_thread
        for packet in source.read_ahead(stop) if watched else source.read():
            if stop is not None and stop.is_set():
                return
            yield packet
    except av.InvalidDataError:
        source.failure = "damaged beyond reading"
    except (av.ExitError, TimeoutError):
        source.failure = SILENT
    except (av.FFmpegError, OSError) as error:
        is_lost = source.is_network and error.errno == errno.EIO  # FFmpeg's word for a server that is gone
        source.failure = _LOST if is_lost else str(getattr(error, "strerror", None) or error)


def _cut_off(source: Source, length: float) -> Iterator[Event]:
    """An event if a file ends before the end in its header: its length, or in some containers its last time."""
    promised = source.promised
    if promised is not None and max(length, length + (source.origin or 0.0)) < promised - _CUT_OFF:
        detail = f"the file ends at {length:.1f} s, its header says {promised:.1f} s: {CUT_OFF}"
        yield Event("corrupt", length, detail)


def _describe_end(source: Source, stopped: bool) -> str:
    if source.failure:
        return f"{READING_FAILED}{source.failure}"
    return "stopped" if stopped else "end of the stream"
