"""One set of encoders for many rooms: a room hands in a segment and waits, and what waits is encoded together.

A room has one segment here at a time, so none can crowd out the others. A batch is whatever waits when the encoder is
free: nobody waits for a batch to fill. Speech is the costly part. The room that was heard least recently goes first,
and a segment whose speech is not begun within `max_wait` seconds goes on without it. If even pictures are too
much, those that have waited for twice as long are left out, too. A recording has time: it is heard when no live room
wants to be, and loses nothing.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from kuaihl.engines.encoders.encode import Encode, encode_pictures, encode_text, is_heard, join_features, transcribe
from kuaihl.engines.encoders.signals.measure import SignalMeter
from kuaihl.engines.overload import report_overload, without_speech
from kuaihl.engines.runtimes.device import keep_threads, set_threads
from kuaihl.engines.runtimes.heap import give_back_freed_memory
from kuaihl.engines.types import EncodedSegment, Segment, Thumbnail, Transcript
from kuaihl.models.features import Float16, SegmentFeatures

if TYPE_CHECKING:
    from kuaihl.engines.encoders.profiles import Encoders
    from kuaihl.engines.speech.transcriber import Transcriber

_BATCH_ON_CPU = 4  # segments: more at once gain nothing there, and all of a batch wait for its last one
_BATCH_ON_CARD = 64
_HEARD_ON_CARD = 4  # segments whose speech is prepared at once for one card
_RECENT = 60.0  # seconds for which a segment without its speech counts as a sign of overload

Observe = Callable[[str, float], None]  # a stage's name, and the seconds it took


class Closed(Exception):
    """The scheduler takes no more segments."""


def listeners_for(device: str, threads: int) -> int:
    """The number of segments that are best transcribed at once."""
    return threads if device == "cpu" else _HEARD_ON_CARD


def encode_together(encoders: "Encoders", threads: int) -> Encode:
    """The encoders' stage of as many recordings as like, each on a thread: their segments share batches.

    It leaves one of torch's `threads` to each recording.
    """
    scheduler = Scheduler(encoders, max_wait=math.inf, listeners=listeners_for(encoders.device, threads))
    set_threads(1)  # else torch would give every one of their threads a pool of its own
    return partial(scheduler.encode, patient=True)


@dataclass(eq=False)
class _Listener:
    """What the scheduler remembers of a room."""

    transcriber: "Transcriber | None"
    language: str | None
    heard_at: float = 0.0  # when its speech was last begun


@dataclass(eq=False)
class _Ticket:
    """A segment on its way through the encoders."""

    segment: Segment
    listener: _Listener
    is_patient: bool = False  # of a recording
    since: float = field(default_factory=time.monotonic)
    is_unseen: bool = False  # its pictures are left out
    visual: Float16 | None = None  # [P, d_v]
    transcript: Transcript | None = None
    text: Float16 | None = None  # [d_t]
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def fail(self, error: BaseException) -> None:
        self.error = error
        self.done.set()

    def check_done(self) -> None:
        if self.visual is not None and self.text is not None:
            self.done.set()


class Scheduler:
    """The encoders on threads of their own; `encode` is the encoders' stage of any number of runs at once."""

    def __init__(
        self,
        encoders: "Encoders",
        *,
        max_wait: float,
        listeners: int = 1,
        observe: Observe = lambda stage, seconds: None,
    ) -> None:
        """`listeners` is the number of segments that are transcribed at once."""
        self._encoders, self._observe = encoders, observe
        self._max_wait, self._longest_wait = max_wait, 2 * max_wait
        self._batch = _BATCH_ON_CPU if encoders.device == "cpu" else _BATCH_ON_CARD
        self._changed = threading.Condition()
        self._unseen: deque[_Ticket] = deque()  # they wait for their pictures to be encoded, …
        self._unheard: list[_Ticket] = []  # … for their speech, …
        self._unread: deque[_Ticket] = deque()  # … and for their words
        self._hearing: set[_Ticket] = set()
        self._closed = False
        self._dropped_at = float("-inf")
        works = [("see", self._see), ("read", self._read)]
        if encoders.transcriber is not None:
            works += [("hear", self._hear)] * listeners
        began = threading.Barrier(len(works) + 1)
        self._threads = [
            threading.Thread(target=_work, args=(work, began), name=f"kuaihl-{name}", daemon=True)
            for name, work in works
        ]
        for thread in self._threads:
            thread.start()
        began.wait()

    def encode(
        self,
        segments: Iterable[Segment],
        encoders: "Encoders",
        *,
        batch: int = 1,
        language: str | None = None,
        last_picture: Thumbnail | None = None,
        last_language: str | None = None,
        patient: bool = False,
    ) -> Iterator[EncodedSegment]:
        """As the function `encode`, for one room among many; `encoders` are the scheduler's own. Raises Closed.

        Those that are `patient` wait as long as it takes, behind the others.
        """
        own = None if encoders.transcriber is None else encoders.transcriber.for_stream(last_language)
        listener, meter = _Listener(own, language), SignalMeter(last_picture)
        for segment in segments:
            ticket = self._submit(_Ticket(segment, listener, patient))
            ticket.done.wait()
            if (error := ticket.error) is not None:
                try:
                    raise error
                finally:
                    del error, ticket  # or they would keep each other, and the segment, alive
            assert ticket.visual is not None and ticket.text is not None and ticket.transcript is not None
            segment, transcript = ticket.segment, ticket.transcript
            signals = meter.measure(segment, transcript if is_heard(segment, own) else None)
            features = SegmentFeatures(visual=ticket.visual, text=ticket.text, signals=signals)
            encoded = join_features(segment, transcript, features, meter.previous)
            del segment, ticket  # the next one may be half a minute away
            yield encoded

    def depths(self) -> dict[str, int]:
        """The number of segments that wait, by stage."""
        with self._changed:
            return {"vision": len(self._unseen), "speech": len(self._unheard), "text": len(self._unread)}

    @property
    def is_behind(self) -> bool:
        """Whether speech or pictures were dropped within the last minute, or a segment waits for far too long."""
        now = time.monotonic()
        with self._changed:
            waiting = [ticket for ticket in (*self._unseen, *self._unread) if not ticket.is_patient]
            late = any(now - ticket.since > self._longest_wait for ticket in waiting)
        return late or now - self._dropped_at < _RECENT

    def hurry(self) -> None:
        """Let nothing wait for its speech from now on: the rooms are to end soon."""
        with self._changed:
            self._max_wait = 0.0
            self._changed.notify_all()

    def close(self) -> None:
        """End the threads; segments that wait fail with Closed."""
        with self._changed:
            self._closed = True
            for ticket in (*self._unseen, *self._unheard, *self._unread, *self._hearing):
                ticket.fail(Closed("the server is ending"))
            self._changed.notify_all()

    def join(self, seconds: float) -> None:
        """Wait for the threads of a closed scheduler, `seconds` at most: inside torch they would abort Python's end."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))

    def _submit(self, ticket: _Ticket) -> _Ticket:
        with self._changed:
            if self._closed:
                raise Closed("the server is ending")
            self._unseen.append(ticket)
            if is_heard(ticket.segment, ticket.listener.transcriber):
                self._unheard.append(ticket)
            else:
                ticket.transcript = Transcript()
                self._unread.append(ticket)
            self._changed.notify_all()
        return ticket

    def _take(self, queue: deque[_Ticket]) -> list[_Ticket]:
        """What waits in a queue, at most a batch of it; empty once the scheduler is closed."""
        with self._changed:
            while not (queue or self._closed):
                left = self._expire()
                if not queue:  # a thread cannot wake itself for what it has just passed on
                    self._changed.wait(left)
            if self._closed:
                return []
            return [queue.popleft() for _ in range(min(len(queue), self._batch))]

    def _expire(self) -> float | None:
        """Pass on what has waited too long for its speech; the seconds until the next one will have."""
        now = time.monotonic()
        hasty = [one for one in self._unheard if not one.is_patient]
        for ticket in [one for one in hasty if now - one.since >= self._max_wait]:
            hasty.remove(ticket)
            self._unheard.remove(ticket)
            self._drop_speech(ticket, now)
        return min((one.since + self._max_wait - now for one in hasty), default=None)

    def _drop_speech(self, ticket: _Ticket, now: float) -> None:
        ticket.segment = without_speech(ticket.segment, f"it waited {now - ticket.since:.1f} s among all rooms")
        ticket.transcript = Transcript()
        self._dropped_at = now
        self._unread.append(ticket)
        self._changed.notify_all()

    def _see(self) -> None:
        """The thread of the pictures."""
        while group := self._take(self._unseen):
            self._see_group(group)
            del group  # with its pictures and sound: the next one may not come soon
            if not self._unseen:  # the next group would ask for the same memory again
                give_back_freed_memory()

    def _see_group(self, group: Sequence[_Ticket]) -> None:
        self._leave_out_pictures(group)
        for ticket, visual in self._encode_group("vision", group, self._encode_pictures):
            ticket.visual = visual
            ticket.check_done()

    def _leave_out_pictures(self, group: Sequence[_Ticket]) -> None:
        """Mark those that have waited for too long; the oldest come first, so these cost nothing."""
        with self._changed:
            now = time.monotonic()
            for ticket in group:
                if now - ticket.since >= self._longest_wait and ticket.segment.frames and not ticket.is_patient:
                    waited = f"it waited {now - ticket.since:.1f} s among all rooms"
                    ticket.segment = report_overload(ticket.segment, f"pictures not encoded: {waited}")
                    ticket.is_unseen, self._dropped_at = True, now

    def _encode_pictures(self, group: Sequence[_Ticket]) -> Float16:
        seen = [replace(one.segment, frames=()) if one.is_unseen else one.segment for one in group]
        return encode_pictures(seen, self._encoders)

    def _read(self) -> None:
        """The thread of the words."""
        while group := self._take(self._unread):
            self._read_group(group)
            del group
            with self._changed:
                self._expire()

    def _read_group(self, group: Sequence[_Ticket]) -> None:
        for ticket, text in self._encode_group("text", group, self._encode_words):
            ticket.text = text
            ticket.check_done()

    def _encode_words(self, group: Sequence[_Ticket]) -> Float16:
        transcripts = [ticket.transcript or Transcript() for ticket in group]
        return encode_text([ticket.segment for ticket in group], transcripts, self._encoders)

    def _encode_group(
        self, stage: str, group: Sequence[_Ticket], encode: Callable[[Sequence[_Ticket]], Float16]
    ) -> list[tuple[_Ticket, Float16]]:
        """Each ticket's features. A group that fails is encoded one by one: a bad segment fails its own room alone."""
        began = time.monotonic()
        try:
            return list(zip(group, encode(group), strict=True))
        except Exception as error:
            if len(group) == 1:
                group[0].fail(error)
                return []
            return [found for ticket in group for found in self._encode_group(stage, [ticket], encode)]
        finally:
            self._observe(stage, time.monotonic() - began)

    def _hear(self) -> None:
        """A thread of the speech."""
        while (ticket := self._take_unheard()) is not None:
            began, listener = time.monotonic(), ticket.listener
            try:
                (ticket.transcript,) = transcribe([ticket.segment], listener.transcriber, listener.language)
            except Exception as error:
                ticket.fail(error)
            self._observe("speech", time.monotonic() - began)
            with self._changed:
                self._hearing.discard(ticket)
                if ticket.error is None:
                    self._unread.append(ticket)
                    self._changed.notify_all()

    def _take_unheard(self) -> _Ticket | None:
        """The segment of the room that was heard least recently; None once the scheduler is closed."""
        with self._changed:
            while True:
                self._expire()
                if self._closed:
                    return None
                if self._unheard:
                    break
                self._changed.wait()
            ticket = min(self._unheard, key=lambda one: (one.is_patient, one.listener.heard_at, one.since))
            self._unheard.remove(ticket)
            self._hearing.add(ticket)
            ticket.listener.heard_at = time.monotonic()
            return ticket


def _work(work: Callable[[], None], began: threading.Barrier) -> None:
    keep_threads()
    began.wait()
    work()
