"""Times as people write them, to seconds and back: `90`, `1:30`, `00:01:30.5`."""

import re

import click

from kuaihl.models.errors import UsageError

# Hours, minutes and seconds; a decimal comma is what SubRip files and half the world's keyboards have.
TIMECODE = re.compile(
    r"(?:(?:(?P<hours>[0-9]{1,6}):)?(?P<minutes>[0-9]{1,6}):)?(?P<seconds>[0-9]{1,9}(?:[.,][0-9]{1,9})?)"
)


def parse_timecode(text: str) -> float:
    """Seconds that a time code stands for. Raises UsageError where it is none, or where 60 is passed below the top."""
    match = TIMECODE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a time; write 90, 1:30 or 00:01:30.5")
    hours, minutes = match["hours"], match["minutes"]
    seconds = float(match["seconds"].replace(",", "."))
    if (minutes and seconds >= 60) or (hours and int(minutes) >= 60):
        raise UsageError(f"{text!r} is not a time: minutes and seconds after a colon stay below 60")
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + seconds


class Timecode(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic from click 8.4 on
    """An option's value that is a time; reaches the command as seconds."""

    name = "time"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):  # a default, or a number in the configuration file
            return float(value)
        try:
            return parse_timecode(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)
