"""The faults of a recording that was read all the same, in a few lines: how an archive shows which to look at."""

from collections.abc import Iterable

from kuaihl.engines.types import Event

CUT_OFF = "cut off or damaged"  # how the detail of an event ends that says so
READING_FAILED = "reading failed: "  # how the detail of an `eof` begins that is none


def warnings_of(events: Iterable[Event]) -> tuple[str, ...]:
    """One line per kind of loss: the first event of it, and how many more there are."""
    losses: dict[str, list[Event]] = {}
    for event in events:
        if (kind := _kind_of_loss(event)) is not None:
            losses.setdefault(kind, []).append(event)
    return tuple(_words_for(kind, same) for kind, same in losses.items())


def _kind_of_loss(event: Event) -> str | None:
    """What a person would call the loss of media behind an event; None if none is."""
    if event.detail.endswith(CUT_OFF) or (event.kind == "eof" and event.detail.startswith(READING_FAILED)):
        return "cut off"
    return event.kind if event.kind in ("gap", "corrupt", "comments") else None


def _words_for(kind: str, events: list[Event]) -> str:
    """`corrupt at 12.4 s: damaged video, and 3 more`."""
    more = f", and {len(events) - 1} more" if len(events) > 1 else ""
    return f"{kind} at {events[0].time:.1f} s: {events[0].detail}{more}"
