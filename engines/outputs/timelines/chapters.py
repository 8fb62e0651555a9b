"""A recording in chapters: each highlight is one, and so is what lies between two of them."""

from dataclasses import dataclass

from kuaihl.engines.outputs.timelines.timeline import Timeline

_BETWEEN = "…"  # the title of what is no highlight
_LEAST = 1.0  # seconds: a shorter rest belongs to the chapter before it


@dataclass(frozen=True)
class Chapter:
    """A chapter in seconds from the recording's first time stamp."""

    start: float
    end: float
    title: str


def chapters_of(timeline: Timeline, least: float = _LEAST) -> list[Chapter]:
    """The chapters from 0 to the recording's end without a hole, none shorter than `least` seconds.

    A highlight that overlaps an earlier one begins where that ends. It has no chapter if less than `least` is left.
    """
    begun: list[tuple[float, str]] = []
    at = 0.0  # the end of the chapters so far
    for cut in timeline.cuts:
        begin = max(cut.start, at)
        if (cut.start < at and cut.end - at < least) or begin + least > timeline.duration:
            continue
        if begin - at >= least:
            begun.append((at, _BETWEEN))
        elif not begun:
            begin = 0.0
        begun.append((begin, cut.headline))
        at = max(cut.end, begin + least)
    if timeline.duration - at >= least or not begun:
        begun.append((at, _BETWEEN))
    ends = [start for start, _ in begun[1:]] + [timeline.duration]
    return [Chapter(start, end, title) for (start, title), end in zip(begun, ends, strict=True)]
