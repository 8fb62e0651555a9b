"""Time stamps that stand still, as of recorders that write 0 into every packet: the media tell the time instead.

Sound counts its own samples, and a picture is shown with the sound around it in the file. Without sound, the declared
frame rate decides. It says nothing of the slices of one picture, so pictures may share a stamp for a while.
"""

from typing import TYPE_CHECKING, Any

from kuaihl.engines.ingest.container import replaced_by

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

_STANDING_SECONDS = 0.9  # of media under one stamp, to be reported; a second would look like missing media …
_STANDING_PACKETS = 3  # … of more packets than this
_INTERLEAVED_PACKETS = 50  # pictures between two sounds: with more, the sound has ended
_UNTOLD_PACKETS = 100  # under one stamp, while nothing tells how long they last: more than a picture has slices
_LONGEST_STEP, _SHORTEST_STEP = 10.0, 1 / 300  # seconds per frame that are believed


class TimeUnknown(Exception):
    """The time stamps stand still, and nothing else tells the time."""


class StandingStamps:
    """The packets of all streams of a source, in order; those without a time of their own are given one."""

    def __init__(self) -> None:
        self.heard = 0.0  # seconds of sound so far
        self.streams: dict[Stream, _Counted] = {}

    def correct(self, packet: "Packet[Any]") -> bool:
        """Stamp the packet if its stream's stamps stand still; returns whether that is now certain.

        Raises TimeUnknown if its time cannot be told.
        """
        stream = packet.stream
        counted = self.streams.get(stream)
        if counted is None:
            for one in replaced_by(stream, self.streams):
                del self.streams[one]
            counted = self.streams[stream] = _Counted(stream)
        step = counted.step or (packet.duration or 0) * counted.tick
        if stream.type == "audio":
            self.heard += step
        stamp = packet.dts
        if stamp is None or stamp != counted.stamp:
            counted.begin(stamp, self.heard)
            return False
        counted.repeats += 1
        if self.heard > counted.heard_at:
            counted.shown += self.heard - counted.heard_at
            counted.heard_at, counted.unheard, counted.told = self.heard, 0, True
        else:
            counted.unheard += 1
            if not counted.told or counted.unheard > _INTERLEAVED_PACKETS:
                counted.shown += step
            if not step and counted.unheard >= _UNTOLD_PACKETS:
                raise TimeUnknown
        began = False
        if not counted.stands and counted.shown > _STANDING_SECONDS and counted.repeats > _STANDING_PACKETS:
            counted.stands = began = True
        if counted.stands or counted.told:
            later = round(counted.shown / counted.tick)
            packet.dts = stamp + later
            if packet.pts is not None:
                packet.pts += later
        return began


class _Counted:
    """A stream since its stamp moved last; times in seconds."""

    __slots__ = ("heard_at", "repeats", "shown", "stamp", "stands", "step", "tick", "told", "unheard")

    def __init__(self, stream: "Stream") -> None:
        self.tick = float(stream.time_base or 1)
        self.step = _frame_seconds(stream)
        self.begin(None, 0.0)

    def begin(self, stamp: int | None, heard: float) -> None:
        self.stamp = stamp
        self.heard_at = heard  # the sound that had come with its latest packet
        self.shown = 0.0  # for how long it has lasted
        self.repeats = self.unheard = 0  # packets; those since the latest sound
        self.stands = self.told = False  # told: sound has been heard meanwhile


def _frame_seconds(stream: Any) -> float:
    """How long a packet lasts according to its decoder's header or the container; 0.0 if they do not say."""
    if stream.type == "audio":
        context = stream.codec_context
        return float(context.frame_size / context.sample_rate) if context.frame_size and context.sample_rate else 0.0
    rate = stream.average_rate
    step = float(1 / rate) if rate else 0.0
    return step if _SHORTEST_STEP <= step <= _LONGEST_STEP else 0.0
