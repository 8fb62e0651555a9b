"""One room from source to output files: what `kuaihl score` does once and every worker of `kuaihl batch` does again."""

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kuaihl.engines.archive.jobs import Room
from kuaihl.engines.archive.manifest import source_stem
from kuaihl.engines.outputs.formats import parse_formats, write_formats
from kuaihl.engines.outputs.highlights_json import HighlightsDocument, Report, build_document, write_highlights
from kuaihl.engines.outputs.scores_jsonl import ScoresWriter
from kuaihl.engines.outputs.timecode import format_timecode
from kuaihl.engines.types import Highlight, ScoredSegment
from kuaihl_cli.output_folder import CLIPS_FOLDER, HIGHLIGHTS_FILE, PLOT_FILE, SCORES_FILE, make_folder
from kuaihl_cli.settings import ScoreSettings
from kuaihl_cli.terminal.errors import worded
from kuaihl_cli.terminal.progress import Progress

if TYPE_CHECKING:
    from kuaihl.engines.encoders.profiles import Encoders
    from kuaihl.engines.highlights.clips import Clip
    from kuaihl.engines.highlights.online import HighlightEvent
    from kuaihl.engines.runtimes.runtime import Engine
    from kuaihl.engines.types import CommentFeed
    from kuaihl.models.bundle import Bundle


@dataclass(frozen=True)
class Tools:
    """What is loaded once and used for every room."""

    bundle: "Bundle"
    encoders: "Encoders"
    step: "Engine"  # the head's


@dataclass(frozen=True)
class RoomOutcome:
    """A scored room: its highlights in order of time, the document on disk, and whether the stream was heard out."""

    highlights: list[Highlight]
    document: HighlightsDocument
    complete: bool


def load_tools(settings: ScoreSettings, say: Callable[[str], None]) -> Tools:
    """Load the bundle and the encoders that it was trained on, in the engine that was asked for; `say` hears of a
    fallback to another.

    Raises UsageError for an option that cannot be, ModelError for weights or compiled files that cannot be used.
    """
    from kuaihl.engines.encoders.profiles import check_text_width, load_encoders, other_text, profile_named
    from kuaihl.engines.runtimes.choice import choose_engine
    from kuaihl.engines.runtimes.device import choose_device, set_threads
    from kuaihl.engines.scoring.scorer import open_step
    from kuaihl.models.bundle import load_bundle

    parse_formats(settings.formats)
    bundle = load_bundle(settings.model)
    device, threads = choose_device(settings.device), set_threads(settings.threads)
    open_engine = choose_engine(
        settings.engine,
        settings.precision,
        bundle,
        device=device,
        threads=threads,
        say=worded(say),
    )
    encoders = load_encoders(
        profile_named(bundle.profile),
        device=device,
        threads=threads,
        asr=settings.asr,
        whisper_model=settings.whisper_model,
        text_weights=settings.text_weights,
        open_engine=open_engine,
    )
    check_text_width(bundle, encoders.text)
    if settings.text_weights and (line := other_text(bundle, encoders.facts)):
        say(line)
    return Tools(bundle, encoders, open_step(bundle, open_engine))


def score_room(
    room: Room, tools: Tools, settings: ScoreSettings, progress: Progress, stop: threading.Event
) -> RoomOutcome:
    """Score a room and write its files; where `stop` is set, what has been scored so far is written all the same."""
    from kuaihl.engines.highlights.online import OnlineDetector
    from kuaihl.engines.ingest.source import open_source
    from kuaihl.engines.scoring.pipeline import score_source
    from kuaihl.engines.scoring.scorer import StreamingScorer
    from kuaihl.engines.segmenter.exact_frames import ExactFrames

    segment_seconds = settings.segment_seconds or tools.bundle.segment_seconds
    scorer = StreamingScorer(
        tools.bundle,
        tools.step,
        device=tools.encoders.device,
        streamer=room.streamer,
        segment_seconds=segment_seconds,
    )
    detector = OnlineDetector()
    scored: list[ScoredSegment] = []
    source = open_source(room.source, timeout=settings.timeout)
    progress.begin(source_stem(room.source), source.duration, start=settings.start, end=settings.end)
    comments = comment_feed(room, settings, progress, is_live=source.is_live)
    make_folder(room.output)
    with ExitStack() as stack:
        writer = stack.enter_context(ScoresWriter(room.output / SCORES_FILE))
        exact = stack.enter_context(ExactFrames(room.source)) if settings.frames == "exact" else None
        for one in score_source(
            source,
            tools.encoders,
            scorer,
            segment_seconds=segment_seconds,
            language=settings.language,
            comments=comments,
            exact=exact,
            start=settings.start,
            end=settings.end,
            stop=stop,
        ):
            writer.write(one)
            scored.append(one)
            progress.segment(one)
            for event in one.events:
                if event.kind != "eof":
                    progress.message(f"{format_timecode(event.time)}  {event.kind}: {event.detail}")
            for change in detector.push(one):
                progress.message(change_words(change))
        for change in detector.finish():
            progress.message(change_words(change))
    return finish_room(room, tools, settings, scored, complete=not stop.is_set())


def finish_room(
    room: Room, tools: Tools, settings: ScoreSettings, scored: Sequence[ScoredSegment], *, complete: bool
) -> RoomOutcome:
    """Find the highlights of what was scored, and write every file that was asked for; highlights.json comes last."""
    from kuaihl.engines.highlights.clips import cut_clips
    from kuaihl.engines.highlights.offline import chosen_from, find_highlights
    from kuaihl.engines.highlights.snapping import snap_highlights

    found = find_highlights(scored, top=settings.top, min_score=settings.min_score)
    highlights = snap_highlights(found, scored)
    clips: list[Clip | None] = []
    if settings.clips and highlights:
        make_folder(room.output / CLIPS_FOLDER)
        clips = cut_clips(room.source, highlights, room.output / CLIPS_FOLDER, source_stem(room.source))
    if settings.plot:
        from kuaihl.engines.outputs.plot import plot_scores

        plot_scores(scored, highlights, room.output / PLOT_FILE, title=source_stem(room.source))
    document = build_document(
        Report(
            source=room.source,
            duration=scored[-1].end if scored else 0.0,
            complete=complete,
            model=tools.bundle.name,
            model_sha256=tools.bundle.head_sha256,
            highlights=highlights,
            chosen_from=chosen_from(scored),
            clips=clips,
            folder=room.output,
            settings={
                "segment_seconds": settings.segment_seconds or tools.bundle.segment_seconds,
                "engine": tools.step.kind,
                "precision": tools.encoders.vision.engine.precision,
                "asr": tools.encoders.transcriber_name,
                "language": settings.language,
                "frames": settings.frames,
                "top": settings.top,
                "min_score": settings.min_score,
                "comments": str(room.comments) if room.comments else None,
                "comments_offset": settings.comments_offset,
                "streamer": room.streamer,
                "start": settings.start,
                "end": settings.end,
            },
            events=[event for one in scored for event in one.events],
        )
    )
    write_formats(document, parse_formats(settings.formats), room.output)
    write_highlights(room.output / HIGHLIGHTS_FILE, document)
    return RoomOutcome(highlights, document, complete)


def comment_feed(room: Room, settings: ScoreSettings, progress: Progress, *, is_live: bool) -> "CommentFeed | None":
    """The room's comments: a file is read whole, beside a live stream it is followed. Raises SourceError."""
    if room.comments is None:
        return None
    from kuaihl.engines.comments.feed import CommentTrack, FollowedComments
    from kuaihl.engines.comments.reader import read_comment_file

    if is_live:
        return FollowedComments(room.comments, offset=settings.comments_offset)
    found = read_comment_file(room.comments, offset=settings.comments_offset)
    asides = [f"{found.skipped} entries left out"] if found.skipped else []
    asides += [f"{found.before_start} from before the stream's start"] if found.before_start else []
    aside = f" ({', '.join(asides)})" if asides else ""
    progress.message(f"{len(found.comments)} comments from {room.comments.name}, {found.format}{aside}")
    return CommentTrack(found.comments)


def change_words(change: "HighlightEvent") -> str:
    """An opening or closing of a highlight, in words for the terminal."""
    from kuaihl.engines.highlights.online import HighlightClosed, HighlightOpened

    match change:
        case HighlightOpened():
            when = "opens at" if change.known_by == "score" else "has been on since"
            return f"▲ highlight {when} {format_timecode(change.start)} ({change.known_by} {change.score:.3f})"
        case HighlightClosed(highlight=highlight):
            span = f"{format_timecode(highlight.start)}–{format_timecode(highlight.end)}"
            return f"▼ highlight {span} closes (score {highlight.score:.3f})"
        case _:
            return f"▽ highlight at {format_timecode(change.start)} dropped ({change.reason})"
