"""Typed times to seconds: `90`, `1:30`, `00:01:30.5`, `2s`; also the parsers for options."""

import re
from collections.abc import Callable
from typing import NamedTuple

import typer

from kuaihl.models.errors import UsageError

# Hours, minutes and seconds; SubRip files and half the world's keyboards use a decimal comma.
_TIMECODE = re.compile(
    r"(?:(?:(?P<hours>[0-9]{1,6}):)?(?P<minutes>[0-9]{1,6}):)?(?P<seconds>[0-9]{1,9}(?:[.,][0-9]{1,9})?)"
)
_WITH_UNIT = re.compile(r"(?P<number>[0-9]{1,9}(?:[.,][0-9]{1,9})?) ?(?P<unit>[smh])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class TimePair(NamedTuple):
    """Two times in seconds that one option takes."""

    first: float
    second: float


def parse_timecode(text: str) -> float:
    """The seconds of a time code. Raises UsageError if it is invalid, or if a part after a colon reaches 60."""
    if single := _WITH_UNIT.fullmatch(text.strip()):
        return float(single["number"].replace(",", ".")) * _UNITS[single["unit"]]
    match = _TIMECODE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a time; write 90, 90s, 1:30 or 00:01:30.5")
    hours, minutes = match["hours"], match["minutes"]
    seconds = float(match["seconds"].replace(",", "."))
    if (minutes and seconds >= 60) or (hours and int(minutes) >= 60):
        raise UsageError(f"{text!r} is not a time: minutes and seconds after a colon stay below 60")
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + seconds


def time_between(least: float, most: float = float("inf")) -> Callable[[str | float], float]:
    """A parser for an option that takes a time from `least` to `most` seconds; negative times if `least` is."""

    def time(value: str | float) -> float:
        seconds = _seconds_of(value, negative=least < 0)
        if not least <= seconds <= most:
            limits = f"at least {least:g} s" if most == float("inf") else f"from {least:g} s to {most:g} s"
            raise typer.BadParameter(f"{value} is not {limits}.")
        return seconds

    return time


def parse_range(value: str | TimePair) -> TimePair:
    """A parser for an option that takes a least and a most time: `10s:120s`, `10:120`, `0:10-2:00`."""
    if isinstance(value, TimePair):
        return value
    ends = value.split("-" if "-" in value else ":")
    if len(ends) != 2:
        raise typer.BadParameter(f"{value} is not a range of times; write 10s:120s or 0:10-2:00.")
    pair = TimePair(*(_seconds_of(end, negative=False) for end in ends))
    if not 0.0 < pair.second >= pair.first:
        raise typer.BadParameter(f"{value} has no length in it; write the least time first.")
    return pair


def parse_padding(value: str | float | TimePair) -> TimePair:
    """A parser for an option that takes the seconds before and after, or one time for both: `2s`, `2s,4s`."""
    if isinstance(value, TimePair):
        return value
    sides = str(value).split(",")
    if len(sides) > 2:
        raise typer.BadParameter(f"{value} is not one time, or two with a comma between; write 2s or 2s,4s.")
    before, after = (_seconds_of(side, negative=False) for side in (sides[0], sides[-1]))
    return TimePair(before, after)


def _seconds_of(value: str | float, *, negative: bool) -> float:
    """The seconds of a time code, or of a number in the configuration file. Raises BadParameter."""
    if isinstance(value, int | float):
        return float(value)
    text = value.strip()
    sign = -1.0 if negative and text.startswith("-") else 1.0
    try:
        return sign * parse_timecode(text[1:] if text[:1] in ("-", "+") and negative else text)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None
