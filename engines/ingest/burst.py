"""Tells when a burst is over: after an interruption, media that waited somewhere come faster than they are shown.

The lag of a packet is its arrival less its time stamp. It falls during a burst, and stays once packets come as they
are made. The lowest lag is then the connection's own; one measured earlier would be too long. Over a link that is too
slow the lag rises, and the burst only comes when the link has recovered.
"""

from math import inf

_QUIET_SECONDS = 1.3  # the lag must not fall for this long, …
_FALL = 0.05  # … by more than this many seconds
_TIMELY = 0.15  # seconds above the lowest lag that are chance, not a link that is too slow
_SPELL_SECONDS = 0.2  # late packets for longer show a slow link; a quick burst falls again before this is over


class Burst:
    """The lags of the packets since an interruption."""

    def __init__(self, *, silence_ends: bool) -> None:
        """`silence_ends`: a silence after it is its end, as of pieces; otherwise the link may only be too slow."""
        self.silence_ends = silence_ends
        self.low = inf
        self._mark = inf  # the lag to which it fell …
        self._since = inf  # … at this time, and has kept
        self._kept_at = inf  # a packet was as timely QUIET_SECONDS later
        self._late_at = inf  # the first packet beyond TIMELY after the latest one within it
        self._latest_at = -inf

    def add(self, at: float, decode_time: float) -> None:
        """Note a packet's arrival and decode time, in seconds on any two clocks."""
        lag = at - decode_time
        self.low, self._latest_at = min(self.low, lag), at
        if lag > self.low + _TIMELY:
            self._late_at = min(self._late_at, at)
            return
        if lag < self._mark - _FALL:
            self._mark, self._since, self._kept_at = lag, at, inf
        elif at > self._late_at + _SPELL_SECONDS and not self.silence_ends:
            self._since, self._kept_at = at, inf  # on its way down from where it had risen to
        elif at >= self._since + _QUIET_SECONDS:
            self._kept_at = min(self._kept_at, at)
        self._late_at = inf

    def is_over(self, now: float) -> bool:
        """Whether packets come as they are made: `low` is then the lag."""
        if self.silence_ends:
            return now >= self._since + _QUIET_SECONDS and self._latest_at <= self._late_at + _SPELL_SECONDS
        return now >= self._kept_at + _SPELL_SECONDS

    def wake_at(self, now: float, deadline: float) -> float:
        """When to ask again if no packet comes before."""
        over_at = self._since + _QUIET_SECONDS if self.silence_ends else self._kept_at + _SPELL_SECONDS
        return min(over_at, deadline) if over_at > now else deadline
