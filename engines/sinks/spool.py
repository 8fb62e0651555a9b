"""Events on their way to one sink, in a file: an outage of the receiver or a kill of ours loses none.

A line is written before anybody tries to deliver it, and counts as delivered once a second file holds its number. Lines
of the last segment stay, so that a run that goes on knows what it has told. The second file also has the time before
which the receiver wants no more, so that it holds for whoever delivers next.
"""

import json
import os
import threading
import time
from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from kuaihl.engines.sinks.cloud_event import CloudEvent
from kuaihl.models.atomic import remove_torn, write_atomic

LIMIT = 16 << 20  # bytes that wait at most: five days of one room
LONGEST_WAIT = 3600.0  # seconds for which a receiver may put deliveries off

_DIGITS = 20  # of each number in the second file: what is done, and until when the rest is put off


class Waiting(NamedTuple):
    """An event on its way."""

    number: int
    id: str
    event: dict[str, Any]

    def to_json(self) -> str:
        """The event as one line of JSON."""
        return json.dumps(self.event, ensure_ascii=False, allow_nan=False)


class Spool:
    """The events for one sink, oldest first; one thread adds while another one delivers, in its `turn`.

    At most `limit` bytes wait: beyond that the oldest events make room, and `dropped` counts them. Raises OSError.
    """

    def __init__(self, folder: Path | None, name: str, *, limit: int = LIMIT) -> None:
        """Without a folder the events live as long as the process."""
        self._scratch = TemporaryDirectory(prefix="kuaihl-spool-") if folder is None else None
        self._folder = folder if folder is not None else Path(self._scratch.name if self._scratch else "")
        self._path, self._mark = self._folder / f"{name}.jsonl", self._folder / f"{name}.done"
        self._limit = limit
        self.turn = threading.Lock()
        self._users = 1
        self._shared_as: Path | None = None
        self._lock = threading.Lock()
        self._lines: deque[tuple[int, int]] = deque()  # number and bytes of those that wait
        self._at = self._size = 0  # bytes: where those that wait begin, and the file's end
        self._number = self._done = -1  # of the last line, and of the last one delivered or dropped
        self._put_off_until = 0.0  # seconds since the epoch
        self._run, self._segment = "", -1  # of the last line
        self._told: set[str] = set()  # ids of that segment
        self._file = self._marks = -1  # descriptors
        self.dropped = 0
        if self._path.exists():
            self._open()

    @classmethod
    def shared(cls, folder: Path | None, name: str) -> "Spool":
        """The spool that somebody in this process still uses, or a new one; each user closes it."""
        if folder is None:
            return cls(None, name)
        path = folder.resolve() / name
        with _SHARING:
            spool = _SHARED.get(path)
            if spool is None:
                spool = _SHARED[path] = cls(folder, name)
                spool._shared_as = path
            else:
                spool._users += 1
            return spool

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def whereabouts(self) -> str:
        """What becomes of the events that wait, in words."""
        if self._scratch is not None:
            return "lost with the process, for there is no run folder"
        return f"what waits is in {self._folder}, and the server, or the next run into this run folder, delivers it"

    @property
    def put_off(self) -> float:
        """Seconds for which nothing is to be delivered."""
        left = self._put_off_until - time.time()
        return left if 0 < left <= LONGEST_WAIT + 1 else 0.0  # beyond it the machine's clock was set back

    def put_off_for(self, seconds: float) -> None:
        """Deliver nothing for so long, also not in the next run into this folder."""
        if seconds > 0:
            with self._lock:
                self._put_off_until = time.time() + seconds
                _write_number(self._marks, round(self._put_off_until * 1000), _DIGITS)

    def append(self, event: CloudEvent) -> bool:
        """Keep an event for delivery; False if it was told before."""
        with self._lock:
            if event.run == self._run and (event.segment < self._segment or event.id in self._told):
                return False
            if self._file < 0:
                self._open()
            number = self._number + 1
            entry = {"number": number, "run": event.run, "segment": event.segment, "event": event.to_dict()}
            line = (json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "replace")
            self._make_room(len(line))
            try:
                _write_all(self._file, line, self._size)
            except OSError:
                os.ftruncate(self._file, self._size)
                raise
            self._count(number, len(line), event.run, event.segment, event.id)
            return True

    def next(self) -> Waiting | None:
        """The oldest event that waits."""
        with self._lock:
            if not self._lines:
                return None
            number, length = self._lines[0]
            event = json.loads(os.pread(self._file, length, self._at))["event"]
            return Waiting(number, event["id"], event)

    def finish(self, waiting: Waiting) -> None:
        """The event was delivered, or never will be."""
        with self._lock:
            if self._lines and self._lines[0][0] == waiting.number:  # else it had to make room meanwhile
                self._leave_out()
                self._tidy()

    def leave_out_all(self) -> None:
        """Nothing that waits will ever be delivered."""
        with self._lock:
            while self._lines:
                self._leave_out()
            self._tidy()

    def close(self) -> None:
        """Free the files, unless somebody else uses them; without a folder, the events are gone."""
        with _SHARING:
            self._users -= 1
            if self._users > 0:
                return
            if self._shared_as is not None:
                del _SHARED[self._shared_as]
            with self._lock:
                self._close_files()
        if self._scratch is not None:
            self._scratch.cleanup()

    def _close_files(self) -> None:
        for descriptor in (self._file, self._marks):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._marks = -1

    def _open(self) -> None:
        """Open the files, and read what an earlier run left in them."""
        self._folder.mkdir(parents=True, exist_ok=True)
        remove_torn(self._folder)
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            self._marks = os.open(self._mark, os.O_RDWR | os.O_CREAT, 0o600)
            done, until = (os.pread(self._marks, _DIGITS, at) for at in (0, _DIGITS))
            lines = self._path.read_bytes().splitlines(keepends=True)
        except OSError:
            self._close_files()  # else the next try would take them for open
            raise
        self._done = self._number = int(done) if done.isdigit() else -1
        self._put_off_until = int(until) / 1000 if until.isdigit() else 0.0
        for line in lines:
            try:
                entry = json.loads(line)
                number, run, segment, id = entry["number"], entry["run"], entry["segment"], entry["event"]["id"]
            except (ValueError, TypeError, KeyError):
                break  # torn by a crash of the machine
            if not line.endswith(b"\n"):
                break
            if number <= self._done:
                self._at += len(line)
            self._count(number, len(line), run, segment, id)
        os.ftruncate(self._file, self._size)

    def _count(self, number: int, length: int, run: str, segment: int, id: str) -> None:
        self._size += length
        self._number = max(self._number, number)
        if number > self._done:
            self._lines.append((number, length))
        if (run, segment) != (self._run, self._segment):
            self._run, self._segment, self._told = run, segment, set()
        self._told.add(id)

    def _make_room(self, length: int) -> None:
        while self._lines and self._size - self._at + length > self._limit:
            self._leave_out()
            self.dropped += 1
        if self._at > self._limit:
            self._compact()

    def _leave_out(self) -> None:
        """The oldest line waits no longer."""
        number, length = self._lines.popleft()
        self._done = number
        self._at += length
        _write_number(self._marks, number, 0)

    def _tidy(self) -> None:
        if self._at > self._limit or (not self._lines and self._at > self._limit // 16):
            self._compact()

    def _compact(self) -> None:
        """Write the file anew with the lines that wait and those of the last segment."""
        kept, data = [], os.pread(self._file, self._size, 0)
        for line in data.splitlines(keepends=True):
            entry = json.loads(line)
            if entry["number"] > self._done or (entry["run"], entry["segment"]) == (self._run, self._segment):
                kept.append((entry["number"], line))
        write_atomic(self._path, b"".join(line for _, line in kept))
        os.close(self._file)
        self._file = os.open(self._path, os.O_RDWR)
        self._at = sum(len(line) for number, line in kept if number <= self._done)
        self._size = sum(len(line) for _, line in kept)


_SHARED: dict[Path, Spool] = {}  # those in use, by their paths without a suffix
_SHARING = threading.Lock()


def has_waiting(folder: Path) -> bool:
    """Whether events wait in some spool of a folder, as far as it can be read; no other process must use them."""
    for path in folder.glob("*.jsonl"):
        try:
            spool = Spool.shared(folder, path.stem)
        except OSError:
            return True
        waits = len(spool) > 0
        spool.close()
        if waits:
            return True
    return False


def _write_number(descriptor: int, number: int, at: int) -> None:
    _write_all(descriptor, b"%0*d" % (_DIGITS, number), at)  # of one length, in place: a kill cannot tear it


def _write_all(descriptor: int, data: bytes, at: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, at)
        data, at = data[written:], at + written
