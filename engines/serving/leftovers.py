"""Events that could not be delivered before their broadcast ended: they are tried again while the server runs."""

import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kuaihl.engines.sinks.settings import SPOOLS, SinkSettings, deliver_left
from kuaihl.models.errors import KuaihlError, reason_of

LOG = logging.getLogger("kuaihl")

_EVERY = 60.0  # seconds


class Leftovers:
    """A thread that delivers them; run folders of broadcasts that go on are not its business."""

    def __init__(self, settings: SinkSettings, report: Callable[[str], None]) -> None:
        self._settings, self._report = settings, report
        self._lock = threading.Lock()
        self._left: dict[Path, set[str]] = {}  # run folders, and the lines that were said of each
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="kuaihl-leftovers", daemon=True)

    def start(self, output: Path, going_on: set[Path]) -> None:
        """Begin with what earlier processes left in `output`."""
        if self._settings.has_any:
            for spools in output.glob(f"*/*/{SPOOLS}"):
                if spools.parent not in going_on:
                    self.add(spools.parent)
            self._thread.start()

    def add(self, folder: Path) -> None:
        """The broadcast of a run folder is over."""
        with self._lock:
            self._left.setdefault(folder, set())

    def stop(self) -> None:
        """Leave the rest to the next process."""
        self._stop.set()

    def _work(self) -> None:
        while not self._stop.wait(_EVERY):
            with self._lock:
                left = sorted(self._left.items())
            for folder, told in left:
                if self._stop.is_set():
                    return
                if self._is_settled(folder, told):
                    with self._lock:
                        del self._left[folder]

    def _is_settled(self, folder: Path, told: set[str]) -> bool:
        """Whether a later try has nothing to do."""
        try:
            outcome = deliver_left(self._settings, folder, partial(self._report_once, told))
        except (KuaihlError, OSError, RuntimeError) as error:  # the last: no thread is to be had
            LOG.warning(f"{folder}: events are left: {reason_of(error)}")
            return False
        if outcome == "delivered" and told and folder.exists():
            self._report(f"{folder}: the events that were left are delivered")
        return outcome != "left"

    def _report_once(self, told: set[str], line: str) -> None:
        """An outage of an hour is one line, not sixty."""
        if line not in told:
            told.add(line)
            self._report(line)
