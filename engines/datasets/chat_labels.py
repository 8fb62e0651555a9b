"""Audience reaction as labels: how much more a room comments than usual, as a rate per segment.

This is for recordings without view logs. Each segment has three measures, of the comments written `delay` seconds
later:

    chatters  ln(1 + distinct authors per 30 s)     weight 1/2: a viewer who floods the room counts once
    comments  ln(1 + comments per 30 s)             weight 1/4: the amount of talk, which flooding can raise
    laughter  share of comments that laugh          weight 1/4: tells amusement from greetings and quarrels

Each becomes a standard score z. The room's level, the mean over LEVEL_SECONDS around the segment, is subtracted; the
difference is divided by the deviation of such differences over the room. The rate is the logistic of the weighted mean
of z. The weights are chosen, not fitted. Level and deviation use hindsight, which a label may: from the past alone, a
room that fills up would seem thrilled. Published work also finds highlights by messages: Jiang et al. (LIGHTOR, arXiv
1910.12201), and Fu et al. (EMNLP 2017) by their characters.

Comments come late, by the viewers' delay and the time to write. Fu et al.'s code reads the 7 s of chat after a frame,
and trains only on the last quarter of each highlight (chengyangfu/Pytorch-Twitch-LOL, run.sh). DELAY is a little
longer, because a viewer's player also lags behind the recorder; we found no measurement of either.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.comments.feed import CommentTrack
from kuaihl.engines.encoders.signals.comments import comment_signals
from kuaihl.engines.types import Comment
from kuaihl.models.errors import DataError
from kuaihl.models.signals import FARTHEST, PRIOR, SIGNALS

DELAY = 10.0  # seconds from an event to the comments on it
_WEIGHTS = {"chatters": 0.5, "comments": 0.25, "laughter": 0.25}
_LEVEL_SECONDS = 1800.0  # around a segment: far longer than a reaction, shorter than an audience takes to change
_FEW = 5.0  # comments; a share of this many counts half
_FEWEST_PER_SEGMENT = 2.0  # comments on average; with fewer, chance moves counts as much as a reaction

Floats = NDArray[np.float64]


def chat_rates(
    comments: Sequence[Comment], starts: Floats, ends: Floats, where: str, *, delay: float = DELAY
) -> NDArray[np.float32]:
    """The rate of each segment [S] from `starts` to `ends` [S], in (0, 1); 1/2 is the room's level.

    Raises DataError for fewer than FEWEST_PER_SEGMENT comments per segment; it names `where`.
    """
    written = CommentTrack(comment for comment in comments if comment.kind == "chat")
    last = float(ends[-1])
    inside = len(written.take(float(starts[0]), last))
    if inside < _FEWEST_PER_SEGMENT * len(starts):
        raise DataError(
            f"{where}: {inside} comments within the recording, too few to label {len(starts)} segments by "
            f"(at least {_FEWEST_PER_SEGMENT:.0f} a segment)"
        )
    rows = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        # Comments after the end may not be recorded, so the window of the last segments moves less.
        begin = min(start + delay, last - (end - start))
        rows.append(_measure_reaction(written.take(begin, begin + end - start), end - start))
    values = np.array(rows)
    spreads = np.array([signal.spread for name in _WEIGHTS for signal in SIGNALS if signal.name == name])
    z = standard_scores(values, (starts + ends) / 2, spreads)
    rates: NDArray[np.float32] = (1 / (1 + np.exp(-z @ np.array([*_WEIGHTS.values()])))).astype(np.float32)
    return rates


def _measure_reaction(comments: Sequence[Comment], seconds: float) -> list[float]:
    """The measures of WEIGHTS, in order, of the comments within `seconds`."""
    measured = comment_signals(comments, seconds)
    trusted = len(comments) / (len(comments) + _FEW)
    return [measured[name] * (trusted if name == "laughter" else 1.0) for name in _WEIGHTS]


def standard_scores(values: Floats, middles: Floats, spreads: Floats) -> Floats:
    """Scores [S, K] of values [S, K] of segments around `middles` [S], relative to the room's level around each.

    As for signals, the usual `spreads` [K] count for PRIOR segments beside the room's own.
    """
    first = np.searchsorted(middles, middles - _LEVEL_SECONDS / 2)
    after = np.searchsorted(middles, middles + _LEVEL_SECONDS / 2, side="right")
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    differences = values - (total[after] - total[first]) / (after - first)[:, None]
    squares = (differences**2).sum(axis=0)
    deviation = np.sqrt((PRIOR * spreads**2 + squares) / (PRIOR + len(values)))
    scores: Floats = np.clip(differences / deviation, -FARTHEST, FARTHEST)
    return scores
