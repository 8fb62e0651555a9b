"""Scores of a data set's rooms: rooms in, the next segment's score and true label at every segment out.

A score of a causal network depends on the last 2n − 1 segments at most. So a long room is read in stretches that
overlap by the context of each one's first score. Memory stays bounded, and the scores are those of one pass.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kuaihl.models.data.klive import KLive
from kuaihl.models.data.segment_counts import UNKNOWN_ROOM, sparse_rows
from kuaihl.models.data.shift import next_of
from kuaihl.models.dims import UNKNOWN_STREAMER, NetworkDims
from kuaihl.models.facts import RoomRecord
from kuaihl.models.features import TextSource
from kuaihl.models.network.kuaihl import KuaiHL
from kuaihl.models.network.linear import LaggedLinear

_STRETCH = 256  # segments scored in one pass
_FEWEST_BEFORE = 24  # segments that Adaptive-H-FCSN's convolutions reach back, however short the window


@dataclass(frozen=True)
class ScoredRoom:
    """A room of S segments; scores and labels stand at the segment before the one that they are about."""

    record: RoomRecord
    scores: NDArray[np.float64]  # [S] in (0, 1)
    labels: NDArray[np.float64]  # [S] in [0, 1]
    valid: NDArray[np.bool_]  # [S], True if the label counts
    present: "ScoredRoom | None" = None  # the second output's answers, with the labels of the segments themselves


def score_rooms(
    network: nn.Module,
    data: KLive,
    records: Iterable[RoomRecord],
    streamers: Mapping[str, int],
    text: TextSource = "both",
    stretch: int = _STRETCH,
) -> list[ScoredRoom]:
    """Score rooms on the network's own device; one that is not causal reads each room whole. Raises DataError.

    Every room is unknown to a network that reads live IDs.
    """
    network.eval()
    device = next(network.parameters()).device
    dims = cast(NetworkDims, network.dims)
    reads_counts = getattr(network, "reads_counts", False)
    context = max(2 * dims.window - 2, _FEWEST_BEFORE) if dims.causal else 0
    scored = []
    with torch.inference_mode():
        for record in records:
            room = data.room(record, text=text, counts=reads_counts, signals=dims.signals > 0)
            streamer = torch.tensor([streamers.get(record.streamer, UNKNOWN_STREAMER)], device=device)
            length = stretch if dims.causal else record.segments
            scores, interest = [], []
            for first in range(0, record.segments, length):
                seen = slice(max(0, first - context), min(first + length, record.segments))
                visual = torch.from_numpy(np.array(room.visual[seen])).to(device).float()[None]  # [1, W, P, d_v]
                words = torch.from_numpy(np.array(room.text[seen])).to(device).float()[None]  # [1, W, d_t]
                sparse = []
                if reads_counts and room.counts is not None:
                    rows = sparse_rows(UNKNOWN_ROOM, seen.start, room.counts[seen])
                    sparse = [torch.from_numpy(rows).to(device)[None]]  # [1, W, 10]
                signals = None
                if dims.signals and room.signals is not None:
                    signals = torch.from_numpy(np.array(room.signals[seen])).to(device)[None]  # [1, W, k]
                if isinstance(network, KuaiHL | LaggedLinear):
                    logits, present = network.outputs(visual, words, streamer, None, signals)
                else:
                    logits, present = network(visual, words, streamer, None, *sparse), None
                scores.append(torch.sigmoid(logits[0, first - seen.start :]).double().cpu().numpy())
                if present is not None:
                    interest.append(torch.sigmoid(present[0, first - seen.start :]).double().cpu().numpy())
            labels, valid = room.labels()
            asked = None
            if interest:
                own_labels, own_valid = room.present_labels()
                asked = ScoredRoom(record, np.concatenate(interest), own_labels.astype(np.float64), own_valid)
            scored.append(ScoredRoom(record, np.concatenate(scores), labels.astype(np.float64), valid, asked))
    return scored


def ceiling_rooms(data: KLive, records: Iterable[RoomRecord]) -> list[ScoredRoom] | None:
    """The rooms, scored by the true rate of the next segment; None if a room does not hold it."""
    scored = []
    for record in records:
        room = data.room(record)
        if room.true_rate is None:
            return None
        labels, valid = room.labels()
        truth = next_of(room.true_rate).astype(np.float64)
        scored.append(ScoredRoom(record, truth, labels.astype(np.float64), valid))
    return scored
