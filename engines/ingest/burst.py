"""Tells when a burst is over: after an interruption, media that waited somewhere come faster than they are shown.

The lag of a packet is its arrival less its time stamp. It falls during a burst, and stays once packets come as they
are made. The lowest lag is then the connection's own; one measured earlier would be too long.
"""

import math
from collections import deque

_QUIET_SECONDS = 0.7  # the lag must not fall for this long, …
_FALL = 0.05  # … by more than this many seconds
_RISE = 0.15  # seconds by which it may rise meanwhile: more comes over a link that is too slow
_LATEST_SECONDS = 0.4  # the period that shows a rise


class Burst:
    """The lags of the packets since an interruption."""

    def __init__(self, *, silence_ends: bool) -> None:
        """`silence_ends`: a silence after it is its end, as of pieces; otherwise the link may only be too slow."""
        self.silence_ends = silence_ends
        self.low = math.inf
        self._mark = math.inf
        self._marked_at = math.inf
        self._latest: deque[tuple[float, float]] = deque()

    def add(self, at: float, decode_time: float) -> None:
        """Note a packet's arrival and decode time, in seconds on any two clocks."""
        lag = at - decode_time
        self.low = min(self.low, lag)
        if lag < self._mark - _FALL:
            self._mark, self._marked_at = lag, at
        self._latest.append((at, lag))
        while self._latest[0][0] < at - _LATEST_SECONDS:
            self._latest.popleft()

    def is_over(self, now: float) -> bool:
        """Whether packets come as they are made: `low` is then the lag."""
        if now < self._marked_at + _QUIET_SECONDS or min(lag for _, lag in self._latest) > self.low + _RISE:
            return False
        return self.silence_ends or now < self._latest[-1][0] + _LATEST_SECONDS

    def wake_at(self, now: float, deadline: float) -> float:
        """When to ask again if no packet comes before."""
        over_at = self._marked_at + _QUIET_SECONDS
        return min(over_at, deadline) if over_at > now else deadline
