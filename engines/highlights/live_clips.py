"""Clips of a stream cut while it runs: a highlight that has closed is cut at once, on a thread of its own.

The packets come from the ring of those that passed last. What is live about a clip is its choice and its name: it is
the highlight that was seen at the time, and nothing is known of those to come.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path

from kuaihl.engines.highlights.clip_names import name_clip
from kuaihl.engines.highlights.clips import Clip, FailedClip, cut_held
from kuaihl.engines.highlights.packet_ring import PacketRing, Taken
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.types import SAME_TIME, Highlight
from kuaihl.models.errors import SourceError, reason_of

_LATE = 0.5  # seconds that may be missing at a clip's start without a word


@dataclass(frozen=True)
class LiveClip:
    """What came of a highlight that closed while the stream ran; its span is without padding."""

    start: float
    end: float
    score: float
    clip: Clip | FailedClip


class LiveClips:
    """Cuts one clip after another; all that it is given is cut by the time that `finish` returns."""

    def __init__(
        self,
        ring: PacketRing,
        folder: Path,
        stem: str,
        template: str,
        padding: tuple[float, float],
        earlier: Sequence[LiveClip],
        report: Callable[[Highlight, str], None],
    ) -> None:
        """`folder` is made for the first clip, `stem` is the template's source, and `padding` is in seconds.

        `earlier` clips are those of a run that goes on. `report` receives what came of each highlight in one line, from
        another thread.
        """
        self._ring, self._folder, self._stem, self._template = ring, folder, stem, template
        self._padding, self._report = padding, report
        self._clips = list(earlier)
        self._number = len(earlier)
        self._taken = {one.clip.path.stem.casefold() for one in earlier if isinstance(one.clip, Clip)}
        self._lock = threading.Lock()  # of `_clips`
        self._worker = ThreadPoolExecutor(1, "clips")

    @property
    def clips(self) -> tuple[LiveClip, ...]:
        """Those that are cut or have failed so far, in order."""
        with self._lock:
            return tuple(self._clips)

    def cut(self, highlights: Sequence[Highlight]) -> None:
        """Have highlights cut that have just closed; returns at once.

        One that an earlier run was stopped in has its clip: the gap that follows closes it again, at the same time.
        """
        for one in highlights:
            if not self._is_known(one):
                self._submit(one, *self._named(one))

    def go_on(self, last: Sequence[Highlight]) -> None:
        """After a kill: of the highlights that closed `last`, note the clips that are there, and have the others cut.

        Each of those gets a line, if not its media.
        """
        missed = []
        for one in last:
            if self._is_known(one):
                continue
            padded, name = self._named(one)
            path = next(self._folder.glob(f"{escape(name)}.*"), None)
            if path is None:
                missed.append((one, padded, name))
            else:
                clip = Clip(path, _start_of(path, padded), padded.end)
                self._clips.append(LiveClip(one.start, one.end, one.score, clip))
        self._taken |= {path.stem.casefold() for path in self._folder.glob("*")}
        for each in missed:
            self._submit(*each)

    def _is_known(self, highlight: Highlight) -> bool:
        start, end = highlight.start, highlight.end
        return any(abs(one.start - start) <= SAME_TIME and abs(one.end - end) <= SAME_TIME for one in self.clips)

    def _submit(self, highlight: Highlight, padded: Highlight, name: str) -> None:
        self._ring.reserve(padded.start)
        self._worker.submit(self._cut, highlight, padded, name)

    def _named(self, highlight: Highlight) -> tuple[Highlight, str]:
        """The next highlight with its padding, and the name of its clip."""
        before, after = self._padding
        padded = replace(highlight, start=max(highlight.start - before, 0.0), end=highlight.end + after)
        self._number += 1
        return padded, name_clip(self._template, self._stem, self._number, padded, self._taken)

    def release(self, before: float) -> None:
        """No highlight that closes later begins before this time."""
        self._ring.release(before - self._padding[0])

    def finish(self) -> None:
        """Cut what waits, from the media that there is. Idempotent."""
        self._ring.end()
        self._worker.shutdown()

    def _cut(self, highlight: Highlight, padded: Highlight, name: str) -> None:
        taken = self._ring.take(padded.start, padded.end)
        clip: Clip | FailedClip
        try:
            if taken.first >= padded.end - SAME_TIME:
                clip = FailedClip(f"no clip: {self._why_missing(taken, padded)}")
            else:
                self._folder.mkdir(exist_ok=True)
                clip = cut_held(taken.packets, taken.points, padded, self._folder, name)
        except Exception as error:  # nobody asks the worker what it raised
            clip = FailedClip(f"{name}: cannot be cut ({reason_of(error)})")
        with self._lock:
            self._clips.append(LiveClip(highlight.start, highlight.end, highlight.score, clip))
        self._report(highlight, clip.reason if isinstance(clip, FailedClip) else self._described(clip, padded, taken))

    def _described(self, clip: Clip, padded: Highlight, taken: Taken) -> str:
        missing = clip.start - padded.start
        if missing <= _LATE or taken.first <= padded.start + SAME_TIME:  # all is here, or it was missing in the stream
            return clip.path.name
        return f"{clip.path.name} lacks the first {missing:.1f} s: {self._why_missing(taken, padded)}"

    def _why_missing(self, taken: Taken, padded: Highlight) -> str:
        if padded.start < taken.began - SAME_TIME:
            return "this run began later, and what an earlier one read is not kept"
        return f"more than {self._ring.most_bytes >> 20} MB of media waited"


def _start_of(path: Path, padded: Highlight) -> float:
    """Where a clip begins that was cut for a padded highlight: at its own start if the file does not tell."""
    with suppress(SourceError), open_source(str(path)) as source:
        if source.duration is not None:
            return max(padded.end - source.duration, 0.0)
    return padded.start


def find_live_clip(highlight: Highlight, clips: Sequence[LiveClip]) -> Clip | None:
    """The clip whose highlight shares the most time with this one, and half of the shorter's at least; or None."""
    most, found = SAME_TIME, None
    for one in clips:
        shared = min(one.end, highlight.end) - max(one.start, highlight.start)
        shorter = min(one.end - one.start, highlight.end - highlight.start)
        if isinstance(one.clip, Clip) and shared >= shorter / 2 and shared > most:
            most, found = shared, one.clip
    return found
