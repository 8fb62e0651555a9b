"""One room on a thread of its own: it waits for its stream, scores it, and waits for the next broadcast.

A broadcast is an ordinary run with a run folder. A minute's outage is the run's own affair; after a longer one the
stream counts as over, and what comes later is another broadcast, in another folder.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kuaihl.engines.encoders.encode import Encode
from kuaihl.engines.encoders.scheduler import Closed
from kuaihl.engines.ingest.live_clock import ClockMark
from kuaihl.engines.outputs.lock import FolderInUse
from kuaihl.engines.outputs.run_folder import has_scores
from kuaihl.engines.scoring.conclude import ScoreResult
from kuaihl.engines.scoring.reading import OpenReading, Reading
from kuaihl.engines.scoring.run import Run
from kuaihl.engines.serving.room_events import (
    RoomEvent,
    end_of,
    events_of,
    recorded_events,
    recorded_scores,
)
from kuaihl.engines.serving.room_spec import RoomSpec
from kuaihl.engines.sinks.settings import SinkSettings
from kuaihl.engines.types import MediaFacts, ScoredSegment, Segment
from kuaihl.models.errors import KuaihlError, SourceUnavailable, UsageError, reason_of

if TYPE_CHECKING:
    from kuaihl.engines.scoring.model import Model

LOG = logging.getLogger("kuaihl")

State = Literal["waiting", "live", "failed", "ended"]
STATES: tuple[State, ...] = ("waiting", "live", "failed", "ended")

_FIRST_DELAY, _LONGEST_DELAY = 0.5, 30.0  # seconds between two tries to open a source
_ANNOUNCED = 120.0  # seconds for which a hook says more than the end of a broadcast, which takes a minute to be noticed
_AWAY = 60.0  # seconds after which a broadcast that was being scored counts as over, as within a run
_RECENT = 20  # scored segments kept at hand: 10 min


@dataclass(frozen=True)
class House:
    """What all rooms share."""

    model: "Model"
    encode: Encode
    publish: Callable[[RoomEvent], None]
    reader: Callable[[RoomSpec], OpenReading]
    sinks: SinkSettings  # the programs that are told what happens in every room
    folder: Path  # of all run folders
    note: Callable[[], None]  # called when a room begins a broadcast or is done with one
    ended: Callable[[Path], None]  # called with the run folder of a broadcast that is over
    report: Callable[[str], None]  # receives lines to show


class Room:
    """A room and its thread. All methods may be called from any thread."""

    def __init__(
        self,
        spec: RoomSpec,
        house: House,
        broadcast: str | None = None,
        *,
        is_restored: bool = False,
        was_live: bool = False,
    ) -> None:
        """`broadcast` is the run folder of an earlier process, which goes on if its publisher has not left since."""
        self.spec = spec
        self.broadcast = broadcast  # the present one, or the last
        self.goes_on = broadcast is not None  # it is not over
        self.was_live = was_live  # so what is there when a broadcast is over is its recording, and no other one
        self.state: State = "waiting"
        self.detail = ""  # why it waits or failed
        self.since = time.time()  # of the state
        self.last: ScoredSegment | None = None
        self._house = house
        self.is_opening = False  # it waits for a server's answer, which nothing can end
        self._announced_at = float("-inf")  # when a hook told again that there is a publisher
        is_missed = is_restored and (self.goes_on or not spec.stays)
        self._away_since = time.monotonic() if is_missed else None  # what an earlier reader or process followed
        self._delay = _FIRST_DELAY  # before the next try to open the source
        self._stop = threading.Event()
        self._recent: deque[dict[str, Any]] = deque(maxlen=_RECENT)
        self._thread = threading.Thread(target=self._work, name=f"kuaihl-room-{spec.id}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Let it end after the media that was read."""
        self._stop.set()

    def announce(self) -> None:
        """There is a publisher again: should the present broadcast be over, which shows late, his is another one."""
        self._announced_at = time.monotonic()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to end, which takes a moment."""
        return self._stop.is_set()

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    @property
    def home(self) -> Path:
        """The folder of its run folders."""
        return self._house.folder / self.spec.id

    @property
    def folder(self) -> Path | None:
        """The run folder of the broadcast."""
        return None if self.broadcast is None else self.home / self.broadcast

    def scores(self, after: int, most: int) -> list[dict[str, Any]]:
        """At most `most` lines of scores.jsonl behind segment `after`, of the present broadcast or the last one."""
        recent, folder = list(self._recent), self.folder
        if not recent or recent[0]["segment"] > after + 1:
            return [] if folder is None else recorded_scores(folder, after, most)
        return [line for line in recent if line["segment"] > after][:most]

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                goes_on = self._score_broadcast()
                if self._stop.is_set() or not self._has_another(goes_on):
                    break
                self._enter("waiting", "the broadcast is over")
            except Closed:
                return  # it stays in the register: the next process goes on
            except SourceUnavailable as error:
                if not self._stop.is_set():  # else its reader was taken away, which says nothing of the source
                    self._enter("waiting", str(error))
                    if self._away_since is None and self.goes_on:
                        self._away_since = time.monotonic()
                    if self._is_given_up:
                        if not self._has_another(True):
                            break
                        self._house.note()
            except KuaihlError as error:
                self._enter("failed", str(error))
            except Exception as error:
                LOG.warning(f"room {self.spec.id}: unexpected {type(error).__name__}", exc_info=True)
                self._enter("failed", f"unexpected {type(error).__name__}: {reason_of(error)}")
            self._stop.wait(self._delay)
            self._delay = min(2 * self._delay, _LONGEST_DELAY)
        self._enter("ended")
        self._house.note()

    @property
    def _is_given_up(self) -> bool:
        return self._away_since is not None and time.monotonic() - self._away_since > _AWAY

    def _has_another(self, goes_on: bool) -> bool:
        """Whether another broadcast is waited for, behind one that is over."""
        self._away_since, self.goes_on = None, False
        is_announced = time.monotonic() - self._announced_at < _ANNOUNCED
        self._announced_at = float("-inf")
        return is_announced or (goes_on and self.spec.stays)

    def _enter(self, state: State, detail: str = "") -> None:
        if (state, detail) != (self.state, self.detail):
            self._house.report(f"room {self.spec.id}: {state}{f': {detail}' if detail else ''}")
        self.state, self.detail, self.since = state, detail, time.time()

    def _score_broadcast(self) -> bool:
        """Score one broadcast; whether the room may have another. Raises KuaihlError, and whatever goes wrong."""
        house, room = self._house, self.spec.id
        with self._open() as run:
            name, last, number = self.broadcast or "", None, 0
            if run.segments and self.folder is not None:
                last = run.segments[-1]
                number = sum(event.place.segment == last.segment for event in recorded_events(self.folder, room))
            self.last = last  # before it is live: the score of an earlier broadcast is not this one's
            self._recent.clear()
            opened_live = run.is_live
            self.was_live |= opened_live
            if self._away_since is None:
                self._enter("live")
            house.note()
            for scored in run:
                self._delay = _FIRST_DELAY  # also if its reader dies; not before, for it may fail at once each time
                self._recent.append(run.happened[0].line)
                self.last, last, number = scored, scored, len(run.happened)
                for event in events_of(room, name, scored.segment, run.happened):
                    house.publish(event)
            result = run.finish()
            if last is not None:
                for event in events_of(room, name, last.segment, run.happened, first=number):
                    house.publish(event)
                house.publish(end_of(room, name, last.segment, _end_of_run(result, self.folder)))
        if opened_live and not run.is_live:  # it proved to be a recording
            self.was_live = False
        if not self._stop.is_set():
            self.goes_on = False
            house.note()
        if self.folder is not None:
            house.ended(self.folder)
        return self.was_live

    def _open(self) -> Run:
        """The run of the next broadcast, or of the one that an earlier process left."""
        self.is_opening = True
        try:
            return self._open_run()
        finally:
            self.is_opening = False

    def _open_run(self) -> Run:
        if self.goes_on and self.folder is not None and has_scores(self.folder):
            try:
                return self._run(self.folder)
            except FolderInUse:
                raise
            except UsageError as error:  # of other options, or another model
                self._house.report(f"room {self.spec.id}: begins anew: {error}")
        folder = _new_folder(self.home)
        run = self._run(folder)
        self.broadcast, self.goes_on = folder.name, True
        return run

    def _run(self, folder: Path) -> Run:
        spec, house = self.spec, self._house
        settings = replace(house.model.settings, language=spec.language or house.model.settings.language)
        resumes = has_scores(folder)
        return Run(
            house.model,
            spec.url,
            settings,
            output=folder,
            comments=spec.comments,
            streamer=spec.streamer,
            earlier="resume" if resumes else "refuse",
            stop=self._stop,
            report=lambda line: house.report(f"room {spec.id}: {line}"),
            encode=house.encode,
            open_reading=partial(self._open_reading, resumes),
            sinks=house.sinks,
            room=spec.id,
        )

    def _open_reading(self, resumes: bool, name: str, timeout: float, stop: threading.Event) -> Reading:
        """The source, if it is on air: what ended as a playlist stays there as a recording, which was scored.

        A broadcast that goes on is over if the source was away for too long.
        """
        try:
            reading = self._house.reader(self.spec)(name, timeout, stop)
        except SourceUnavailable as error:
            if resumes and self._is_given_up and not stop.is_set():
                return _Over(name, f"{error}; not back within {_AWAY:g} s")
            raise
        self._away_since = None
        if self.was_live and not self.goes_on and not reading.is_live:
            reading.close()
            raise SourceUnavailable(f"{name}: the last broadcast is still there, as a recording; nobody is on air")
        return reading


class _Over:
    """The reading of a broadcast that nobody is on air with any more: its run ends with what was scored."""

    is_live, is_pipe, is_growing = True, False, False
    duration: float | None = None
    facts: MediaFacts | None = None

    def __init__(self, name: str, shortfall: str) -> None:
        self.name, self.shortfall = name, shortfall

    def mark(self) -> ClockMark | None:
        return None

    def segments(self, *_: object, **__: object) -> Iterator[Segment]:
        return iter(())

    def close(self) -> None:
        pass


def _new_folder(parent: Path) -> Path:
    """A run folder that is not there yet, named by the present moment."""
    name, number = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"), 1
    folder = parent / name
    while folder.exists():
        number += 1
        folder = parent / f"{name}-{number}"
    return folder


def _end_of_run(result: ScoreResult, folder: Path | None) -> dict[str, Any]:
    return {
        "segments": len(result.segments),
        "highlights": len(result.highlights),
        "complete": result.complete,
        "why": result.why,
        "folder": str(folder),
    }
