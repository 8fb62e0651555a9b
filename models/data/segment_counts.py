"""A platform's counts per segment, as the paper's ID-based methods read them (supplement, section II).

The layout holds them as an optional array `counts` [S, 8]; the reader joins them with the segment's place for a
regressor.
"""

import numpy as np
from numpy.typing import NDArray

SEGMENT_COUNTS = ("exposure", "comment", "gift", "click", "like", "follow", "entry", "exit")  # columns of `counts`
NOT_COUNTED = -1  # nobody counted; 0 is a count
ROOM, SEGMENT, FIRST_COUNT = 0, 1, 2  # columns of a sparse row: live ID, timestamp ID, then SEGMENT_COUNTS
SPARSE = FIRST_COUNT + len(SEGMENT_COUNTS)
UNKNOWN_ROOM = 0


def segment_counts(segments: int, **counted: NDArray[np.integer]) -> NDArray[np.int32]:
    """The array `counts` [S, 8] of the given SEGMENT_COUNTS, [S] each. Raises KeyError for another name."""
    counts = np.full((segments, len(SEGMENT_COUNTS)), NOT_COUNTED, np.int32)
    places = {name: place for place, name in enumerate(SEGMENT_COUNTS)}
    for name, values in counted.items():
        counts[:, places[name]] = values
    return counts


def sparse_rows(room: int, first: int, counts: NDArray[np.int32]) -> NDArray[np.int32]:
    """Sparse rows [S, 10] of a room's segments from `first` on, with `counts` [S, 8]."""
    rows = np.empty((len(counts), SPARSE), np.int32)
    rows[:, ROOM], rows[:, SEGMENT] = room, np.arange(first, first + len(counts))
    rows[:, FIRST_COUNT:] = counts
    return rows
