"""What happens in a room, as it is told to everybody who listens, and told again from its run folder."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from kuaihl.engines.outputs.events_jsonl import DELIVERY
from kuaihl.engines.outputs.json_lines import read_objects
from kuaihl.engines.outputs.run_folder import EVENTS_FILE, SCORES_FILE
from kuaihl.engines.sinks.cloud_event import Kind
from kuaihl.engines.sinks.happened import Happened, of_line

_END = 1 << 30  # the number of a run's end, behind all events of its last segment


class Place(NamedTuple):
    """An event's place in a broadcast: places grow with time."""

    segment: int
    number: int  # 0 is the segment's score


@dataclass(frozen=True)
class RoomEvent:
    """One thing that happened in a room."""

    room: str
    broadcast: str  # the name of its run folder
    place: Place
    kind: Kind
    words: str = field(compare=False)  # its data, as JSON: thousands are kept, and objects take three times as much

    @property
    def id(self) -> str:
        """Unique within the room: `20260101T201530Z/12/0`."""
        return f"{self.broadcast}/{self.place.segment}/{self.place.number}"

    @property
    def data(self) -> dict[str, Any]:
        """As scores.jsonl or events.jsonl has it."""
        data: dict[str, Any] = json.loads(self.words)
        return data

    def to_json(self) -> str:
        """The event with its data, on one line."""
        about = {"id": self.id, "room": self.room, "broadcast": self.broadcast, "kind": self.kind}
        return f'{json.dumps(about, ensure_ascii=False)[:-1]}, "data": {self.words}}}'


def parse_id(text: str) -> tuple[str, Place] | None:
    """The broadcast and the place of an event's id; None for any other text."""
    broadcast, *place = text.split("/")
    if len(place) != 2 or not all(part.isdecimal() and part.isascii() and len(part) < 12 for part in place):
        return None
    return broadcast, Place(int(place[0]), int(place[1]))


def events_of(
    room: str, broadcast: str, segment: int, happened: Iterable[Happened], first: int = 0
) -> Iterator[RoomEvent]:
    """The events of a segment in order, of which the first has the number `first`."""
    for number, (kind, line) in enumerate(happened, start=first):
        yield RoomEvent(room, broadcast, Place(segment, number), kind, _words(line))


def end_of(room: str, broadcast: str, segment: int, data: dict[str, Any]) -> RoomEvent:
    """The end of a run whose last segment is `segment`."""
    return RoomEvent(room, broadcast, Place(segment, _END), "run.finished", _words(data))


def broadcasts_since(room: Path, present: Path | None, name: str) -> list[Path]:
    """The run folders in that of a `room`, from the broadcast `name` to the `present` one; it alone if that is gone.

    A room that was added anew has no present one until its stream is on air.
    """
    present_ones = [] if present is None else [present]
    earlier = [one for one in sorted(room.glob("*")) if one.is_dir() and one not in present_ones and name <= one.name]
    return [*earlier, *present_ones] if earlier and earlier[0].name == name else present_ones


def _words(line: dict[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False)


def recorded_events(folder: Path, room: str, after: Place | None = None) -> Iterator[RoomEvent]:
    """The events of a run folder behind a place; a line that is being written is left out."""
    others: dict[int, list[Happened]] = {}
    for line in read_objects(folder / EVENTS_FILE):
        if line["kind"] != DELIVERY:  # it says how others were told, and was not told
            others.setdefault(line["segment"], []).append(of_line(line))
    for score in read_objects(folder / SCORES_FILE):
        segment = score["segment"]
        happened = (Happened("segment.scored", score), *others.get(segment, ()))
        events = events_of(room, folder.name, segment, happened)
        yield from (event for event in events if after is None or event.place > after)


def recorded_scores(folder: Path, after: int, most: int) -> list[dict[str, Any]]:
    """The first `most` lines of scores.jsonl behind a segment."""
    found: list[dict[str, Any]] = []
    for line in read_objects(folder / SCORES_FILE):
        if line["segment"] > after:
            found.append(line)
            if len(found) == most:
                break
    return found
