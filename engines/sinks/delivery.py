"""One sink on a thread of its own, behind its spool: a slow or dead receiver never holds up whoever tells it."""

import logging
import random
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from kuaihl.engines.sinks.cloud_event import CloudEvent, Kind
from kuaihl.engines.sinks.spool import Spool, Waiting
from kuaihl.models.credentials import mask_credentials
from kuaihl.models.errors import reason_of

LOG = logging.getLogger("kuaihl")

_LOOK = 0.1  # seconds between two looks at a spool that somebody else empties


class Unreachable(Exception):
    """The event did not arrive, and may later: not before `after` seconds if the receiver said so."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class Refused(Exception):
    """The receiver does not take this event; another try would end in the same way."""


class Gone(Exception):
    """The receiver takes no more events: never, or at least not from this process."""

    def __init__(self, reason: str, *, for_good: bool = True) -> None:
        super().__init__(reason)
        self.for_good = for_good  # what waits is left out


class Sender(Protocol):
    """A way to a receiver."""

    name: str  # as it may be shown

    def send(self, waiting: Waiting) -> None:
        """Deliver an event. Raises Unreachable, Refused or Gone."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


@dataclass(frozen=True)
class Retry:
    """The pauses between tries: doubled from `first` to `longest` seconds, each cut at random by up to a half."""

    first: float = 1.0
    longest: float = 60.0

    def pause(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        return min(self.longest, self.first * 2.0 ** min(failures - 1, 30)) * random.uniform(0.5, 1.0)


class Delivery:
    """Takes events at once, and delivers them in order in the background.

    Its thread frees the sender and the spool when it ends: a call that outlasts `close` still counts if it succeeds.
    `notify` receives a line when deliveries begin to fail, when they succeed again, and for each event that is refused;
    it is called from other threads. No error reaches the caller.
    """

    def __init__(
        self,
        sender: Sender,
        spool: Spool,
        *,
        notify: Callable[[str], None],
        kinds: Collection[Kind] | None = None,
        retry: Retry | None = None,
        patience: float | None = 10.0,
    ) -> None:
        """`kinds` are those that the receiver wants, None for all; `patience` in seconds is how long `close` waits."""
        self._sender, self._spool, self._kinds = sender, spool, kinds
        self._notify, self._retry, self._patience = notify, retry or Retry(), patience
        self._changed = threading.Condition()
        self._closing = self._stopped = self._gone = False
        self._until: float | None = None  # the end of the patience
        self.left = 0  # events that were not delivered until `close`, and may be later
        self._failures = 0  # in a row
        self._dropped = 0  # told so far
        self._cannot_keep = False
        self._thread = threading.Thread(target=self._work, name=f"to {sender.name}", daemon=True)
        self._thread.start()

    def __call__(self, event: CloudEvent) -> None:
        if self._kinds is not None and event.kind not in self._kinds:
            return
        try:
            with self._changed:
                if not self._gone and self._spool.append(event):
                    self._changed.notify()
            self._cannot_keep = False
        except OSError as error:
            if not self._cannot_keep:
                self._say(f"events cannot be kept for delivery ({reason_of(error)}); they are lost until they can")
            self._cannot_keep = True
        if self._spool.dropped > self._dropped:
            if not self._dropped:
                self._say("too many events wait; the oldest are dropped from here on")
            self._dropped = self._spool.dropped

    @property
    def is_gone(self) -> bool:
        """Whether the receiver takes no more events."""
        return self._gone

    def hurry(self) -> None:
        """No more events will come: from now on the patience runs."""
        with self._changed:
            if not self._closing:
                self._until = None if self._patience is None else time.monotonic() + self._patience
            self._closing = True
            self._changed.notify()

    def close(self) -> None:
        """Try for `patience` seconds to deliver what waits; the rest stays in the spool."""
        self.hurry()
        until = self._until
        while self._thread.is_alive() and (until is None or time.monotonic() + self._spool.put_off < until):
            self._thread.join(0.5 if until is None else max(0.0, min(0.5, until - time.monotonic())))
        self.stop()
        self._thread.join(0.2)
        if self._dropped:
            self._say(f"dropped {_events(self._dropped)}, because too many waited")
        self.left = 0 if self._gone else len(self._spool)
        if self.left:
            self._say(f"{_events(self.left)} not delivered; {self._spool.whereabouts}")

    def stop(self) -> None:
        """End with the call that is under way; what waits stays in the spool."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _work(self) -> None:
        has_turn = self._take_turn()
        try:
            if has_turn:
                self._deliver()
        except Exception as error:  # the spool cannot be read any more
            LOG.debug("traceback", exc_info=True)
            self._take_no_more()
            self._say(f"deliveries end, because their file fails: {reason_of(error)}")
        finally:
            if has_turn:
                self._spool.turn.release()
            self._spool.close()
            self._sender.close()

    def _take_turn(self) -> bool:
        """Wait while another delivery empties this spool; False if there is nothing to do meanwhile."""
        while not self._spool.turn.acquire(timeout=_LOOK):
            if self._stopped or (self._closing and not len(self._spool)):
                return False
        return True

    def _take_no_more(self) -> None:
        with self._changed:  # nobody opens the spool anew once it is closed
            self._gone = True

    def _deliver(self) -> None:
        while (waiting := self._next()) is not None:
            try:
                self._sender.send(waiting)
            except Unreachable as error:
                self._failures += 1
                if self._failures == 1:
                    self._say(f"{error}; tried again until it answers")
                with suppress(OSError):  # then it is known until the end of this process
                    self._spool.put_off_for(error.after)
                self._pause(self._retry.pause(self._failures))
                continue
            except Gone as error:
                self._say(f"{error}; it is told nothing more")
                self._take_no_more()
                if error.for_good:
                    self._spool.leave_out_all()
                return
            except Refused as error:
                self._say(f"{error}; event {waiting.id} is left out")
            except Exception as error:
                LOG.debug("traceback", exc_info=True)
                self._say(f"unexpected {type(error).__name__}: {reason_of(error)}; event {waiting.id} is left out")
            if self._failures:
                self._say(f"answers again, after {self._failures} failures")
            self._failures = 0
            self._finish(waiting)

    def _next(self) -> Waiting | None:
        """The next event, as soon as there is one that the receiver may be sent; None at the end."""
        with self._changed:
            while not self._stopped:
                waiting, put_off = self._spool.next(), self._spool.put_off
                if waiting is None and self._closing:
                    return None
                if waiting is not None and put_off <= 0:
                    return waiting
                self._changed.wait(None if waiting is None else put_off)
        return None

    def _pause(self, seconds: float) -> None:
        """Wait so long, or until the end begins, which is the last chance."""
        until = time.monotonic() + seconds
        with self._changed:
            closing = self._closing
            while not self._stopped and self._closing == closing and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)

    def _finish(self, waiting: Waiting) -> None:
        try:
            self._spool.finish(waiting)
        except OSError as error:
            self._say(f"event {waiting.id} is delivered, and may be again: {reason_of(error)}")

    def _say(self, words: str) -> None:
        self._notify(mask_credentials(f"{self._sender.name}: {words}"))


def _events(count: int) -> str:
    return f"{count} event" if count == 1 else f"{count} events"
