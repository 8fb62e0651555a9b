"""One source from its opening to its run folder: scored segments come out, and the requested files are written.

The command, every worker of a batch and the Python API are thin callers of `Run`.
"""

import logging
import math
import threading
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from functools import partial
from inspect import GEN_RUNNING, getgeneratorstate
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kuaihl.engines.archive.names import source_stem
from kuaihl.engines.comments.followed import FollowedComments
from kuaihl.engines.comments.page_chat import PageChat
from kuaihl.engines.encoders.encode import Encode
from kuaihl.engines.encoders.encode import encode as encode_alone
from kuaihl.engines.highlights.choose import choose_highlights
from kuaihl.engines.highlights.live_clips import LiveClips
from kuaihl.engines.highlights.online import HighlightClosed, HighlightEvent, OnlineDetector
from kuaihl.engines.highlights.packet_ring import PacketRing
from kuaihl.engines.ingest.live import Resume
from kuaihl.engines.ingest.live_clock import ClockMark
from kuaihl.engines.ingest.media_facts import probe_file
from kuaihl.engines.ingest.opening import is_stream
from kuaihl.engines.outputs.highlights_json import write_highlights
from kuaihl.engines.outputs.run_folder import HIGHLIGHTS_FILE, RUNNING, STOPPED
from kuaihl.engines.outputs.run_record import RunRecord
from kuaihl.engines.outputs.scores_jsonl import parse_score, score_line
from kuaihl.engines.scoring.conclude import ScoredSource, ScoreResult, conclude, describe
from kuaihl.engines.scoring.journal import Earlier, Journal
from kuaihl.engines.scoring.pipeline import score_source
from kuaihl.engines.scoring.reading import Cutting, OpenReading, read_here
from kuaihl.engines.scoring.record import make_record
from kuaihl.engines.scoring.run_clips import cut_closed, cut_missed, open_live_clips
from kuaihl.engines.scoring.run_comments import AUTO, Comments, came_in_time, comments_found, comments_of, open_comments
from kuaihl.engines.scoring.scorer import StreamingScorer
from kuaihl.engines.scoring.settings import ScoreSettings, check_settings
from kuaihl.engines.segmenter.exact_frames import ExactFrames
from kuaihl.engines.sinks.announce import Announcer
from kuaihl.engines.sinks.happened import Happened, happened_behind, happened_in
from kuaihl.engines.sinks.settings import Sinks, SinkSettings
from kuaihl.engines.types import CommentFeed, Highlight, MediaFacts, ScoredSegment
from kuaihl.models.errors import SourceError

if TYPE_CHECKING:
    from kuaihl.engines.scoring.model import Model

LOG = logging.getLogger("kuaihl")


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
        sinks: SinkSettings | None = None,
        room: str | None = None,
        stop: threading.Event | None = None,
        report: Callable[[str], None] = LOG.info,
        encode: Encode | None = None,
        open_reading: OpenReading = read_here,
    ) -> None:
        """Open the source; setting `stop` ends it after the media already read, and `report` receives lines to show.

        `encode` is the encoders' stage, if many runs share one; `open_reading` opens the source.
        `earlier` is what to do with scores in `output`; those that are replaced stay until the first new one is there.
        `sinks` are the programs that are told what happens in `room`, by default the source's name; nothing that
        happens to them ends the run.
        Raises UsageError for invalid settings or a folder that cannot be used, SourceError if the source or its
        comments cannot be read.
        """
        check_settings(source, settings, output)
        self.source, self.name, self.output = source, source_stem(source), output
        self.changes: tuple[HighlightEvent, ...] = ()  # highlights that the last segment opened, closed or dropped
        self.happened: tuple[Happened, ...] = ()  # all that the last segment, or the end, brought
        self._model, self._settings, self._streamer = model, settings, streamer
        self._stop = stop or threading.Event()
        self._report = report
        self._detector = OnlineDetector()
        self._scored: list[ScoredSegment] = []
        self._generator: weakref.ref[Generator[ScoredSegment]] | None = None
        self._result: ScoreResult | None = None
        self._feed: CommentFeed | None = None
        self._journal: Journal | None = None
        self._sinks: Sinks | None = None
        self._announcer: Announcer | None = None
        self._ring = PacketRing() if settings.clips and is_stream(source) else None
        self._live_clips: LiveClips | None = None
        self._written_clips = 0  # that highlights.json has
        self._segment_seconds = settings.segment_seconds or model.bundle.segment_seconds
        self._encode = encode
        self._opened = open_reading(source, settings.timeout, self._stop)
        try:
            self._comments = comments_of(source, comments, is_live=self._opened.is_live)
            self._feed = open_comments(
                self._comments,
                settings,
                report,
                self._opened,
                found=comments == AUTO,
                folder=output,
                stop=self._stop,
            )
            self._record = self._make_record(self._opened.facts, grows=self._opened.is_growing)
            if output is not None:
                self._journal = self._open_journal(output, earlier)
            if isinstance(self._feed, PageChat):
                self._feed.start()
            if self._ring is not None and output is not None:
                self._live_clips = open_live_clips(
                    self._ring, output, self.name, settings, goes_on=bool(self._scored), report=report
                )
            if sinks is not None and sinks.has_any:
                self._sinks = Sinks(sinks, output)
                self._announcer = Announcer(room or self.name, source, self._sinks)
            self._went_on = self._journal is not None and bool(self._journal.segments)
            if self._journal is not None and self._went_on:
                closed = self._journal.rewrite_events(self._detector, self._announcer)
                if self._live_clips is not None:
                    cut_missed(self._live_clips, closed, self._scored[-1], settings, self._segment_seconds)
        except BaseException:
            self._close_files()
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
        return tuple(choose_highlights(self._scored, self._settings))

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
            self._close_files()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make_record(self, media: MediaFacts | None, *, grows: bool = False) -> RunRecord:
        model = self._model
        return make_record(
            self.source,
            self._settings,
            model.bundle,
            model.encoders.facts,
            comments=self._comments,
            streamer=self._streamer,
            execution={
                "engine": model.step.kind,
                "precision": model.encoders.vision.runtime.precision,
                "asr": model.encoders.transcriber_name,
            },
            media=media,
            grows=grows,
        )

    def _settle(self) -> None:
        """The file has grown to its end: its scores are those of the finished file, unless comments came too late."""
        try:
            self._comments = comments_found(self._feed, self._comments, self.source)
            is_known = self._comments is None or not self._went_on  # what an earlier run got is not
            if not (is_known and came_in_time(self._feed, self._comments, self._settings)):
                return
            self._record = self._make_record(probe_file(self.source))
        except SourceError:  # it was moved
            return
        if self._journal is not None:
            self._journal.replace_record(self._record)

    def _open_journal(self, output: Path, earlier: Earlier) -> Journal:
        """The run folder, and the segments that an earlier run left in it."""
        journal = Journal(
            output, self._record, earlier, segment_seconds=self._segment_seconds, can_reread=not self._goes_on()
        )
        if journal.segments:
            self._scored = list(journal.segments)
            if isinstance(self._feed, FollowedComments | PageChat):
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
            scoring = self._score_segments()
            try:
                # Not `yield from`: to leave ends this loop first, and then `scoring`, which sets `stop`.
                for scored in scoring:  # noqa: UP028
                    yield scored
            except GeneratorExit:
                was_asked = self._stop.is_set()
                scoring.close()
                if was_asked:  # a second Ctrl-C ends at once
                    raise
                self._stop.set()
            self.is_live = self._opened.is_live  # it may have proved to be a recording
            self.changes = tuple(self._detector.finish())
            self._cut_clips()
            self.happened = happened_behind(self._scored[-1], self.changes) if self._scored else ()
            if self._journal is not None and self.changes:
                self._journal.write_events(self.happened)
            if self._announcer is not None:
                self._announcer.ended(self.happened)
            if self._opened.is_growing and not self._stop.is_set():
                self._settle()
            result = self._conclude(STOPPED if self._stop.is_set() else self._opened.shortfall)
            if result.complete and self._journal is not None:
                self._journal.forget_state()
            if self._announcer is not None:
                self._announcer.finished(result.document, str(self.output.resolve()) if self.output else None)
        finally:
            self._close_files()

    def _close_files(self) -> None:
        """Deliver what waits, end the recording of a chat, and free the run folder."""
        try:
            if isinstance(self._feed, PageChat):
                self._feed.close()
            if self._live_clips is not None:
                self._live_clips.finish()
            if self._sinks is not None:
                self._sinks.close()
                self._note_deliveries()
        finally:
            if self._journal is not None:
                self._journal.close()

    def _note_deliveries(self) -> None:
        """Report what went wrong or right with deliveries, and add it to the events."""
        notices = self._sinks.take_notices() if self._sinks is not None else []
        for notice in notices:
            self._report(notice)
        if self._journal is not None:
            self._journal.write_notices(self._scored[-1] if self._scored else None, notices)

    def _score_segments(self) -> Generator[ScoredSegment]:
        """The segments that no earlier run has scored, each written; also ends, without an error, if it is left."""
        settings, model, journal = self._settings, self._model, self._journal
        with ExitStack() as stack:
            stack.enter_context(closing(self._opened))
            exact = stack.enter_context(ExactFrames(self.source)) if settings.frames == "exact" else None
            state, resume = journal.state if journal is not None else None, self._resume_at()
            scorer = StreamingScorer(
                model.bundle,
                model.step,
                device=model.encoders.device,
                streamer=self._streamer,
                segment_seconds=self._segment_seconds,
                state=state.scorer if state is not None else None,
                on_evidence=journal.write_evidence if journal is not None and settings.report else None,
            )
            first = state.segment + 1 if state is not None else 0
            written = self._scored[-1].segment if self._scored else -1
            first = first if resume is None else written + 1
            scoring = score_source(
                self._opened,
                model.encoders,
                scorer,
                Cutting(self._segment_seconds, first, resume, settings.start, settings.end),
                stop=self._stop,
                language=settings.language,
                comments=self._feed,
                exact=exact,
                encode=self._encode or partial(encode_alone, evidence=settings.report),
                ring=self._ring,
            )
            stack.enter_context(closing(scoring))
            for raw in scoring:
                if raw.segment <= written:  # it only brought the scorer to where the earlier run ended
                    continue
                line = score_line(raw)
                scored = parse_score(line)  # as the file has it: a run that goes on finds the same highlights
                self._scored.append(scored)
                self.changes = tuple(self._detector.push(scored))
                self.happened = happened_in(scored, self.changes)
                self._cut_clips()
                if journal is not None:
                    journal.write(scored, line, self.happened, lambda: scorer.state, self._opened.mark())
                    self._rewrite_highlights()
                if self._announcer is not None:
                    self._announcer.segment(scored, self.happened)
                    self._note_deliveries()
                yield scored

    def _cut_clips(self) -> None:
        if self._live_clips is not None:
            cut_closed(self._live_clips, self.changes, self._detector, self._scored[-1].end if self._scored else None)

    def _rewrite_highlights(self) -> None:
        """Keep highlights.json up to date while the source is on air."""
        news = any(isinstance(one, HighlightClosed) for one in self.changes)
        clips = len(self._live_clips.clips) if self._live_clips is not None else 0
        is_on_air = self.is_live or self._opened.is_growing or self._live_clips is not None
        if is_on_air and (news or clips > self._written_clips):
            self._written_clips = clips
            self._write_so_far()

    def _write_so_far(self) -> None:
        """Write the highlights of the segments scored so far, as those of a run that has not ended.

        Its events are left out: a bad stream has tens of thousands, and events.jsonl has them.
        """
        if self.output is not None and self._scored:
            so_far = self._scored_source(RUNNING)
            document = describe(so_far, self.highlights, self._settings, folder=self.output, with_events=False)
            write_highlights(self.output / HIGHLIGHTS_FILE, document)

    def _conclude(self, why: str | None) -> ScoreResult:
        """Find the highlights of the scored segments, and write every requested file; highlights.json is last.

        It is also first, marked as incomplete: a clip or a plot that fails, or a kill, then loses no highlight. `why`
        the source was not read to its end; None if it was.
        """
        settings = self._settings
        if settings.clips or settings.plot or settings.report or settings.formats:
            self._write_so_far()
        if self._live_clips is not None:
            self._live_clips.finish()
        self._result = conclude(
            self._scored_source(why), settings, media=self.source, folder=self.output, report=self._report
        )
        return self._result

    def _scored_source(self, why: str | None) -> ScoredSource:
        clips = self._live_clips
        return ScoredSource(
            self._record,
            self.segments,
            why,
            live_clips=() if clips is None else clips.clips,
            is_cut_live=clips is not None,
        )
