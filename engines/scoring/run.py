"""One source from its opening to its run folder: scored segments come out, and the requested files are written.

The command, every worker of a batch and the Python API are thin callers of `Run`.
"""

import logging
import math
import threading
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from inspect import GEN_RUNNING, getgeneratorstate
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kuaihl.engines.archive.names import source_stem
from kuaihl.engines.comments.followed import FollowedComments
from kuaihl.engines.highlights.clips import Clip, FailedClip, cut_clips
from kuaihl.engines.highlights.offline import chosen_from, find_highlights
from kuaihl.engines.highlights.online import HighlightClosed, HighlightEvent, OnlineDetector
from kuaihl.engines.highlights.snapping import snap_highlights
from kuaihl.engines.ingest.live import Resume, clock_of
from kuaihl.engines.ingest.live_clock import ClockMark
from kuaihl.engines.ingest.source import is_stream, open_source
from kuaihl.engines.outputs.formats import parse_formats, write_formats
from kuaihl.engines.outputs.highlights_json import HighlightsDocument, Report, build_document, write_highlights
from kuaihl.engines.outputs.run_folder import (
    CLIPS_FOLDER,
    HIGHLIGHTS_FILE,
    PLOT_FILE,
    RUNNING,
    STOPPED,
    make_folder,
)
from kuaihl.engines.outputs.scores_jsonl import parse_score, score_line
from kuaihl.engines.outputs.timecode import format_timecode
from kuaihl.engines.scoring.journal import Earlier, Journal
from kuaihl.engines.scoring.pipeline import score_source
from kuaihl.engines.scoring.record import make_record
from kuaihl.engines.scoring.run_comments import AUTO, Comments, comments_of, open_comments, words_for
from kuaihl.engines.scoring.scorer import StreamingScorer
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.segmenter.exact_frames import ExactFrames
from kuaihl.engines.types import Highlight, ScoredSegment
from kuaihl.models.errors import BatchError, KuaihlError, UsageError

if TYPE_CHECKING:
    from kuaihl.engines.scoring.model import Model

LOG = logging.getLogger("kuaihl")


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
    why: str | None = None  # it is not complete

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
        earlier: Earlier = "replace",
        stop: threading.Event | None = None,
        report: Callable[[str], None] = LOG.info,
    ) -> None:
        """Open the source; setting `stop` ends it after the media already read, and `report` receives lines to show.

        `earlier` is what to do with scores in `output`; those that are replaced stay until the first new one is there.
        Raises UsageError for invalid settings or a folder that cannot be used, SourceError if the source or its
        comments cannot be read.
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
        self._journal: Journal | None = None
        self._segment_seconds = settings.segment_seconds or model.bundle.segment_seconds
        self._opened = open_source(source, timeout=settings.timeout)
        self._clock = clock_of(self._opened)
        try:
            self._comments = comments_of(source, comments, is_live=self._opened.is_live)
            self._feed = open_comments(
                self._comments, settings, report, is_live=self._opened.is_live, found=comments == AUTO
            )
            if output is not None:
                self._journal = self._open_journal(output, earlier)
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
        return self._result or self._conclude(STOPPED)

    def close(self) -> None:
        """End the run now. If called from another thread, a loop over it ends after scoring the media already read."""
        generator = self._generator() if self._generator is not None else None
        if generator is not None and getgeneratorstate(generator) == GEN_RUNNING:
            self._stop.set()
        elif generator is not None:
            generator.close()
        elif self._generator is None:
            self._opened.close()
            if self._journal is not None:
                self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_journal(self, output: Path, earlier: Earlier) -> Journal:
        """The run folder, and the segments that an earlier run left in it."""
        model = self._model
        record = make_record(
            self.source,
            self._settings,
            model.bundle,
            model.encoders.facts,
            comments=self._comments,
            streamer=self._streamer,
        )
        journal = Journal(
            output, record, earlier, segment_seconds=self._segment_seconds, can_reread=not self._goes_on()
        )
        if journal.segments:
            self._scored = list(journal.segments)
            journal.rewrite_events(self._detector)
            if isinstance(self._feed, FollowedComments):
                self._feed.skip_until(self._scored[-1].end)
        return journal

    def _goes_on(self) -> bool:
        """Whether the source goes on while nobody reads it: what was missed is lost."""
        return self._opened.is_live or self._opened.is_pipe

    def _resume_at(self) -> Resume | None:
        """Where a stream that cannot be read again was left; None at its beginning, or for any other source."""
        if not self._scored or not self._goes_on():
            return None
        last, state = self._scored[-1], self._journal.state if self._journal is not None else None
        mark = state.clock if state is not None else None
        # Without a state, the moment at which the last segment was complete tells the lag, to a second or two.
        return Resume(mark or ClockMark(last.wall_time - last.end, math.inf, False), last.end)

    def _score(self) -> Generator[ScoredSegment]:
        try:
            try:
                yield from self._score_segments()
            except GeneratorExit:
                if self._stop.is_set():  # already asked to end: a second Ctrl-C ends at once
                    raise
                self._stop.set()
            self.changes = tuple(self._detector.finish())
            if self._journal is not None and self.changes:
                self._journal.write_events(replace(self._scored[-1], events=()), self.changes)
            result = self._conclude(STOPPED if self._stop.is_set() else self._opened.shortfall)
            if result.complete and self._journal is not None:
                self._journal.forget_state()
        finally:
            if self._journal is not None:
                self._journal.close()

    def _score_segments(self) -> Generator[ScoredSegment]:
        """The segments that no earlier run has scored, each written; also ends, without an error, if it is left."""
        settings, model, journal = self._settings, self._model, self._journal
        with ExitStack() as stack:
            stack.enter_context(self._opened)
            exact = stack.enter_context(ExactFrames(self.source)) if settings.frames == "exact" else None
            state, resume = journal.state if journal is not None else None, self._resume_at()
            scorer = StreamingScorer(
                model.bundle,
                model.step,
                device=model.encoders.device,
                streamer=self._streamer,
                segment_seconds=self._segment_seconds,
                state=state.scorer if state is not None else None,
            )
            first = state.segment + 1 if state is not None else 0
            written = self._scored[-1].segment if self._scored else -1
            scoring = score_source(
                self._opened,
                model.encoders,
                scorer,
                segment_seconds=self._segment_seconds,
                language=settings.language,
                comments=self._feed,
                exact=exact,
                start=settings.start,
                end=settings.end,
                stop=self._stop,
                clock=self._clock,
                resume=resume,
                first=first if resume is None else written + 1,
            )
            stack.enter_context(closing(scoring))
            for raw in scoring:
                if raw.segment <= written:  # it only brought the scorer to where the earlier run ended
                    continue
                line = score_line(raw)
                scored = parse_score(line)  # as the file has it: a run that goes on finds the same highlights
                self._scored.append(scored)
                self.changes = tuple(self._detector.push(scored))
                if journal is not None:
                    journal.write(scored, line, self.changes, lambda: scorer.state, self._clock.mark())
                    self._rewrite_highlights()
                yield scored

    def _rewrite_highlights(self) -> None:
        """Keep highlights.json up to date while a live stream runs."""
        if self.output is not None and self.is_live and any(isinstance(one, HighlightClosed) for one in self.changes):
            write_highlights(self.output / HIGHLIGHTS_FILE, self._describe(self.highlights, (), RUNNING))

    def _conclude(self, why: str | None) -> ScoreResult:
        """Find the highlights of the scored segments, and write every requested file; highlights.json is last.

        It is also first, marked as incomplete: a clip or a plot that fails, or a kill, then loses no highlight. `why`
        the source was not read to its end; None if it was.
        """
        highlights, settings = self.highlights, self._settings
        if self.output is not None and self._scored and (settings.clips or settings.plot or settings.formats):
            write_highlights(self.output / HIGHLIGHTS_FILE, self._describe(highlights, (), RUNNING))
        clips = self._cut_clips(highlights)
        document = self._describe(highlights, clips, why)
        if self.output is not None and self._scored:
            if settings.plot:
                from kuaihl.engines.outputs.plot import plot_scores

                plot_scores(self._scored, highlights, self.output / PLOT_FILE, title=self.name)
            write_formats(document, parse_formats(settings.formats), self.output)
            write_highlights(self.output / HIGHLIGHTS_FILE, document)
        failures = tuple(one.reason for one in clips if isinstance(one, FailedClip))
        cut = tuple(one if isinstance(one, Clip) else None for one in clips)
        self._result = ScoreResult(
            self.segments, highlights, why is None, document, self.output, clips=cut, failed_clips=failures, why=why
        )
        return self._result

    def _describe(
        self, highlights: Sequence[Highlight], clips: Sequence[Clip | FailedClip], why: str | None
    ) -> HighlightsDocument:
        """The content of highlights.json."""
        settings = self._settings
        return build_document(
            Report(
                source=self.source,
                duration=self._scored[-1].end if self._scored else 0.0,
                why=why,
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
                    "comments": words_for(self._comments),
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
