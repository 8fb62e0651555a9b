"""Training stretches of simulated rooms: a set in, batches of at most SEQUENCE segments out, changed as they are drawn.

Every stretch is met once. Words are blurred, pictures are mixed with another world, and signals go missing.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.signals import COLUMNS, GROUPS, SIGNALS
from kuaihl.models.simulation.feature_bank import NO_WORDS, FeatureBank, RoomFeatures
from kuaihl.models.simulation.simulated_set import SimulatedSet
from kuaihl.models.simulation.terms import labels_of, present_labels_of

if TYPE_CHECKING:
    from kuaihl.models.batch import Batch

_Rows = NDArray[Any]

SEQUENCE = 39  # 2n - 1 segments: a score of a running stream depends on no more
BATCH = 24
_BEGINNING = 0.3  # of the stretches begin with their room, as every stream does
_BLANK = 0.1  # of the training stretches show no pictures, like sound alone; so the ablation is no surprise either
_ELSEWHERE = 0.8  # at most this share of a training picture is of a world not drawn, or the head trusts 32 drawings
BLUR = 1.0  # deviations of the training texts along each direction: no text reads the same twice
_UNTOLD = 0.5  # of the stretches lack some signals of their known groups, because platforms do not report all
_MOST_UNTOLD = 0.6  # of the signals of such a stretch


def training_batches(data: SimulatedSet, random: np.random.Generator) -> "Iterator[Batch]":
    """Two stretches of SEQUENCE segments per room, in random order; those of short rooms are padded at their end."""
    import torch

    from kuaihl.models.batch import Batch

    order = random.permutation(np.repeat(np.arange(len(data.rooms)), 2))
    for first in range(0, len(order), BATCH):
        drawn: dict[str, list[_Rows]] = {}
        streamers = []
        for index in order[first : first + BATCH]:
            streamers.append(data.rooms[index].streamer + 1)
            for name, rows in _stretch(data, int(index), random).items():
                drawn.setdefault(name, []).append(_pad(rows))
        parts = {name: torch.from_numpy(np.stack(rows)) for name, rows in drawn.items()}
        yield Batch(
            visual=parts["visual"],  # [B, S, P, d_v]
            text=parts["text"].float(),  # [B, S, d_t]
            streamer=torch.tensor(streamers),  # [B]
            labels=parts["labels"].float(),  # [B, S]
            label_valid=parts["label_valid"],
            segment_valid=parts["segment_valid"],
            signals=parts["signals"],  # [B, S, k]
            interest=parts["interest"].float(),
            interest_valid=parts["interest_valid"],
        )


def _stretch(data: SimulatedSet, index: int, random: np.random.Generator) -> dict[str, _Rows]:
    """At most SEQUENCE segments of a room, some stretches from its beginning, by the names of a `Batch`."""
    room, features = data.rooms[index], data.features[index]
    latest = max(len(room.rate) - SEQUENCE, 0)
    start = 0 if random.random() < _BEGINNING else int(random.integers(latest + 1))
    part = slice(start, start + SEQUENCE)
    (rate, usable), (present, present_usable) = labels_of(room), present_labels_of(room)
    signals = withhold_signals(data.signals[index][part], random)
    visual = _show_pictures(data.bank, features, part, random)
    if not visual.any():
        signals = without_group(signals, "pictures")
    return {
        "visual": visual,
        "text": say_words(data.bank, features.text[part], random),
        "signals": signals,
        "labels": rate[part],
        "label_valid": usable[part],
        "interest": present[part],
        "interest_valid": present_usable[part],
        "segment_valid": np.ones(len(rate[part]), np.bool_),
    }


def _pad(rows: _Rows) -> _Rows:
    """A stretch [at most SEQUENCE, ...] with zeros after a short room's end: no score looks ahead to them."""
    return np.concatenate([rows, np.zeros((SEQUENCE - len(rows), *rows.shape[1:]), rows.dtype)])


def withhold_signals(signals: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Signals [S, k] of a training stretch, some of them unknown throughout."""
    if random.random() >= _UNTOLD:
        return signals
    lost = random.random(len(SIGNALS)) < random.uniform(0.0, _MOST_UNTOLD)
    kept: NDArray[np.float32] = signals * np.concatenate([np.ones(len(GROUPS), np.bool_), ~lost, ~lost])
    return kept


def without_group(signals: NDArray[np.float32], group: str) -> NDArray[np.float32]:
    """Signals [S, k] as they would be if the group were unknown."""
    own = np.array([signal.group == group for signal in SIGNALS])
    lost = np.concatenate([np.array(COLUMNS[: len(GROUPS)]) == f"has_{group}", own, own])
    kept: NDArray[np.float32] = np.where(lost, np.float32(0.0), signals)
    return kept


def _show_pictures(
    bank: FeatureBank, features: RoomFeatures, part: slice, random: np.random.Generator
) -> NDArray[np.float32]:
    """Pictures [S, P, d_v] of a training stretch: blank, or mixed with another world, the same in every segment.

    A picture with its channels shuffled is as far from all drawn ones as a real picture is, and as sparse.
    """
    own = bank.visual_of(features, part).astype(np.float32)
    if random.random() < _BLANK:
        return np.zeros_like(own)
    share = np.float32(random.uniform(0.0, _ELSEWHERE))
    elsewhere = own[int(random.integers(len(own)))][:, random.permutation(own.shape[-1])]
    mixed: NDArray[np.float32] = (1 - share) * own + share * elsewhere
    return mixed


def say_words(bank: FeatureBank, rows: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float32]:
    """Words [S, d_t] of a training stretch, each moved part of the way to another text of its kind, and blurred.

    The bank has few texts of each kind, and other people's words on a topic lie elsewhere.
    """
    share = random.uniform(0.0, 0.5, size=(len(rows), 1)).astype(np.float32)
    mixed = (1 - share) * bank.text_of(rows) + share * bank.text_of(bank.draw_alike(rows, random))
    blur = BLUR * bank.spread * random.standard_normal(mixed.shape, np.float32)
    blurred: NDArray[np.float32] = np.where((rows == NO_WORDS)[:, None], np.float32(0.0), mixed + blur)
    return blurred
