"""Output files, one module per format; all are derived from the document of highlights.json.

Formats for editors also need the timeline: the highlights as spans of the recording's frames.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from kuaihl.engines.outputs import csv, srt, vtt
from kuaihl.engines.outputs.atomic import write_output
from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.engines.outputs.timelines import (
    auto_editor,
    edl,
    fcpxml,
    ffmetadata,
    losslesscut,
    otio,
    resolve,
    twitch,
    vtt_chapters,
    xmeml,
    youtube,
)
from kuaihl.engines.outputs.timelines.timeline import Timeline
from kuaihl.models.errors import UsageError


@dataclass(frozen=True)
class Format:
    """A file beside highlights.json."""

    file: str
    render: Callable[[HighlightsDocument, Timeline], str]
    needs_media: bool = False  # counts the recording's frames, or names its file
    follows_media: bool = False  # its times are those of the recording's own time stamps
    package: str = ""  # one that may not be installed


def _of_media(file: str, render: Callable[[HighlightsDocument, Timeline], str], package: str = "") -> Format:
    return Format(file, render, needs_media=True, follows_media=True, package=package)


def _of_time(file: str, render: Callable[[HighlightsDocument, Timeline], str]) -> Format:
    return Format(file, render, follows_media=True)


# By the name that users give.
FORMATS: dict[str, Format] = {
    "csv": Format("highlights.csv", lambda document, _: csv.render(document)),
    "srt": Format("highlights.srt", lambda document, _: srt.render(document)),
    "vtt": Format("highlights.vtt", lambda document, _: vtt.render(document)),
    "otio": _of_media("highlights.otio", otio.render, "opentimelineio"),
    "edl": _of_media("highlights.edl", edl.render),
    "fcpxml": _of_media("highlights.fcpxml", fcpxml.render),
    "xmeml": _of_media("highlights.xml", xmeml.render),
    "resolve": _of_media("highlights.resolve.edl", resolve.render),
    "llc": _of_media("highlights.llc", losslesscut.render),
    "llc-csv": _of_time("highlights.losslesscut.csv", losslesscut.render_csv),
    "auto-editor": _of_media("highlights.v1", auto_editor.render),
    "ffmetadata": _of_time("highlights.ffmetadata", ffmetadata.render),
    "vtt-chapters": _of_time("highlights.chapters.vtt", vtt_chapters.render),
    "youtube": _of_time("highlights.chapters.txt", youtube.render),
    "twitch": Format("highlights.twitch.csv", twitch.render),
}


def parse_formats(text: str) -> tuple[str, ...]:
    """The formats in a text such as `csv,srt`, each once, in order.

    Raises UsageError for an unknown one, and for one whose package is not installed.
    """
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"unknown; choose from {', '.join(FORMATS)}", setting="format", value=name)
        if not is_available(name):
            package = FORMATS[name].package
            raise UsageError(f"needs {package}: pip install 'kuaihl[editors]'", setting="format", value=name)
    return names


def media_formats(text: str) -> list[str]:
    """The formats in a text such as `csv,edl` that need a recording's frames. Raises UsageError as `parse_formats`."""
    return [name for name in parse_formats(text) if FORMATS[name].needs_media]


def remarks(document: HighlightsDocument, names: Iterable[str], timeline: Timeline) -> Iterator[str]:
    """What the files of these formats lack, in one line each."""
    names = list(names)
    following = [name for name in names if FORMATS[name].follows_media]
    if following and timeline.unmapped:
        counts = f"{timeline.unmapped} of {len(document['highlights'])}"
        yield (
            f"{counts} highlights are not in {', '.join(following)}: the recording's time stamps jump, so an editor "
            "finds no place for them, or two; clips are cut right"
        )
    counting = [name for name in names if FORMATS[name].needs_media and name != "llc"]
    if counting and timeline.known is not None and timeline.known.varies:
        rate = float(timeline.rate)
        yield (
            f"the recording's frame rate varies: frames in {', '.join(counting)} are counted by time, at {rate:.6g} "
            "per second"
        )
    if "youtube" in names and not youtube.has_enough(timeline):
        yield f"{FORMATS['youtube'].file} is empty: YouTube takes no fewer than {youtube.FEWEST} chapters of 10 s"


def is_available(name: str) -> bool:
    """Whether the package of a format is installed, if it needs one."""
    package = FORMATS[name].package
    return not package or find_spec(package) is not None


def write_formats(document: HighlightsDocument, names: Iterable[str], folder: Path, timeline: Timeline) -> list[Path]:
    """Write the file of each format into an existing folder; returns the files.

    Raises UsageError for a file that cannot be written, or for a format that needs the recording's unknown frames.
    """
    paths = []
    for name in names:
        paths.append(folder / FORMATS[name].file)
        write_output(paths[-1], FORMATS[name].render(document, timeline))
    return paths
