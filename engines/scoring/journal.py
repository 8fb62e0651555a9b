"""What a run writes while it runs, so that a kill at any instant leaves a folder with which the next one can go on.

Order of a segment: the state, which carries the segment's line; the line in scores.jsonl; its events. A reader that
finds a line missing takes it from the state. The events can be made again from the lines.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from kuaihl.engines.highlights.online import HighlightClosed, HighlightEvent, OnlineDetector
from kuaihl.engines.ingest.live_clock import ClockMark
from kuaihl.engines.outputs.atomic import cannot_write
from kuaihl.engines.outputs.events_jsonl import notice_lines, rewrite_events
from kuaihl.engines.outputs.evidence_jsonl import EvidenceWriter, SegmentEvidence
from kuaihl.engines.outputs.lock import FolderLock
from kuaihl.engines.outputs.run_folder import (
    EVENTS_FILE,
    EVIDENCE_FILE,
    HIGHLIGHTS_FILE,
    RECORD_FILE,
    SCORES_FILE,
    STATE_FILE,
    discard_earlier,
    has_scores,
    make_folder,
    restore_earlier,
    set_aside,
)
from kuaihl.engines.outputs.run_record import (
    RunRecord,
    can_go_on,
    difference,
    read_record,
    reason_to_score,
    write_record,
)
from kuaihl.engines.outputs.scores_jsonl import ScoresWriter, parse_score, read_scores
from kuaihl.engines.scoring.room_state import RoomState, read_state, write_state
from kuaihl.engines.scoring.scorer import ScorerState
from kuaihl.engines.sinks.announce import Announcer
from kuaihl.engines.sinks.happened import Happened, happened_in
from kuaihl.engines.types import SAME_TIME, ScoredSegment
from kuaihl.models.atomic import remove_torn
from kuaihl.models.errors import Remedy, UsageError

# What to do with the scores of an earlier run; "update" goes on with those of an interrupted run that fit, and raises
# AlreadyScored for good ones.
Earlier = Literal["refuse", "replace", "resume", "update"]

_STATE_SECONDS = 5.0  # between two states of a source that can be read again: that much work is lost at most
_ANEW = Remedy("score it anew, or name another folder", {"force": True, "output": None})


class AlreadyScored(UsageError):
    """The folder holds the scores that are wanted, made since somebody looked last."""


class Journal:
    """A run folder under its lock: what an earlier run left, and the files that grow."""

    def __init__(
        self, folder: Path, record: RunRecord, earlier: Earlier, *, segment_seconds: float, can_reread: bool
    ) -> None:
        """Take the folder; `can_reread`: the source gives the same media again, so a last short segment is scored anew.

        Raises UsageError if another process holds it, if it holds scores and `earlier` is "refuse", or if "resume"
        finds those of another source, model or option; AlreadyScored if "update" finds nothing to do.
        """
        self.folder, self._whole, self._can_reread = folder, segment_seconds - SAME_TIME, can_reread
        self.segments: list[ScoredSegment] = []  # of the earlier run
        self.state: RoomState | None = None
        self._keep: int | None = None  # bytes of scores.jsonl
        self._saved = -_STATE_SECONDS
        self._replacing = self._wrote = self._closed = False
        self._evidence: EvidenceWriter | None = None
        self._made = not folder.exists()
        make_folder(folder)
        self._lock = FolderLock(folder)
        try:
            self._take(record, earlier)
            self._scores = ScoresWriter(folder / SCORES_FILE, keep=self._keep)
        except BaseException:
            self._lock.release()
            raise

    def _take(self, record: RunRecord, earlier: Earlier) -> None:
        remove_torn(self.folder)
        restore_earlier(self.folder)
        if not has_scores(self.folder):
            self._keep = 0
            for name in (STATE_FILE, HIGHLIGHTS_FILE, EVIDENCE_FILE):
                (self.folder / name).unlink(missing_ok=True)
        elif earlier == "update" and reason_to_score(self.folder, record) is None:
            raise AlreadyScored(f"{self.folder}: another run has scored it meanwhile")
        elif earlier == "resume" or (earlier == "update" and can_go_on(self.folder, record)):
            self._check_same(record)
            self._read_back()
        elif earlier == "refuse":
            raise UsageError(f"{self.folder}: already holds {SCORES_FILE}", remedy=_ANEW)
        else:
            set_aside(self.folder)
            self._replacing = True
        write_record(self.folder, record)

    def _check_same(self, record: RunRecord) -> None:
        recorded = read_record(self.folder)
        reason = f"no {RECORD_FILE} says what was scored" if recorded is None else difference(recorded, record)
        if reason is not None:
            raise UsageError(f"{self.folder}: cannot go on with its scores, {reason}", remedy=_ANEW)

    def _read_back(self) -> None:
        """The earlier run's segments and its state, after repairs of what a kill has torn."""
        written, state = read_scores(self.folder / SCORES_FILE), read_state(self.folder / STATE_FILE)
        self._keep = written[-1].ends_at if written else 0
        segments = [one.scored for one in written]
        last = segments[-1].segment if segments else -1
        if state is not None and state.segment > last:
            segments.append(parse_score(state.line))
            with ScoresWriter(self.folder / SCORES_FILE, keep=self._keep) as scores:
                scores.write(segments[-1])
            self._keep = None
        elif self._can_reread and segments and segments[-1].end - segments[-1].start < self._whole:
            segments.pop()
            self._keep = written[-2].ends_at if len(written) > 1 else 0
        if state is not None and any(one.segment == state.segment for one in segments):
            self.state = state
        self.segments = segments

    def rewrite_events(self, detector: OnlineDetector, announcer: Announcer | None = None) -> list[HighlightClosed]:
        """Lead the detector through the earlier run's segments, write their events again, and tell them.

        Returns those that say which highlights closed.
        """
        closed: list[HighlightClosed] = []

        def tell(scored: ScoredSegment, changes: Sequence[HighlightEvent]) -> None:
            closed.extend(one for one in changes if isinstance(one, HighlightClosed))
            if announcer is not None:
                announcer.segment(scored, happened_in(scored, changes))

        rewrite_events(self.folder / EVENTS_FILE, self.segments, detector, tell=tell)
        return closed

    def write(
        self,
        scored: ScoredSegment,
        line: str,
        happened: Sequence[Happened],
        scorer: Callable[[], ScorerState],
        clock: ClockMark | None,
    ) -> None:
        """Write a segment, whose line is `line`, and what `happened`. Raises UsageError if a file cannot be written."""
        whole = scored.end - scored.start >= self._whole
        due = whole and time.monotonic() >= self._saved + _STATE_SECONDS
        if due or not self._can_reread:
            write_state(self.folder / STATE_FILE, RoomState(scorer(), scored.segment, line, clock))
            self._saved = time.monotonic()
        self._scores.write(scored)
        self._wrote = True
        if self._replacing:
            discard_earlier(self.folder)
            self._replacing = False
        self.write_events(happened[1:])  # the first is the score

    def write_events(self, happened: Iterable[Happened]) -> None:
        """Append events. Raises UsageError if they cannot be written."""
        self._append_events(one.line for one in happened)

    def write_notices(self, scored: ScoredSegment | None, notices: Sequence[str]) -> None:
        """Append what happened to deliveries by the end of a segment. Raises UsageError if it cannot be written."""
        if scored is not None and notices:
            self._append_events(notice_lines(scored, notices))

    def _append_events(self, entries: Iterable[dict[str, Any]]) -> None:
        path = self.folder / EVENTS_FILE
        lines = [json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries]
        try:
            with path.open("a", encoding="utf-8", errors="replace", newline="\n") as file:
                file.write("".join(lines))
        except OSError as error:
            raise cannot_write(path, error) from error

    def write_evidence(self, evidence: SegmentEvidence) -> None:
        """Append the evidence of a segment, whose line follows. Raises UsageError if it cannot be written."""
        if self._evidence is None:
            self._evidence = EvidenceWriter(self.folder / EVIDENCE_FILE)
        self._evidence.write(evidence)

    def replace_record(self, record: RunRecord) -> None:
        """Write another record in place of the one of the beginning. Raises UsageError if it cannot be written."""
        write_record(self.folder, record)

    def forget_state(self) -> None:
        """The source was read to its end: nobody will go on from here."""
        (self.folder / STATE_FILE).unlink(missing_ok=True)

    def close(self) -> None:
        """End the writing and free the folder; a run without a line leaves everything as it found it. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._scores.close()
        if self._evidence is not None:
            self._evidence.close()
        if not self._wrote and not self.segments:
            restore_earlier(self.folder)
            if not has_scores(self.folder):
                for name in (SCORES_FILE, RECORD_FILE, EVIDENCE_FILE):
                    (self.folder / name).unlink(missing_ok=True)
        self._lock.release()
        if self._made:
            with suppress(OSError):
                self.folder.rmdir()  # only if it is empty
