"""A curve on one line of a terminal: scores in, block characters out, even hours of them in the same width."""

from collections.abc import Sequence
from itertools import pairwise

_BLOCKS = "▁▂▃▄▅▆▇█"
_SMALLEST_RANGE = 0.02  # of scores; a flat curve is drawn flat, without enlarging its noise


def draw_sparkline(scores: Sequence[float], *, width: int) -> str:
    """At most `width` characters, one block per score; if there are more scores than room, the highest of several."""
    columns = min(len(scores), max(1, width))
    if not columns:
        return ""
    # Take the maximum, not the mean: a burst of one segment must still show when ten segments share a character.
    edges = [len(scores) * column // columns for column in range(columns + 1)]
    peaks = [max(scores[a:b]) for a, b in pairwise(edges)]
    low = min(peaks)
    scale = max(max(peaks) - low, _SMALLEST_RANGE)
    return "".join(_BLOCKS[min(len(_BLOCKS) - 1, int((peak - low) / scale * len(_BLOCKS)))] for peak in peaks)
