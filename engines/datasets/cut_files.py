"""A file of cuts in, the editor's kept spans out: EDL, LosslessCut, OTIO, chapters, CSV.

A new format is one reader and one line in READERS. Times are seconds on the recording's clock, from its start.
"""

import csv
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import unquote

from kuaihl.engines.datasets.otio_file import read_clips
from kuaihl.engines.datasets.view_log import LONGEST_ROOM
from kuaihl.models.errors import DataError, Remedy, UsageError, reason_of

MAX_BYTES = 16 << 20
_MAX_SPANS = 100_000


@dataclass(frozen=True)
class Span:
    """A part that was kept; `end` is None if it lasts to the next one's start, or to the recording's end."""

    start: float
    end: float | None
    name: str = ""
    source: str = ""  # the recording that it belongs to, if the file names it
    line: int = 0  # of the file, 0 if the format has none


@dataclass(frozen=True)
class MediaClock:
    """The basis for reading time codes: frames per second, 0 if unknown, and the first frame's time code."""

    rate: float = 0.0
    start: str = ""


def read_spans(file: Path, clock: MediaClock) -> list[Span]:
    """The spans of a file, by its suffix, in the order of the file.

    Raises DataError naming the line for an invalid span, UsageError if the format's package is missing.
    """
    suffix = next((suffix for suffix in READERS if file.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise DataError(f"{file}: not a file of cuts ({' '.join(READERS)})")
    spans = list(READERS[suffix](file, _read_text(file), clock))
    if not spans:
        raise DataError(f"{file}: no cuts in it")
    if len(spans) > _MAX_SPANS:
        raise DataError(f"{file}: more than {_MAX_SPANS:,} cuts")
    for span in spans:
        end = span.start if span.end is None else span.end
        if not (math.isfinite(span.start) and 0 <= span.start <= end <= LONGEST_ROOM):
            raise DataError(
                f"{_name_place(file, span.line)}: a cut from {span.start:g} to {end:g} s; "
                "it starts at 0 or later and ends after that",
                remedy=Remedy("give the time code of the recording's first frame", {"cuts_start": None}),
            )
    return spans


def _read_text(file: Path) -> str:
    """The text of a file. Raises DataError if it is not text, or is too large."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise DataError(f"{file}: more than {MAX_BYTES >> 20} MB, which is no file of cuts")
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: is not text in UTF-8") from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error})") from error


def _name_place(file: Path, line: int) -> str:
    return f"{file}, line {line}" if line else str(file)


# --- times

_TIME_CODE = re.compile(r"(\d{1,3}):(\d{1,2}):(\d{1,2})([:;])(\d{1,3})")
_CLOCK_TIME = re.compile(r"(?:(\d{1,4}):)?(\d{1,5}):(\d{1,2}(?:[.,]\d{1,9})?)")
_NTSC = 1000 / 1001
_GIVE_RATE = Remedy("give the frames per second", {"cuts_rate": None})


def time_code_seconds(text: str, rate: float) -> float:
    """Seconds of `hh:mm:ss:ff`, with `;` before the frames in drop-frame code. Raises DataError.

    Frames are counted at the rate rounded up, 30 for 29.97: without drop-frame, the code is slower than the clock.
    """
    match = _TIME_CODE.fullmatch(text)
    if match is None:
        raise DataError(f"{text!r} is not a time code, hh:mm:ss:ff")
    if not 1 <= rate <= 1000:
        raise DataError(f"{text} counts frames", remedy=_GIVE_RATE)
    hours, minutes, seconds, frames = (int(match[part]) for part in (1, 2, 3, 5))
    whole = math.ceil(rate - 0.01)
    if frames >= whole or seconds >= 60 or minutes >= 60:
        raise DataError(f"{text} is no time code at {rate:.4g} frames per second", remedy=_GIVE_RATE)
    count = ((hours * 60 + minutes) * 60 + seconds) * whole + frames
    if match[4] == ";":
        passed = hours * 60 + minutes  # at 30, two numbers per minute are left out, except in every tenth
        count -= whole // 15 * (passed - passed // 10)
        rate = whole * _NTSC
    return count / rate


def _clock_seconds(text: str, rate: float) -> float:
    """Seconds of `90`, `1:30`, `00:01:30.5` or a time code with frames. Raises DataError."""
    text = text.strip()
    if _TIME_CODE.fullmatch(text):
        return time_code_seconds(text, rate)
    match = _CLOCK_TIME.fullmatch(text)
    if match is None:
        try:
            return float(text)
        except ValueError:
            raise DataError(f"{text!r} is not a time; write 90, 1:30 or 00:01:30.5") from None
    return int(match[1] or 0) * 3600 + int(match[2]) * 60 + float(match[3].replace(",", "."))


# --- formats

_EVENT = re.compile(r"(\S+)\s+(\S+)\s+(\S+)\s+(C|D|W\d+|KB?|KO)(?:\s+\d+)?\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)")
_CLIP_NAME = re.compile(r"\*\s*(?:FROM CLIP NAME|SOURCE FILE):\s*(.+)")
_MARKER_LENGTH = re.compile(r"\|D:(\d{1,9})")


def _edl_spans(file: Path, text: str, clock: MediaClock) -> Iterator[Span]:
    """CMX 3600: the source's in and out of each event, the out exclusive; a Resolve marker is as long as its `|D:`.

    It is read here because OTIO's adapter names no line, and reads any other text as an empty list.
    """
    first = _source_start(clock)
    event: Span | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if match := _EVENT.fullmatch(line):
            if event:
                yield event
            event = None
            if match[2] in ("BL", "BLACK"):  # not from a recording
                continue
            try:
                start, end = (time_code_seconds(match[part], clock.rate) - first for part in (5, 6))
            except DataError as error:
                raise error.within(_name_place(file, number)) from error
            event = Span(start, end, line=number)
        elif event and (match := _CLIP_NAME.match(line)):
            event = Span(event.start, event.end, match[1], match[1], event.line)
        elif event and (match := _MARKER_LENGTH.search(line)):
            named = re.search(r"\|M:([^|]*)", line)
            event = Span(event.start, event.start + int(match[1]) / clock.rate, named[1].strip() if named else "",
                         event.source, event.line)  # fmt: skip
        elif re.match(r"[\d.]+\s", line):
            raise DataError(
                f"{_name_place(file, number)}: not an event of a CMX 3600 list: number, reel, track, C, 4 times"
            )
    if event:
        yield event


def _source_start(clock: MediaClock) -> float:
    """The time code of the recording's first frame, in seconds. Raises DataError."""
    try:
        return time_code_seconds(clock.start, clock.rate) if clock.start else 0.0
    except DataError as error:
        raise error.within("the recording's start") from error


def _llc_spans(file: Path, text: str, clock: MediaClock) -> Iterator[Span]:
    """LosslessCut's project: JSON5 with `cutSegments`; unselected segments and markers are left out."""
    try:
        project = json.loads(text)
    except (ValueError, RecursionError):
        project = _json5_of(file, text)
    found = project.get("cutSegments") if isinstance(project, dict) else None
    if not isinstance(found, list):
        raise DataError(f"{file}: has no cutSegments, so it is no project of LosslessCut")
    for number, one in enumerate(found, start=1):
        try:
            if one.get("selected", True) and one.get("end") is not None:  # a cut without an end is a marker
                yield Span(float(one.get("start") or 0), float(one["end"]), str(one.get("name") or ""))
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{file}: cutSegments, number {number} is not a cut ({reason_of(error)})") from error


def _json5_of(file: Path, text: str) -> Any:
    try:
        import json5
    except ImportError as error:
        raise UsageError("projects of LosslessCut need json5: pip install 'kuaihl[editors]'") from error
    try:
        return json5.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: is not JSON5 ({reason_of(error)})") from error


def _otio_spans(file: Path, text: str, clock: MediaClock) -> Iterator[Span]:
    """OpenTimelineIO: the source range of every clip, from the start of its media if the file gives it."""
    first = _source_start(clock)
    try:
        for clip in read_clips(text):
            if clip.start is None:
                raise DataError(f"{file}: clip {clip.name!r} has no source range")
            start = clip.start - (first if clip.media_start is None else clip.media_start)
            yield Span(start, start + clip.duration, clip.name, clip.source)
    except ValueError as error:
        raise DataError(f"{file}: is not a timeline of OTIO ({reason_of(error)})") from error


def _csv_spans(file: Path, text: str, clock: MediaClock) -> Iterator[Span]:
    """`start,end[,name]` per row, with or (as by LosslessCut) without a header; a row without an end is a marker."""
    lines = text.splitlines()
    delimiter = max("\t;,", key=(lines[0] if lines else "").count)
    columns = ["start", "end", "name"]
    for number, row in enumerate(csv.reader(lines, delimiter=delimiter), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#"):
            continue
        if number == 1 and "start" in (named := [cell.lower() for cell in cells]):
            columns = named
            continue
        said = dict(zip(columns, cells, strict=False))
        try:
            start = _clock_seconds(said.get("start") or "0", clock.rate)
            if said.get("end"):
                yield Span(start, _clock_seconds(said["end"], clock.rate), said.get("name", ""), line=number)
        except DataError as error:
            raise error.within(_name_place(file, number)) from error


def _ffmetadata_spans(file: Path, text: str, clock: MediaClock) -> Iterator[Span]:
    """FFmpeg's metadata: its chapters."""
    if not text.startswith(";FFMETADATA"):
        raise DataError(f"{file}: does not begin with ;FFMETADATA1")
    section, begun = dict[str, str](), 0
    for number, line in enumerate([*text.splitlines(), "["], start=1):
        if line.startswith("["):
            if begun:
                yield _chapter_span(file, section, begun)
            section, begun = {}, number if line.strip().upper() == "[CHAPTER]" else 0
        elif begun and "=" in line and not line.startswith((";", "#")):
            key, _, value = line.partition("=")
            section[key.strip().lower()] = value.strip()


def _chapter_span(file: Path, section: dict[str, str], line: int) -> Span:
    try:
        over, _, under = section.get("timebase", "1/1000000000").partition("/")  # FFmpeg's default: nanoseconds
        start, end = (int(section[key]) * int(over) / int(under) for key in ("start", "end"))
        return Span(start, end, section.get("title", ""), line=line)
    except (KeyError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise DataError(f"{_name_place(file, line)}: a chapter without START, END or a TIMEBASE ({error!r})") from error


def _chapter_line_spans(file: Path, text: str, clock: MediaClock) -> Iterator[Span]:
    """`0:00 title` per line, as in YouTube's chapters: each lasts until the next begins."""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        time, _, title = line.strip().partition(" ")
        try:
            yield Span(_clock_seconds(time, clock.rate), None, title.strip(), line=number)
        except DataError as error:
            raise error.within(_name_place(file, number)) from error


READERS: dict[str, Callable[[Path, str, MediaClock], Iterator[Span]]] = {
    ".llc": _llc_spans,
    ".otio": _otio_spans,
    ".edl": _edl_spans,
    ".csv": _csv_spans,
    ".tsv": _csv_spans,
    ".ffmetadata": _ffmetadata_spans,
    ".chapters.txt": _chapter_line_spans,
}


def file_name(source: str) -> str:
    """The last part of a path or URL, on any system."""
    name = PureWindowsPath(source).name if "\\" in source else PurePosixPath(unquote(source)).name
    return name.lower()
