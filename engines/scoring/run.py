"""One source from its opening to its run folder: scored segments come out, and the requested files are written.

The command, every worker of a batch and the Python API are thin callers of `Run`.
"""

import logging
import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from inspect import GEN_RUNNING, getgeneratorstate
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kuaihl.engines.archive.names import source_stem
from kuaihl.engines.archive.recordings import comments_beside
from kuaihl.engines.comments.feed import CommentTrack
from kuaihl.engines.comments.followed import FollowedComments
from kuaihl.engines.comments.reader import collect_comments, read_comment_file
from kuaihl.engines.highlights.clips import Clip, FailedClip, cut_clips
from kuaihl.engines.highlights.offline import chosen_from, find_highlights
from kuaihl.engines.highlights.online import HighlightEvent, OnlineDetector
from kuaihl.engines.highlights.snapping import snap_highlights
from kuaihl.engines.ingest.source import is_stream, open_source
from kuaihl.engines.outputs.formats import parse_formats, write_formats
from kuaihl.engines.outputs.highlights_json import HighlightsDocument, Report, build_document, write_highlights
from kuaihl.engines.outputs.run_folder import CLIPS_FOLDER, HIGHLIGHTS_FILE, PLOT_FILE, SCORES_FILE, make_folder
from kuaihl.engines.outputs.run_record import write_record
from kuaihl.engines.outputs.scores_jsonl import ScoresWriter
from kuaihl.engines.outputs.timecode import format_timecode
from kuaihl.engines.scoring.pipeline import score_source
from kuaihl.engines.scoring.record import make_record
from kuaihl.engines.scoring.scorer import StreamingScorer
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.segmenter.exact_frames import ExactFrames
from kuaihl.engines.types import Comment, CommentFeed, Highlight, ScoredSegment
from kuaihl.models.errors import BatchError, KuaihlError, SourceError, UsageError

if TYPE_CHECKING:
    from kuaihl.engines.scoring.model import Model

_AUTO = "auto"
LOG = logging.getLogger("kuaihl")

Comments = str | Path | Iterable[Comment] | None


@dataclass(frozen=True)
class ScoreResult:
    """A scored source: all segments, and the highlights in order of time."""

    segments: tuple[ScoredSegment, ...]
    highlights: tuple[Highlight, ...]
    complete: bool  # false if the run was stopped before the source ended
    document: HighlightsDocument  # the content of highlights.json
    output: Path | None = None  # the run folder, if one was written
    clips: tuple[Clip | None, ...] = ()  # one per highlight if clips were wanted; None for one that could not be cut
    failed_clips: tuple[str, ...] = ()  # why, in one line for each of those

    def check_clips(self) -> None:
        """Raise BatchError if a clip could not be cut; everything else has been written."""
        if self.failed_clips:
            count, (first, *_) = len(self.failed_clips), self.failed_clips
            raise BatchError(
                f"{self.document['source']}: {count} of {len(self.clips)} clips could not be cut; {first}; "
                f"{HIGHLIGHTS_FILE} has all highlights"
            )


class Run:
    """An open source being scored: iterate over it for scored segments as they come.

    It ends with the source, or early: leave the loop, call `close`, or leave its `with` block. Either way its files
    are written, and `segments` and `highlights` contain the results so far.
    """

    def __init__(
        self,
        model: "Model",
        source: str,
        settings: ScoreSettings,
        *,
        output: Path | None = None,
        comments: Comments = None,
        streamer: str | None = None,
        stop: threading.Event | None = None,
        report: Callable[[str], None] = LOG.info,
    ) -> None:
        """Open the source; setting `stop` ends it after the media already read, and `report` receives lines to show.

        Raises UsageError for invalid settings, SourceError if the source or its comments cannot be read.
        """
        _check_settings(source, settings, output)
        self.source, self.name, self.output = source, source_stem(source), output
        self.changes: tuple[HighlightEvent, ...] = ()  # highlights that the last segment opened, closed or dropped
        self._model, self._settings, self._streamer = model, settings, streamer
        self._stop = stop or threading.Event()
        self._report = report
        self._detector = OnlineDetector()
        self._scored: list[ScoredSegment] = []
        self._generator: weakref.ref[Generator[ScoredSegment]] | None = None
        self._result: ScoreResult | None = None
        self._opened = open_source(source, timeout=settings.timeout)
        try:
            self._comments = _comments_of(source, comments, is_live=self._opened.is_live)
            self._feed = _open_comments(
                self._comments, settings, report, is_live=self._opened.is_live, found=comments == _AUTO
            )
            self.record = make_record(
                source, settings, model.bundle, model.encoders.facts, comments=self._comments, streamer=streamer
            )
            if output is not None:
                make_folder(output)
        except BaseException:
            self._opened.close()
            raise
        self.duration, self.is_live = self._opened.duration, self._opened.is_live  # duration in seconds, None: unknown

    @property
    def segments(self) -> tuple[ScoredSegment, ...]:
        """The segments scored so far."""
        return tuple(self._scored)

    @property
    def highlights(self) -> tuple[Highlight, ...]:
        """The highlights of the segments scored so far, in order of time; later segments may still change them."""
        if self._result is not None:
            return self._result.highlights
        found = find_highlights(self._scored, top=self._settings.top, min_score=self._settings.min_score)
        return tuple(snap_highlights(found, self._scored))

    def __iter__(self) -> Iterator[ScoredSegment]:
        """The scored segments still to come; leaving the loop early ends the run."""
        if self._generator is None:
            generator = self._score()
            # Only its loop holds it, so it ends with the loop.
            self._generator = weakref.ref(generator)
            return generator
        return self._generator() or iter(())

    def finish(self) -> ScoreResult:
        """Score the rest and return the result; for a run that ended early, the result so far."""
        for _ in self:
            pass
        return self._result or self._conclude(complete=False)

    def close(self) -> None:
        """End the run now. If called from another thread, a loop over it ends after scoring the media already read."""
        generator = self._generator() if self._generator is not None else None
        if generator is not None and getgeneratorstate(generator) == GEN_RUNNING:
            self._stop.set()
        elif generator is not None:
            generator.close()
        elif self._generator is None:
            self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _score(self) -> Generator[ScoredSegment]:
        settings, model = self._settings, self._model
        segment_seconds = settings.segment_seconds or model.bundle.segment_seconds
        with ExitStack() as stack:
            stack.enter_context(self._opened)
            if self.output is not None:
                (self.output / HIGHLIGHTS_FILE).unlink(missing_ok=True)  # of an earlier run, whose scores go now
                write_record(self.output, self.record)
            writer = None if self.output is None else stack.enter_context(ScoresWriter(self.output / SCORES_FILE))
            exact = stack.enter_context(ExactFrames(self.source)) if settings.frames == "exact" else None
            scorer = StreamingScorer(
                model.bundle,
                model.step,
                device=model.encoders.device,
                streamer=self._streamer,
                segment_seconds=segment_seconds,
            )
            scoring = score_source(
                self._opened,
                model.encoders,
                scorer,
                segment_seconds=segment_seconds,
                language=settings.language,
                comments=self._feed,
                exact=exact,
                start=settings.start,
                end=settings.end,
                stop=self._stop,
            )
            stack.enter_context(closing(scoring))
            try:
                for scored in scoring:
                    if writer is not None:
                        writer.write(scored)
                    self._scored.append(scored)
                    self.changes = tuple(self._detector.push(scored))
                    yield scored
            except GeneratorExit:
                if self._stop.is_set():  # already asked to end: a second Ctrl-C ends at once
                    raise
                self._stop.set()
        self.changes = tuple(self._detector.finish())
        self._conclude(complete=not self._stop.is_set())

    def _conclude(self, *, complete: bool) -> ScoreResult:
        """Find the highlights of the scored segments, and write every requested file; highlights.json is last.

        It is also first, marked as incomplete: a clip or a plot that fails, or a kill, then loses no highlight.
        """
        highlights, settings = self.highlights, self._settings
        if self.output is not None and (settings.clips or settings.plot or settings.formats):
            write_highlights(self.output / HIGHLIGHTS_FILE, self._describe(highlights, (), complete=False))
        clips = self._cut_clips(highlights)
        document = self._describe(highlights, clips, complete=complete)
        if self.output is not None:
            if settings.plot:
                from kuaihl.engines.outputs.plot import plot_scores

                plot_scores(self._scored, highlights, self.output / PLOT_FILE, title=self.name)
            write_formats(document, parse_formats(settings.formats), self.output)
            write_highlights(self.output / HIGHLIGHTS_FILE, document)
        failures = tuple(one.reason for one in clips if isinstance(one, FailedClip))
        cut = tuple(one if isinstance(one, Clip) else None for one in clips)
        self._result = ScoreResult(self.segments, highlights, complete, document, self.output, cut, failures)
        return self._result

    def _describe(
        self, highlights: Sequence[Highlight], clips: Sequence[Clip | FailedClip], *, complete: bool
    ) -> HighlightsDocument:
        """The content of highlights.json."""
        settings = self._settings
        return build_document(
            Report(
                source=self.source,
                duration=self._scored[-1].end if self._scored else 0.0,
                complete=complete,
                model=self._model.bundle.name,
                model_sha256=self._model.bundle.head_sha256,
                highlights=highlights,
                chosen_from=chosen_from(self._scored),
                clips=clips,
                folder=self.output or Path(),
                settings={
                    "segment_seconds": settings.segment_seconds or self._model.bundle.segment_seconds,
                    "engine": self._model.step.kind,
                    "precision": self._model.encoders.vision.runtime.precision,
                    "asr": self._model.encoders.transcriber_name,
                    "language": settings.language,
                    "frames": settings.frames,
                    "top": settings.top,
                    "min_score": settings.min_score,
                    "comments": _words_for(self._comments),
                    "comments_offset": settings.comments_offset,
                    "streamer": self._streamer,
                    "start": settings.start,
                    "end": settings.end,
                },
                events=[event for scored in self._scored for event in scored.events],
            )
        )

    def _cut_clips(self, highlights: Sequence[Highlight]) -> list[Clip | FailedClip]:
        """The clips that were asked for, and reports each that could not be cut."""
        if not (self._settings.clips and self.output is not None and highlights):
            return []
        clips: list[Clip | FailedClip]
        try:
            make_folder(self.output / CLIPS_FOLDER)
            clips = cut_clips(self.source, highlights, self.output / CLIPS_FOLDER, self.name)
        except KuaihlError as error:
            clips = [FailedClip(str(error))] * len(highlights)
        for highlight, clip in zip(highlights, clips, strict=True):
            if isinstance(clip, FailedClip):
                span = f"{format_timecode(highlight.start)}–{format_timecode(highlight.end)}"
                self._report(f"clip of {span}: {clip.reason}")
        return clips


def _check_settings(source: str, settings: ScoreSettings, output: Path | None) -> None:
    """Raise UsageError for settings known to fail before anything is read."""
    formats = parse_formats(settings.formats)
    if output is None and (settings.clips or settings.plot or formats):
        raise UsageError("clips, plots and formats are files in a run folder; name the output folder")
    if settings.end is not None and settings.end <= settings.start:
        raise UsageError(f"the end at {settings.end:g} s is not after the start at {settings.start:g} s")
    if is_stream(source):
        wanted = {
            "clips": settings.clips,
            "exact frames": settings.frames == "exact",
            "a part from start to end": settings.start or settings.end,
        }
        for name, value in wanted.items():
            if value:
                raise UsageError(f"{source}: a stream, and {name} need a file; record it, then score the recording")


def _comments_of(source: str, comments: Comments, *, is_live: bool) -> Comments:
    """The comments meant by the setting; for "auto", the file beside a recording, if there is one."""
    if comments != _AUTO:
        return Path(comments) if isinstance(comments, str) else comments
    return None if is_live or is_stream(source) else comments_beside(Path(source))


def _open_comments(
    comments: Comments, settings: ScoreSettings, report: Callable[[str], None], *, is_live: bool, found: bool
) -> CommentFeed | None:
    """The comments by time: a file is read whole, or followed if the source is live.

    Raises SourceError if the file cannot be read; if it was `found` beside the recording, an event reports it instead.
    """
    if comments is None:
        return None
    if isinstance(comments, str | Path):
        if is_live:
            return FollowedComments(comments, offset=settings.comments_offset)
        try:
            name, read = Path(comments).name, read_comment_file(comments, offset=settings.comments_offset)
        except SourceError as error:
            if not found:
                raise
            return CommentTrack(fault=f"scored without comments: {error}")
    else:
        name, read = "the caller", collect_comments(comments, offset=settings.comments_offset)
    asides = [f"{read.skipped} entries left out"] if read.skipped else []
    asides += [f"{read.before_start} from before the stream's start"] if read.before_start else []
    aside = f" ({', '.join(asides)})" if asides else ""
    report(f"{len(read.comments)} comments from {name}, {read.format}{aside}")
    return CommentTrack(read.comments)


def _words_for(comments: Comments) -> str | None:
    """The entry for the comments in highlights.json: their file, or "in memory"."""
    return None if comments is None else str(comments) if isinstance(comments, str | Path) else "in memory"
