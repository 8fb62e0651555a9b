"""highlights.json: the highlights of a stream, the model and settings that found them, and faults (docs/output.md)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from kuaihl.engines.highlights.clip_writer import CutName
from kuaihl.engines.highlights.clips import Clip, FailedClip
from kuaihl.engines.highlights.live_clips import LiveClip
from kuaihl.engines.highlights.offline import rank_highlights
from kuaihl.engines.outputs.atomic import write_output
from kuaihl.engines.types import Event, Highlight
from kuaihl.models.credentials import mask_credentials, shown_source

_FORMAT_VERSION = 1
TIME_DECIMALS = 3  # media containers rarely store more
SCORE_DECIMALS = 6

Setting = str | int | float | bool | None


class ModelEntry(TypedDict):
    name: str
    sha256: str | None


class ClipEntry(TypedDict):
    """A clip: its file and that of its captions, relative to the document, its time span, and how it was cut."""

    file: str
    start: float
    end: float
    cut: NotRequired[CutName]  # documents of 0.2 lack it
    captions: NotRequired[str]


class HighlightEntry(TypedDict):
    rank: int
    start: float
    end: float
    score: float
    segments: list[int]
    text: str
    clip: NotRequired[ClipEntry]
    clip_failure: NotRequired[str]  # why there is no clip, though one was wanted


class LiveClipEntry(TypedDict):
    """A highlight that closed while the stream ran: its span, without padding, and its clip or why there is none."""

    start: float
    end: float
    score: float
    clip: NotRequired[ClipEntry]
    clip_failure: NotRequired[str]


class EventEntry(TypedDict):
    kind: str
    time: float
    detail: str
    until: NotRequired[float]  # of a gap: where the media goes on
    stamp: NotRequired[float]  # of a rebase: the source's own time there, from its first time stamp


class HighlightsDocument(TypedDict):
    """The document as stored in JSON; docs/highlights.schema.json describes it for other languages."""

    version: int
    source: str
    duration: float
    complete: bool
    why: NotRequired[str]  # it is not complete
    model: ModelEntry
    settings: dict[str, Setting]
    chosen_from: list[str]
    highlights: list[HighlightEntry]
    live_clips: NotRequired[list[LiveClipEntry]]  # of a stream, in the order in which they were cut
    events: list[EventEntry]


@dataclass(frozen=True)
class Report:
    """All that is known after a stream has been scored."""

    source: str
    duration: float  # scored seconds of the stream
    why: str | None  # why the source was not read to its end; None if it was
    model: str
    model_sha256: str | None
    highlights: Sequence[Highlight]  # in order of time
    chosen_from: Sequence[str] = ("score",)  # the network's outputs that chose them
    clips: Sequence[Clip | FailedClip | None] = ()  # one per highlight; empty if none were wanted
    live_clips: Sequence[LiveClip] = ()  # cut while the stream ran
    folder: Path = Path()  # the folder of the document; clips are named relative to it
    settings: Mapping[str, Setting] = field(default_factory=dict)
    events: Sequence[Event] = ()


def build_document(report: Report) -> HighlightsDocument:
    """The document of a report: times rounded to the millisecond, highlights in order of time, rank 1 the best."""
    entries: list[HighlightEntry] = []
    clips = report.clips or [None] * len(report.highlights)
    for rank, one, clip in zip(rank_highlights(report.highlights), report.highlights, clips, strict=True):
        entry = HighlightEntry(
            rank=rank,
            start=round(one.start, TIME_DECIMALS),
            end=round(one.end, TIME_DECIMALS),
            score=round(one.score, SCORE_DECIMALS),
            segments=list(one.segments),
            text=one.text,
        )
        if isinstance(clip, FailedClip):
            entry["clip_failure"] = clip.reason
        elif clip is not None:
            entry["clip"] = _clip_entry(clip, report.folder)
        entries.append(entry)
    document = HighlightsDocument(
        version=_FORMAT_VERSION,
        source=shown_source(report.source),
        duration=round(report.duration, TIME_DECIMALS),
        complete=report.why is None,
        model=ModelEntry(name=report.model, sha256=report.model_sha256),
        settings={
            name: mask_credentials(value) if isinstance(value, str) else value
            for name, value in report.settings.items()
        },
        chosen_from=list(report.chosen_from),
        highlights=entries,
        events=[event_entry(event) for event in report.events],
    )
    if report.live_clips:
        document["live_clips"] = [_live_clip_entry(one, report.folder) for one in report.live_clips]
    if report.why is not None:
        document["why"] = mask_credentials(report.why)
    return document


def _clip_entry(clip: Clip, folder: Path) -> ClipEntry:
    entry = ClipEntry(
        file=clip.path.relative_to(folder).as_posix(),
        start=round(clip.start, TIME_DECIMALS),
        end=round(clip.end, TIME_DECIMALS),
        cut=clip.cut,
    )
    if clip.captions is not None:
        entry["captions"] = clip.captions.relative_to(folder).as_posix()
    return entry


def _live_clip_entry(one: LiveClip, folder: Path) -> LiveClipEntry:
    entry = LiveClipEntry(
        start=round(one.start, TIME_DECIMALS),
        end=round(one.end, TIME_DECIMALS),
        score=round(one.score, SCORE_DECIMALS),
    )
    if isinstance(one.clip, FailedClip):
        entry["clip_failure"] = one.clip.reason
    else:
        entry["clip"] = _clip_entry(one.clip, folder)
    return entry


def parse_clip(entry: Mapping[str, Any], folder: Path) -> Clip | None:
    """The clip of an entry of a document in `folder`; None if its file is gone."""
    path = folder / entry["file"]
    captions = folder / entry["captions"] if "captions" in entry else None
    return Clip(path, entry["start"], entry["end"], entry.get("cut", "copy"), captions) if path.is_file() else None


def parse_live_clips(document: Mapping[str, Any], folder: Path) -> list[LiveClip]:
    """The clips that a document in `folder` says were cut while the stream ran, and that are still there."""
    clips = []
    for entry in document.get("live_clips", ()):
        clip = FailedClip(entry["clip_failure"]) if "clip_failure" in entry else parse_clip(entry["clip"], folder)
        if clip is not None:
            clips.append(LiveClip(entry["start"], entry["end"], entry["score"], clip))
    return clips


def event_entry(event: Event) -> EventEntry:
    """A fault of the stream, as stored in scores.jsonl and highlights.json."""
    detail = mask_credentials(event.detail)
    entry = EventEntry(kind=event.kind, time=round(event.time, TIME_DECIMALS), detail=detail)
    if event.until is not None:
        entry["until"] = round(event.until, TIME_DECIMALS)
    if event.stamp is not None:
        entry["stamp"] = round(event.stamp, TIME_DECIMALS)
    return entry


def to_json(document: HighlightsDocument) -> str:
    """The document as text. Raises ValueError for a number that JSON lacks."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def write_highlights(path: Path, document: HighlightsDocument) -> None:
    """Write the document; a reader sees the whole new one or the old one. Raises UsageError if it cannot be written."""
    write_output(path, to_json(document))
