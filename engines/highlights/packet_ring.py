"""The latest packets of a stream that is read once, kept while a highlight may still need them.

A stream's packets pass by on one thread, and clips are cut on another. What is kept are copies: the originals belong
to decoders, and to containers that close with their connections.
"""

import math
import threading
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kuaihl.engines.highlights.cutting_points import CuttingPoints, Survey
from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.types import SAME_TIME, Event

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

MOST_BYTES = 256 << 20  # of packets held at once; the oldest go first
_SETTLED = 1.0  # seconds that each stream must be past the end of a span: its packets are then all here
_LAG = 5.0  # seconds by which one stream may trail the other before it is no longer waited for
_MOST_MODELS = 16  # streams whose models are kept for packets that are still on their way


class StreamModels:
    """A stand-in for each stream that outlives its container."""

    def __init__(self) -> None:
        self._models: dict[Stream, Stream] = {}

    def noting(self, stream: Iterator[TimedPacket | Event]) -> Iterator[TimedPacket | Event]:
        """The same items; models are made as streams show up. To be run on the thread that reads the container."""
        for item in stream:
            if isinstance(item, TimedPacket) and item.packet.stream not in self._models:
                self._models[item.packet.stream] = _model_of(item.packet.stream)
                while len(self._models) > _MOST_MODELS:
                    self._models.pop(next(iter(self._models)), None)
            yield item

    def copy(self, packet: "Packet[Any]") -> "Packet[Any] | None":
        """A copy that needs neither the packet nor its container; None if its stream was not noted."""
        import av

        model = self._models.get(packet.stream)
        if model is None:
            return None
        copy: Any = av.Packet(bytes(packet))
        copy.stream, copy.time_base = model, packet.time_base
        copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
        copy.is_keyframe = packet.is_keyframe
        if packet.has_sidedata("new_extradata"):
            copy.set_sidedata(packet.get_sidedata("new_extradata"))
        return copy  # type: ignore[no-any-return]


def _model_of(stream: "Stream") -> "Stream":
    """A stream of the same coding in a container that is never written nor closed."""
    import av

    return av.open("-", "w", format="null").add_stream_from_template(stream, opaque=True)


@dataclass(frozen=True)
class Taken:
    """The packets that a span may need, and where they can be cut."""

    packets: list[TimedPacket]
    points: CuttingPoints
    first: float  # the earliest time that is held, in seconds of the run's clock; infinite if nothing is
    began: float  # the time of the first packet that ever passed; infinite if none did


class PacketRing:
    """Packets on the run's clock, from the keyframe before the earliest time that is still needed."""

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self.models = StreamModels()
        self.most_bytes = most_bytes
        self._held: deque[TimedPacket] = deque()
        self._bytes = 0
        self._survey = Survey()
        self._reached: dict[str, float] = {}  # decode time of the latest packet, by its kind
        self._began = math.inf
        self._floor = -math.inf  # nothing before it is needed, unless it is reserved
        self._reserved: list[float] = []  # starts of spans that will be taken
        self._is_short = False  # packets that may be needed had to go
        self._ended = False
        self._changed = threading.Condition()

    def watch(self, stream: Iterator[TimedPacket | Event]) -> Iterator[TimedPacket | Event]:
        """The same items, whose packets are kept. An event is added when packets had to go for want of room."""
        try:
            for item in stream:
                shortage = self._note(item)
                yield item
                if shortage is not None:
                    yield shortage
        finally:
            self.end()

    def release(self, before: float) -> None:
        """Nothing before this time will be asked for, except what is reserved."""
        with self._changed:
            self._floor = before
            self._forget()
            if self._held and self._held[0].time <= self._needed_from() + SAME_TIME:
                self._is_short = False

    def reserve(self, start: float) -> None:
        """Keep what a span from `start` on needs until it is taken."""
        with self._changed:
            self._reserved.append(start)

    def take(self, start: float, end: float) -> Taken:
        """What a reserved span needs, once its media has passed or the stream has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._front() >= end + _SETTLED)
            self._reserved.remove(start)
            points = self._survey.points_at(math.inf if self._ended else self._front())
            points = replace(
                points,
                keyframes=array("d", points.keyframes),
                codings={kind: list(codings) for kind, codings in points.codings.items()},
                gaps=list(points.gaps),
            )
            first = min((item.time for item in self._held), default=math.inf)
            return Taken(list(self._held), points, first, self._began)

    def end(self) -> None:
        """Nothing more will pass; whoever waits takes what there is. Idempotent."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def size(self) -> int:
        """Bytes of packets that are held."""
        return self._bytes

    def _note(self, item: TimedPacket | Event) -> Event | None:
        if isinstance(item, TimedPacket):
            copy = self.models.copy(item.packet)
            if copy is None:
                return None
            item = item._replace(packet=copy)
        with self._changed:
            self._survey.note(item)
            if isinstance(item, Event):
                return None
            self._began = min(self._began, item.time)
            self._reached[item.kind] = item.decode_time
            self._held.append(item)
            self._bytes += item.packet.size
            if item.keyframe:
                self._forget()
            shortage = self._make_room(item.time)
            self._changed.notify_all()
            return shortage

    def _front(self) -> float:
        """The time up to which every stream is complete, if it does not trail too far behind."""
        latest = max(self._reached.values(), default=-math.inf)
        return min((at for at in self._reached.values() if at >= latest - _LAG), default=-math.inf)

    def _needed_from(self) -> float:
        return min([self._floor, *self._reserved])

    def _forget(self) -> None:
        """Drop what lies before the keyframe at or before the earliest time that is needed."""
        floor = self._needed_from()
        keyframes = self._survey.points.keyframes
        index = bisect_right(keyframes, floor + SAME_TIME) - 1
        origin = keyframes[index] if index >= 0 else floor
        while self._held and self._held[0].time < origin - SAME_TIME:
            self._drop_first()
        self._survey.forget(origin)

    def _make_room(self, time: float) -> Event | None:
        """Drop the oldest packets if there are too many; an event if that is the first loss since all was held."""
        if self._bytes <= self.most_bytes:
            return None
        while self._bytes > self.most_bytes:
            self._drop_first()
        if self._is_short:
            return None
        self._is_short = True
        detail = f"more than {self.most_bytes >> 20} MB of media wait for a clip; the oldest were dropped"
        return Event("overload", time, detail)

    def _drop_first(self) -> None:
        item = self._held.popleft()
        self._bytes -= item.packet.size
        if item.keyframe:
            keyframes = self._survey.points.keyframes
            del keyframes[: bisect_right(keyframes, item.time)]
