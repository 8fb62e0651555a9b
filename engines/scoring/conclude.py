"""The end of every run: scored segments and the run's record in, highlights and the files made from them out.

It needs no model, so a run folder's highlights can be made again, or an interrupted run's for the first time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kuaihl.engines.archive.names import source_stem
from kuaihl.engines.highlights.choose import choose_highlights
from kuaihl.engines.highlights.clip_style import style_entries
from kuaihl.engines.highlights.clips import Clip, FailedClip, cut_clips
from kuaihl.engines.highlights.live_clips import LiveClip, find_live_clip
from kuaihl.engines.highlights.offline import chosen_from
from kuaihl.engines.outputs.formats import parse_formats, remarks, write_formats
from kuaihl.engines.outputs.highlights_json import (
    TIME_DECIMALS,
    HighlightsDocument,
    Report,
    Setting,
    build_document,
    write_highlights,
)
from kuaihl.engines.outputs.run_folder import CLIPS_FOLDER, HIGHLIGHTS_FILE, PLOT_FILE, make_folder
from kuaihl.engines.outputs.run_record import RunRecord, choice_entries, find_media
from kuaihl.engines.outputs.timecode import format_timecode
from kuaihl.engines.outputs.timelines.timeline import Timeline, build_timeline
from kuaihl.engines.scoring.settings import Products
from kuaihl.engines.types import Highlight, ScoredSegment
from kuaihl.models.atomic import remove_torn
from kuaihl.models.errors import BatchError, KuaihlError

Span = tuple[float, float]  # start and end in seconds, as in highlights.json


@dataclass(frozen=True)
class ScoreResult:
    """A scored source: all segments, and the highlights in order of time."""

    segments: tuple[ScoredSegment, ...]
    highlights: tuple[Highlight, ...]
    complete: bool  # whether the source was read to an end that its container or protocol vouches for
    document: HighlightsDocument  # the content of highlights.json
    output: Path | None = None  # the run folder, if one was written
    clips: tuple[Clip | None, ...] = ()  # one per highlight if clips were wanted; None for one that could not be cut
    failed_clips: tuple[str, ...] = ()  # why, in one line for each of those
    tried_clips: int = 0  # how many were wanted; of a stream also those of highlights that are none with hindsight
    why: str | None = None  # it is not complete

    def check_clips(self) -> None:
        """Raise BatchError if a clip could not be cut; everything else has been written."""
        if self.failed_clips:
            count, (first, *_) = len(self.failed_clips), self.failed_clips
            raise BatchError(
                f"{self.document['source']}: {count} of {self.tried_clips} clips could not be cut; {first}; "
                f"{HIGHLIGHTS_FILE} has all highlights"
            )


@dataclass(frozen=True)
class ScoredSource:
    """What is known of a source when its scoring ends."""

    record: RunRecord
    segments: Sequence[ScoredSegment]
    why: str | None  # it was not read to its end; None if it was
    clips: Mapping[Span, Clip] = field(default_factory=dict)  # of an earlier choice, and still there
    live_clips: Sequence[LiveClip] = ()  # cut while the stream ran
    is_cut_live: bool = False  # it was a stream: no other clips can be cut
    on_run_clock: bool = False  # the record's media is not what was scored: its time stamps are taken as the run's

    @property
    def name(self) -> str:
        """The name of its clips and its plot."""
        return source_stem(self.record.source.name)


def conclude(
    source: ScoredSource,
    products: Products,
    *,
    media: str,
    folder: Path | None,
    report: Callable[[str], None],
) -> ScoreResult:
    """Choose the highlights, and write what is wanted into `folder`, if any; highlights.json is last.

    `media` is the recording, for clips and for a report's player. `report` receives a line per clip that could not be
    cut, and what files for editors lack. Nothing is written for a source without segments. Raises UsageError if a file
    cannot be written.
    """
    highlights = tuple(choose_highlights(source.segments, products))
    clips: Sequence[Clip | FailedClip | None] = ()
    if source.is_cut_live:
        clips = [find_live_clip(one, source.live_clips) for one in highlights]
    elif products.clips and folder is not None and highlights:
        clips = _cut_clips(highlights, products, media, folder, source, report)
    elif source.clips or source.live_clips:
        clips = [source.clips.get(_span_of(one)) or find_live_clip(one, source.live_clips) for one in highlights]
    document = describe(source, highlights, products, clips=clips, folder=folder)
    if folder is not None and source.segments:
        if products.plot:
            from kuaihl.engines.outputs.plot import plot_scores

            plot_scores(source.segments, highlights, folder / PLOT_FILE, title=source.name)
        if products.report:
            from kuaihl.engines.outputs.report.write import write_report

            found = find_media(folder, media, source.record)
            rate = None if source.record.media is None else source.record.media.rate
            write_report(folder, document, source.segments, products, found, rate)
        formats = parse_formats(products.formats)
        timeline = _timeline_of(source, document)
        for line in remarks(document, formats, timeline):
            report(line)
        write_formats(document, formats, folder, timeline)
        write_highlights(folder / HIGHLIGHTS_FILE, document)
    tried = [one.clip for one in source.live_clips] if source.is_cut_live else clips
    return ScoreResult(
        tuple(source.segments),
        highlights,
        source.why is None,
        document,
        folder,
        clips=tuple(one if isinstance(one, Clip) else None for one in clips),
        failed_clips=tuple(one.reason for one in tried if isinstance(one, FailedClip)),
        tried_clips=len(tried),
        why=source.why,
    )


def _timeline_of(source: ScoredSource, document: HighlightsDocument) -> Timeline:
    """The highlights in the recording. A stream leaves none: the run's clock is all that its times can follow."""
    record = source.record
    on_run_clock = source.on_run_clock or record.source.size is None
    return build_timeline(document, record.media, source.name, on_run_clock=on_run_clock)


def describe(
    source: ScoredSource,
    highlights: Sequence[Highlight],
    products: Products,
    *,
    clips: Sequence[Clip | FailedClip | None] = (),
    folder: Path | None = None,
    with_events: bool = True,
) -> HighlightsDocument:
    """The content of highlights.json."""
    record, segments = source.record, source.segments
    return build_document(
        Report(
            source=record.source.name,
            duration=segments[-1].end if segments else 0.0,
            why=source.why,
            model=record.bundle,
            model_sha256=record.bundle_sha256,
            highlights=highlights,
            chosen_from=chosen_from(segments),
            clips=clips,
            live_clips=source.live_clips,
            folder=folder or Path(),
            settings=_settings_in_force(record, products),
            events=[event for scored in segments for event in scored.events] if with_events else [],
        )
    )


def _settings_in_force(record: RunRecord, products: Products) -> dict[str, Setting]:
    asked, ran = record.options, record.execution
    return {
        "segment_seconds": asked.get("segment_seconds"),
        "engine": ran.get("engine"),
        "precision": ran.get("precision"),
        "asr": ran.get("asr"),
        "language": asked.get("language"),
        "frames": asked.get("frames"),
        **choice_entries(products),
        **(style_entries(products) if products.clips else {}),
        "comments": None if record.comments is None else record.comments.name,
        "comments_offset": asked.get("comments_offset"),
        "streamer": asked.get("streamer"),
        "start": asked.get("start"),
        "end": asked.get("end"),
    }


def product_entries(products: Products) -> dict[str, Setting]:
    """The products as run.json has them."""
    return choice_entries(products) | {
        "clips": products.clips,
        **(style_entries(products) if products.clips else {}),
        "plot": products.plot,
        "report": products.report,
        "formats": products.formats,
    }


def _cut_clips(
    highlights: Sequence[Highlight],
    products: Products,
    media: str,
    folder: Path,
    source: ScoredSource,
    report: Callable[[str], None],
) -> list[Clip | FailedClip]:
    """One clip per highlight; `report` receives a line for each that could not be cut, and if no captions are known."""
    clips: list[Clip | FailedClip]
    try:
        make_folder(folder / CLIPS_FOLDER)
        remove_torn(folder / CLIPS_FOLDER)
        clips = cut_clips(
            media,
            highlights,
            folder / CLIPS_FOLDER,
            source.name,
            style=products,
            scored=source.segments,
            seek=not source.on_run_clock,
        )
    except KuaihlError as error:
        clips = [FailedClip(str(error))] * len(highlights)
    if products.captions and not any(one.text for one in source.segments):
        report("clips have no captions: no speech was transcribed")
    for highlight, clip in zip(highlights, clips, strict=True):
        if isinstance(clip, FailedClip):
            report(clip_line(highlight, clip.reason))
    return clips


def clip_line(highlight: Highlight, said: str) -> str:
    """What came of a highlight's clip, in one line."""
    return f"clip of {format_timecode(highlight.start)}–{format_timecode(highlight.end)}: {said}"


def _span_of(highlight: Highlight) -> Span:
    return round(highlight.start, TIME_DECIMALS), round(highlight.end, TIME_DECIMALS)
