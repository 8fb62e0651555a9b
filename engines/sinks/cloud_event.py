"""One event for other programs, as a CloudEvent 1.0 in structured JSON (docs/events.md)."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Kind = Literal[
    "segment.scored",
    "highlight.opened",
    "highlight.closed",
    "highlight.dropped",
    "stream.event",
    "run.finished",
]
MEDIA_TYPE = "application/cloudevents+json"

# The specification wants a domain first; the project owns none, and somebody else's would be a lie.
_PREFIX = "kuaihl."


@dataclass(frozen=True)
class CloudEvent:
    """Something that happened in a room; two events of one `id` are the same one, told twice."""

    kind: Kind
    id: str  # letters, digits, - and _; the same however often the event is told
    room: str
    subject: str  # what it is about: "segment/12", "highlight/360000", "run"
    time: float  # seconds since the epoch
    run: str  # events of a room that is scored anew have another one
    segment: int  # the segment after which it was known; never falls within a run
    data: dict[str, Any] = field(compare=False)

    @property
    def source(self) -> str:
        """The CloudEvents attribute: a URI reference."""
        from urllib.parse import quote

        return f"/kuaihl/rooms/{quote(self.room, safe='')}"

    def to_dict(self) -> dict[str, Any]:
        """The envelope and the data, fit for JSON."""
        return {
            "specversion": "1.0",
            "type": _PREFIX + self.kind,
            "source": self.source,
            "id": self.id,
            "time": rfc3339(self.time),
            "subject": self.subject,
            "datacontenttype": "application/json",
            "data": self.data,
        }

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)


def rfc3339(time: float) -> str:
    """`2026-01-01T20:15:30.250Z` for seconds since the epoch."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
