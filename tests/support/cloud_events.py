"""Events to be delivered."""

from kuaihl.engines.sinks.cloud_event import CloudEvent, Kind


def make_event(
    segment: int = 0, kind: Kind = "segment.scored", *, run: str = "r1", words: str = "", room: str = "room"
) -> CloudEvent:
    data = {"room": room, "source": "rtmp://host/live/room", "segment": segment, "text": words}
    if kind == "highlight.closed":
        data |= {"start": segment * 30.0, "end": segment * 30.0 + 60.0, "score": 0.7}
    id = f"{room}-{run}-{kind.replace('.', '-')}-{segment}"
    return CloudEvent(kind, id, room, f"segment/{segment}", 1.5, run, segment, data)
