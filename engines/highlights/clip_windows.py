"""The packets of each highlight, held until it is known how its clip is cut: so a recording is read once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

from kuaihl.engines.highlights.cutting_points import INTERLEAVING, PAUSE, CuttingPoints, Survey
from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.types import SAME_TIME, Event, Highlight

MOST_BYTES = 128 << 20  # of packets held at once; a clip that needs more is cut in a second reading


@dataclass
class _Held:
    """Packets, unless they are too many to hold."""

    packets: list[TimedPacket] | None = field(default_factory=list)
    size: int = 0  # bytes

    def add(self, item: TimedPacket) -> None:
        if self.packets is not None:
            self.packets.append(item)
            self.size += item.packet.size

    def drop(self) -> None:
        self.packets, self.size = None, 0


@dataclass
class Window:
    """What is known of a highlight once its media has passed."""

    index: int  # of the highlight
    highlight: Highlight
    points: CuttingPoints = field(default_factory=CuttingPoints)
    held: _Held = field(default_factory=_Held)

    @property
    def packets(self) -> list[TimedPacket] | None:
        """Those from the keyframe at or before its start on; None if they are too many to hold."""
        return self.held.packets


def read_windows(stream: Iterable[TimedPacket | Event], highlights: Sequence[Highlight]) -> Iterator[Window]:
    """A window per highlight, in order of their ends. Reads no further than the last one needs."""
    waiting = sorted((Window(index, one) for index, one in enumerate(highlights)), key=lambda one: one.highlight.start)
    opened: list[Window] = []
    survey, recent = Survey(), _Held()  # the group of pictures that is passing
    for item in stream:
        survey.note(item)
        if isinstance(item, Event):
            continue
        while waiting and item.time > waiting[0].highlight.start + SAME_TIME:
            opened.append(_open(waiting.pop(0), recent))
        if waiting:
            recent = _pass_on(recent, item)
        if opened:
            for window in opened:
                if item.time <= window.highlight.end + INTERLEAVING:
                    window.held.add(item)
            if sum(window.held.size for window in opened) > MOST_BYTES:
                max(opened, key=lambda window: window.held.size).held.drop()
            # Only so late is it known whether a stream pauses.
            for window in [one for one in opened if item.time > one.highlight.end + INTERLEAVING + PAUSE]:
                opened.remove(window)
                window.points = survey.points_at(item.time)
                yield window
        if not waiting and not opened:
            return
    for window in [*opened, *(_open(one, recent) for one in waiting)]:
        window.points = survey.points_at(inf)
        yield window


def _open(window: Window, recent: _Held) -> Window:
    window.held = _Held(None if recent.packets is None else list(recent.packets), recent.size)
    return window


def _pass_on(recent: _Held, item: TimedPacket) -> _Held:
    """What is held for a highlight that begins next: from the latest keyframe on, or some seconds of sound."""
    packets = recent.packets
    floor = -inf
    if item.keyframe:
        floor = item.time  # sound of that time may have come before
    elif packets and packets[0].kind == "audio" and item.time > packets[0].time + 2 * INTERLEAVING:
        floor = item.time - INTERLEAVING
    if floor > -inf:
        kept = [one for one in packets or () if one.time >= floor - SAME_TIME]
        recent = _Held(kept, sum(one.packet.size for one in kept))
    recent.add(item)
    if recent.size > MOST_BYTES:
        recent.drop()
    return recent
