"""One pass over a source: compressed packets on one monotonic clock come out, and its faults as events, in order.

The clock starts at 0 and never runs backwards by more than the interleaving of the streams. Rules (DESIGN, section 3),
all on decode time stamps, which a healthy stream counts up without end:

- a jump forward of up to MAX_GAP on all streams is a `gap`: the media is missing, the clock keeps its time;
- a jump forward beyond that, or backwards, is a `rebase`: the first packet after it follows the last one before it by
  one frame's duration, and the other stream moves by the same amount;
- a jump needs two witnesses: one packet alone with an odd time is dropped as `corrupt`.
"""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from kuaihl.engines.events import Event
from kuaihl.engines.source import Source

if TYPE_CHECKING:
    from av.packet import Packet

GAP = 1.0  # seconds: a lesser step is the stream's own rhythm, where it has audio …
SPARSE_GAP = 10.0  # … and where it has video alone, for a still screen may send a frame now and then
MAX_GAP = 300.0  # seconds: beyond it a jump is a new clock rather than a pause
BACKWARDS = 1.0  # seconds: a lesser step back is a frame's reordering or an overlap
SKEW = 10.0  # seconds by which one stream may trail the other in the file


class TimedPacket(NamedTuple):
    """A compressed unit and when it is shown; times in seconds. A tuple, for there are a hundred of them a second."""

    kind: Literal["video", "audio"]
    packet: "Packet[Any]"  # packet.stream.codec_context is the decoder to use; another stream is another decoder
    time: float  # when it is shown, on the monotonic clock
    decode_time: float  # what orders it: a stream's later packets are not shown before this
    duration: float  # of its frame or frames; 0.0 where nobody knows
    keyframe: bool  # video that can be decoded without what came before it
    media_time: float  # when it is shown, on the source's own clock


def packets(
    source: Source, *, start: float = 0.0, stop: threading.Event | None = None
) -> Iterator[TimedPacket | Event]:
    """Every packet of the chosen streams; the last item is always the event `eof`, and `source.failure` tells why.

    `start`: where the clock begins, for a source that continues another. `stop`: set by another thread, ends the
    stream at the next packet. Raises nothing: read errors after the opening are the stream's end.
    """
    origin = source.origin
    end = start
    for packet in source.container.demux(source.streams):
        ticks = packet.pts if packet.dts is None else packet.dts
        if not packet.size or ticks is None:
            continue
        if stop is not None and stop.is_set():
            break
        seconds = float(packet.time_base)
        if origin is None:
            origin = ticks * seconds
        media_time = (ticks if packet.pts is None else packet.pts) * seconds
        duration = (packet.duration or 0) * seconds
        kind: Literal["video", "audio"] = "video" if packet.stream is source.video else "audio"
        timed = TimedPacket(
            kind,
            packet,
            media_time - origin + start,
            ticks * seconds - origin + start,
            duration,
            kind == "video" and packet.is_keyframe,
            media_time,
        )
        end = max(end, timed.time + duration)
        yield timed
    yield Event("eof", end, "end of the stream")
