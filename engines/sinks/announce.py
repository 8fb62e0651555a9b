"""The events of a run for other programs: the same segments always give the same events.

So a run that goes on leads the announcer through its earlier segments, and each sink leaves out what it was told.
"""

import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.engines.sinks.cloud_event import CloudEvent, Kind
from kuaihl.engines.sinks.happened import Happened
from kuaihl.engines.types import ScoredSegment
from kuaihl.models.credentials import shown_source

_BULKY = ("sentences", "keyframes", "events")  # of a line of scores.jsonl: events have events of their own


class Announcer:
    """Tells `tell` what happens in a room, in order."""

    def __init__(self, room: str, source: str, tell: Callable[[CloudEvent], None]) -> None:
        """`source` is shown without its credentials."""
        self._room, self._source, self._tell = room, shown_source(source), tell
        self._run = ""  # named by the moment of its first segment, which its file of scores keeps
        self._last: ScoredSegment | None = None
        self._segments = 0

    def segment(self, scored: ScoredSegment, happened: Sequence[Happened]) -> None:
        """A segment was scored, and this happened in it."""
        self._run = self._run or _stamp(scored.wall_time)
        score, *others = happened
        data = {name: value for name, value in score.line.items() if name not in _BULKY}
        self._send(score.kind, ("segment", scored.segment, _ms(scored.end)), scored, data)
        self._changed(scored, others)
        self._last = scored
        self._segments += 1

    def ended(self, happened: Sequence[Happened]) -> None:
        """The media is over, which closed or dropped an open highlight."""
        if self._last is not None:
            self._changed(self._last, happened)

    def finished(self, document: HighlightsDocument, folder: str | None) -> None:
        """The run is over; nothing is told of one without a segment."""
        if self._last is None:
            return
        data = {
            "segments": self._segments,
            "duration": document["duration"],
            "complete": document["complete"],
            "why": document.get("why"),
            "highlights": document["highlights"],
            "folder": folder,
        }
        words = "complete" if document["complete"] else "incomplete"
        self._send("run.finished", ("run", _ms(self._last.end), words), self._last, data, at=time.time())

    def _changed(self, scored: ScoredSegment, happened: Sequence[Happened]) -> None:
        for place, (kind, line) in enumerate(happened):
            data = {name: value for name, value in line.items() if name not in ("wall_time", "kind")}
            if kind == "stream.event":
                data = {"kind": line["kind"]} | data
                self._send(kind, ("event", scored.segment, line["kind"], place, _ms(line["time"])), scored, data)
            else:
                times = [_ms(line[name]) for name in ("start", "end") if name in line]
                self._send(kind, (kind.replace(".", "-"), *times), scored, data)

    def _send(
        self,
        kind: Kind,
        words: tuple[str | int, ...],
        scored: ScoredSegment,
        data: dict[str, Any],
        at: float | None = None,
    ) -> None:
        # No dot: receivers of signed webhooks join the id to other parts by one.
        room = re.sub(r"[^A-Za-z0-9_-]+", "-", self._room)
        subjects = {"segment": f"segment/{scored.segment}", "stream": f"segment/{scored.segment}", "run": "run"}
        self._tell(
            CloudEvent(
                kind=kind,
                id="-".join(map(str, (room, self._run, *words))),
                room=self._room,
                subject=subjects.get(kind.partition(".")[0]) or f"highlight/{_ms(data['start'])}",
                time=scored.wall_time if at is None else at,
                run=self._run,
                segment=scored.segment,
                data={"room": self._room, "source": self._source, "run": self._run} | data,
            )
        )


def _stamp(seconds: float) -> str:
    """`20260101T201530250Z`: a moment that reads as one, without a dot or a colon."""
    moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return f"{moment}{_ms(seconds) % 1000:03d}Z"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
