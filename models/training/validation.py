"""How good a network is between epochs: Kendall's tau-b of its scores with the labels of the validation rooms."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from kuaihl.models.data.klive import KLive
from kuaihl.models.evaluation.rank_correlation import FEWEST_LABELS, kendall_tau_b
from kuaihl.models.evaluation.room_scores import score_rooms
from kuaihl.models.features import TextSource

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Validation:
    """Taus in [-1, 1], 0 if the scores are constant, and quantiles of the scores, as bundles keep them."""

    tau: float  # over all labelled segments of all rooms
    tau_per_room: float  # mean over rooms
    score_quantiles: dict[str, float]


def validate(network: nn.Module, data: KLive, streamers: Mapping[str, int], text: TextSource = "both") -> Validation:
    """Score every validation room whole. Raises DataError, as reading does."""
    rooms = score_rooms(network, data, data.rooms_of("validation"), streamers, text=text)
    every_score = np.concatenate([room.scores for room in rooms])
    return validation_of(((room.scores[room.valid], room.labels[room.valid]) for room in rooms), every_score)


def validation_of(rooms: Iterable[tuple[Floats, Floats]], every_score: Floats | None = None) -> Validation:
    """The validation of rooms or videos, (scores, labels) each; `every_score` includes scores without a label."""
    found = list(rooms)
    scores, labels = (np.concatenate([room[part] for room in found]) for part in (0, 1))
    taus = [kendall_tau_b(*room) for room in found if len(room[0]) >= FEWEST_LABELS]
    values = np.quantile(scores if every_score is None else every_score, _QUANTILES)
    return Validation(
        tau=float(np.nan_to_num(kendall_tau_b(scores, labels))),
        tau_per_room=float(np.nan_to_num(taus).mean()) if taus else 0.0,
        score_quantiles={str(level): float(value) for level, value in zip(_QUANTILES, values, strict=True)},
    )
