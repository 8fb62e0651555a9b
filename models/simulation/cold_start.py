"""The default bundle's head, trained on simulated rooms: feature banks in, a network and its report out.

Held-out rooms have streamers, sentences and scenes that never occur in training; half of them have new genres, too.
They are scored as streams of an unknown streamer.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.dims import EDGE_DIMS
from kuaihl.models.network.standardize import read_standardised
from kuaihl.models.signals import COLUMNS, GROUPS, SIGNALS, SIGNALS_WIDTH, with_standard_scores
from kuaihl.models.simulation.feature_bank import NO_WORDS, FeatureBank, RoomFeatures, features_of
from kuaihl.models.simulation.rooms import draw_rooms
from kuaihl.models.simulation.streamers import draw_streamers
from kuaihl.models.simulation.terms import HELD_OUT_GENRES, TRAINING_GENRES, Room, labels_of, present_labels_of
from kuaihl.models.simulation.topic_directions import reading_whole_vectors, seen_along, topic_directions

if TYPE_CHECKING:
    from kuaihl.models.batch import Batch
    from kuaihl.models.network.kuaihl import KuaiHL


_Rows = NDArray[Any]

_STREAMERS = 200  # of an epoch
_ID_DROPOUT = 0.5  # high, because the shipped head meets none of these streamers again
SEQUENCE = 39  # 2n - 1 segments: a score of a running stream depends on no more
_BATCH = 24
_BEGINNING = 0.3  # of the stretches begin with their room, as every stream does
_BLANK = 0.1  # of the training stretches show no pictures, like sound alone; so the ablation is no surprise either
_ELSEWHERE = 0.8  # at most this share of a training picture is of a world not drawn, or the head trusts 32 drawings
BLUR = 1.0  # deviations of the training texts along each direction: no text reads the same twice
_UNTOLD = 0.5  # of the stretches lack some signals of their known groups, because platforms do not report all
_MOST_UNTOLD = 0.6  # of the signals of such a stretch
_LEARNING_RATE = 1e-3
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class SimulatedSet:
    """Rooms, the places of their features, and the bank that holds them."""

    rooms: list[Room]
    features: list[RoomFeatures]
    signals: list[NDArray[np.float32]]  # [S, SIGNALS_WIDTH] each
    bank: FeatureBank


@dataclass(frozen=True)
class RoomAnswers:
    """A network's answers for a room of S segments, in (0, 1)."""

    score: NDArray[np.float64]  # [S], of the next segment
    interest: NDArray[np.float64]  # [S], of the segment itself


@dataclass(frozen=True)
class ColdStart:
    """A trained head without its training streamers, its measurements, and quantiles of its scores."""

    network: "KuaiHL"
    metrics: dict[str, Any]
    score_quantiles: dict[str, float]


def simulate(
    count: int, bank: FeatureBank, seed: int, first_room: int = 0, genres: Sequence[str] = TRAINING_GENRES
) -> SimulatedSet:
    """Rooms of new streamers: another seed gives other streamers, another `first_room` other rooms of the same ones."""
    streamers = draw_streamers(_STREAMERS, np.random.default_rng(seed), genres)
    random = np.random.default_rng((seed, first_room))
    rooms = draw_rooms(count, streamers, bank.styles, random)
    features = [features_of(room, bank, random) for room in rooms]
    return SimulatedSet(rooms, features, [with_standard_scores(room.signals) for room in rooms], bank)


def simulate_held_out(count: int, bank: FeatureBank, seed: int) -> SimulatedSet:
    """Rooms to test on, of new streamers: half of them of genres that training has not met."""
    known = simulate(count - count // 2, bank, seed)
    new = simulate(count // 2, bank, seed, first_room=count, genres=HELD_OUT_GENRES)
    return SimulatedSet(known.rooms + new.rooms, known.features + new.features, known.signals + new.signals, bank)


def train_cold_start(
    train_bank: FeatureBank,
    held_out_bank: FeatureBank,
    *,
    rooms: int,
    epochs: int,
    seed: int,
    on_message: Callable[[str], None],
) -> ColdStart:
    """Train the edge head and measure it; keeps the epoch with the best validation tau, averaged over both questions.

    Every epoch has `rooms` new rooms: they cost nothing, and none can be memorised. Validation rooms are new rooms of
    new streamers from the training bank. Held-out rooms are used once, at the end.
    """
    import torch

    from kuaihl.models.losses.objective import Objective
    from kuaihl.models.network.kuaihl import KuaiHL
    from kuaihl.models.simulation.report import measure, room_taus

    torch.manual_seed(seed)
    directions = topic_directions(train_bank)
    train_bank = seen_along(train_bank, directions)
    validation = simulate(max(20, rooms // 10), train_bank, seed + 1)
    held_out = simulate_held_out(max(20, rooms // 4), held_out_bank, seed + 2)
    network = KuaiHL(
        replace(
            EDGE_DIMS,
            text_width=directions.shape[1],
            streamers=_STREAMERS,
            id_dropout=_ID_DROPOUT,
            signals=SIGNALS_WIDTH,
            interest=True,
        )
    )
    read_standardised(network.text, train_bank.text)
    read_standardised(network.visual, train_bank.visual)
    read_standardised(network.signals, np.concatenate(validation.signals))
    optimiser = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
    random = np.random.default_rng(seed)
    steps = -(-2 * rooms // _BATCH) * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=steps, pct_start=0.1)
    # Most rooms lack words or pictures, and nothing can be aligned with a missing input.
    objective = Objective(align=0.0)
    best, best_tau = network.state_dict(), -1.0
    for epoch in range(epochs):
        total, batches = 0.0, 0
        network.train()
        train = simulate(rooms, train_bank, seed, first_room=epoch * rooms)
        for batch in training_batches(train, random):
            terms = network.training_losses(objective, batch)
            optimiser.zero_grad()
            terms.total.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total, batches = total + float(terms.total.detach()), batches + 1
        answers = score_rooms(network, validation)
        score = float(np.nanmean(room_taus([each.score for each in answers], validation.rooms, labels_of)))
        interest = float(
            np.nanmean(room_taus([each.interest for each in answers], validation.rooms, present_labels_of))
        )
        on_message(
            f"epoch {epoch + 1}/{epochs}: loss {total / batches:.4f}, "
            f"validation tau of score {score:.3f}, of interest {interest:.3f}"
        )
        if (score + interest) / 2 > best_tau:
            best = {name: part.clone() for name, part in network.state_dict().items()}
            best_tau = (score + interest) / 2
    network.load_state_dict(best)
    network = reading_whole_vectors(network, directions)
    answers = score_rooms(network, held_out)
    report = measure(network, answers, held_out, seed=seed) | {"validation_tau": round(best_tau, 3)}
    values = np.quantile(np.concatenate([each.score for each in answers]), _QUANTILES)
    return ColdStart(
        without_streamers(network), report, {str(q): float(v) for q, v in zip(_QUANTILES, values, strict=True)}
    )


def training_batches(data: SimulatedSet, random: np.random.Generator) -> "Iterator[Batch]":
    """Two stretches of SEQUENCE segments per room, in random order; those of short rooms are padded at their end."""
    import torch

    from kuaihl.models.batch import Batch

    order = random.permutation(np.repeat(np.arange(len(data.rooms)), 2))
    for first in range(0, len(order), _BATCH):
        drawn: dict[str, list[_Rows]] = {}
        streamers = []
        for index in order[first : first + _BATCH]:
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


def score_rooms(network: "KuaiHL", data: SimulatedSet, *, without: Sequence[str] = ()) -> list[RoomAnswers]:
    """The network's answers for every room as a stream of an unknown streamer; `without` names inputs to blank.

    Pictures are blanked with their signals; words or signals alone.
    """
    import torch

    network.eval()
    answers = []
    with torch.inference_mode():
        for features, columns in zip(data.features, data.signals, strict=True):
            visual = torch.from_numpy(data.bank.visual_of(features))[None].float()
            text = torch.from_numpy(data.bank.text_of(features.text))[None].float()
            columns = without_group(columns, "pictures") if "pictures" in without else columns
            signals = torch.from_numpy(columns)[None]
            score, interest = network.outputs(
                torch.zeros_like(visual) if "pictures" in without else visual,
                torch.zeros_like(text) if "words" in without else text,
                torch.zeros(1, dtype=torch.long),
                None,
                torch.zeros_like(signals) if "signals" in without else signals,
            )
            assert interest is not None
            answers.append(RoomAnswers(*(each[0].sigmoid().double().numpy() for each in (score, interest))))
    return answers


def without_streamers(network: "KuaiHL") -> "KuaiHL":
    """The same network, which knows only the unknown streamer: simulated streamers do not exist."""
    from kuaihl.models.network.kuaihl import KuaiHL

    state = network.state_dict()
    state["streamer.weight"] = state["streamer.weight"][:1]
    bare = KuaiHL(replace(network.dims, streamers=0))
    bare.load_state_dict(state)
    return bare.eval()
