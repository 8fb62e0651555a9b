"""The noise ceiling as a contender: rooms whose true rates are known in, those rates as their scores out.

A label is a draw of few impressions at a true rate. Who knew the next segment's true rate could score no better, so
its tau is what is left to be reached (simulated data sets alone).
"""

from collections.abc import Iterable

import numpy as np

from kuaihl.models.klive import KLive, RoomRecord
from kuaihl.models.room_scores import ScoredRoom


def ceiling_rooms(data: KLive, records: Iterable[RoomRecord]) -> list[ScoredRoom] | None:
    """The rooms, scored by the true rate of the next segment; None where a room does not hold it."""
    scored = []
    for record in records:
        room = data.room(record)
        if room.true_rate is None:
            return None
        labels, valid = room.labels()
        truth = np.zeros(record.segments)
        truth[:-1] = room.true_rate[1:]  # the last segment has no next, and no label that counts
        scored.append(ScoredRoom(record, truth, labels.astype(np.float64), valid))
    return scored
