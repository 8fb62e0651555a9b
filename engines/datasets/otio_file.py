"""OpenTimelineIO's JSON: the clips of a timeline, wherever they are nested.

It is read here and not by OpenTimelineIO's own library, which a damaged file can crash.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kuaihl.models.json_text import parse_json

_MEDIA = "DEFAULT_MEDIA"  # the key of a clip's media reference, unless it names another


@dataclass(frozen=True)
class OtioClip:
    """A clip: its source range in seconds on its media's time code, or None for all of it."""

    name: str
    start: float | None
    duration: float
    media_start: float | None  # where the media begins on that time code; None if the file does not say
    source: str  # the media's address, "" if there is none


def read_clips(text: str) -> Iterator[OtioClip]:
    """The clips of a timeline or a collection, in its order. Raises ValueError for anything else."""
    root = parse_json(text)
    if _kind(root) not in ("Timeline", "SerializableCollection", "Stack", "Track"):
        raise ValueError(f"its root is {_kind(root) or 'no object of OTIO'}")
    pending = [root]
    while pending:
        item = pending.pop()
        match _kind(item):
            case "Timeline":
                if _kind(item.get("tracks")) != "Stack":
                    raise ValueError("a timeline without tracks")
                pending.append(item["tracks"])
            case "SerializableCollection" | "Stack" | "Track" | "Sequence":
                children = item.get("children")
                if not isinstance(children, list):
                    raise ValueError(f"{_kind(item)} without children")
                pending.extend(reversed(children))
            case "Clip":
                yield _clip(item)
            case "SerializableObjectRef":
                raise ValueError("one object stands in several places; export it anew")


def _kind(item: Any) -> str:
    """The schema's name without its version; "" for what is no object of OTIO."""
    schema = item.get("OTIO_SCHEMA") if isinstance(item, dict) else None
    return schema.partition(".")[0] if isinstance(schema, str) else ""


def _clip(item: dict[str, Any]) -> OtioClip:
    media = item.get("media_reference")
    if media is None and isinstance(many := item.get("media_references"), dict):
        key = item.get("active_media_reference_key", _MEDIA)
        media = many.get(key) if isinstance(key, str) else None
    media = media if isinstance(media, dict) else {}
    available = _time_range(media.get("available_range"))
    used = _time_range(item.get("source_range")) or available
    start, duration = used or (None, 0.0)
    source = media.get("target_url")
    name = item.get("name")
    return OtioClip(
        name if isinstance(name, str) else "",
        start,
        duration,
        available[0] if available else None,
        source if isinstance(source, str) else "",
    )


def _time_range(item: Any) -> tuple[float, float] | None:
    """Start and duration in seconds; None for null."""
    if item is None:
        return None
    if _kind(item) != "TimeRange":
        raise ValueError("a range that is none")
    return _seconds(item.get("start_time")), _seconds(item.get("duration"))


def _seconds(item: Any) -> float:
    if _kind(item) != "RationalTime":
        raise ValueError("a time that is none")
    value, rate = item.get("value"), item.get("rate")
    if not isinstance(value, int | float) or not isinstance(rate, int | float):
        raise ValueError("a time without value and rate")
    try:
        return float(value) / float(rate) if rate else math.nan
    except OverflowError as error:  # an integer of hundreds of digits
        raise ValueError("a time out of all reach") from error
