"""Puts a source's time stamps on one monotonic clock: seconds on the source's clock in, seconds on ours out.

All times are decode times, which rise without end in a healthy stream. The rules (DESIGN, section 3):

- a jump forward of all streams by up to MAX_GAP is a `gap`: the media is missing, and the clock keeps its time;
- a longer jump forward, or a jump backwards, is a `rebase`: the media after it follows the media before it by one
  frame's duration, and the other streams move by the same amount.
"""

from dataclasses import dataclass
from math import isnan, nan

from kuaihl.engines.types import Event

GAP = 1.0  # seconds: a smaller step is the stream's own rhythm if it has sound; …
_SPARSE_GAP = 10.0  # … this is the limit if it has only video, for a still screen may send few frames
MAX_GAP = 300.0  # seconds: a longer jump is a new clock rather than a pause
BACKWARDS = 1.0  # seconds: a smaller step back is a repeated packet or an overlap …
_FOLLOWS = 0.5  # … but not behind another stream's jump: two streams never jump by quite the same
SKEW = 10.0  # seconds by which one stream may trail the other in the file
_LIVELY = 5.0  # seconds: sound that has been silent for longer says nothing about gaps


@dataclass(slots=True, eq=False)
class Track:
    """The position of one stream; times in seconds."""

    kind: str
    shift: float = 0.0  # from the source's clock to ours
    last: float = nan  # our time of the latest packet; nan before the first, and so outside every range
    step: float = 0.0  # from one packet to the next
    stamped: float = nan  # our time of the latest packet that had a time stamp but no duration
    guessed: int = 0  # packets since then that had neither
    backwards: float = BACKWARDS  # seconds by which it may step back

    def advance(self, time: float, duration: float) -> None:
        """Record a packet at `time` that lasts for `duration`."""
        self.step = duration
        if not time <= self.last:
            self.last = time

    def advance_unmeasured(self, time: float, *, stamped: bool) -> None:
        """Record a packet of unknown duration; `time` is `expected` unless it is `stamped`.

        Several packets may share one stamp, as 16 AAC frames of a PES do: a step is a share of the time between two.
        """
        if stamped:
            step = (time - self.stamped) / (self.guessed + 1)
            if 0.0 < step <= GAP:
                self.step = step
            self.stamped, self.guessed = time, 0
        else:
            self.guessed += 1
        if not time <= self.last:
            self.last = time

    @property
    def end(self) -> float:
        return self.last + self.step


class Clock:
    """One clock for all streams of a source; `origin` on the source's clock is `start` on ours."""

    def __init__(self, tracks: list[Track], origin: float | None = None, start: float = 0.0) -> None:
        self.tracks = tracks
        self.origin = origin
        self.start = start
        self.shared = nan  # the shift that the latest jump gave to its stream, for the others to follow
        self.first_shift = nan  # the shift before any jump
        self.rebases = 0

    @property
    def begun(self) -> bool:
        return not isnan(self.shared)

    def front(self) -> float:
        """How far the media has come: the end of the latest packet of any stream."""
        return max((track.end for track in self.tracks if not isnan(track.last)), default=self.start)

    def expected(self, track: Track) -> float:
        """The time of a packet without time stamps, on the source's clock."""
        if not self.begun:
            return self.origin or 0.0
        return (self.front() if isnan(track.last) else track.end) - track.shift

    def fits(self, track: Track, raw: float) -> bool:
        """Whether `raw` continues the media, on the stream's own shift or the latest jump's; the one that fits is set.

        A stream fits if it paused while another one went on, or if it begins late.
        """
        if not self.begun:
            self.begin(raw)
        front = self.front()
        ceiling = front + self.rhythm()
        floor = front - SKEW if isnan(track.last) else track.last - track.backwards
        for shift in (track.shift, self.shared):
            if floor <= raw + shift <= ceiling:
                if shift == self.shared:
                    track.backwards = BACKWARDS
                track.shift = shift
                return True
        return False

    def begin(self, raw: float) -> None:
        """Start the clock at the very first packet, at `raw`; a given origin holds unless it is out of reach."""
        origin = raw if self.origin is None or abs(raw - self.origin) > SKEW else self.origin
        self.shared = self.first_shift = self.start - origin
        for track in self.tracks:
            track.shift = self.shared

    def rhythm(self) -> float:
        """The longest step in seconds that is not a gap: sound comes without pauses, pictures may pause."""
        front = self.front()
        return (
            GAP if any(track.kind == "audio" and track.end > front - _LIVELY for track in self.tracks) else _SPARSE_GAP
        )

    def agree(self, one: float, other: float) -> bool:
        """Whether two times on the source's clock confirm each other; neither fits alone."""
        return abs(one - other) <= self.rhythm()

    def jump(self, track: Track, raw: float) -> Event:
        """Accept `raw`, which does not fit; the event, at the end of the media so far, describes the jump."""
        front = self.front()
        ahead = raw + track.shift - front
        if 0.0 < ahead <= MAX_GAP:
            return Event("gap", front, f"{ahead:.1f} s of media are missing")
        self.rebases += 1
        for one in self.tracks:
            one.backwards = BACKWARDS if one is track else _FOLLOWS
        track.shift = self.shared = front - raw
        direction = "ahead" if ahead > 0.0 else "back"
        detail = f"the time stamps jumped {direction} by {abs(ahead):.1f} s ({track.kind})"
        return Event("rebase", front, detail, stamp=raw + self.first_shift)
