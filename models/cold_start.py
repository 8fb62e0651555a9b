"""The default bundle's head, trained on simulated rooms: feature banks in, a network and its report out.

Held-out rooms have streamers, sentences and scenes that training never showed, and are scored as a stream of an unknown
streamer is. The report sets the head beside simple rules and beside the ceiling that label noise allows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.feature_bank import FeatureBank, RoomFeatures, features_of
from kuaihl.models.features import Float16
from kuaihl.models.network_dims import EDGE_DIMS
from kuaihl.models.rank_correlation import kendall_tau_b
from kuaihl.models.simulation import Room, draw_rooms, draw_streamers, labels_of

if TYPE_CHECKING:
    from torch.nn import Module

    from kuaihl.models.batch import Batch
    from kuaihl.models.network import KuaiHL

STREAMERS = 200  # in training
ID_DROPOUT = 0.5  # high, for the shipped head meets none of these streamers again
SEQUENCE = 39  # 2n - 1 segments: all that a score of a running stream may depend on
BATCH = 24
BLANK = 0.1  # of the training stretches show no pictures, as sound alone does; so the ablation is no surprise either
ELSEWHERE = 0.8  # at most so much of a training picture is of a world not drawn, or the head trusts 32 drawings
LEARNING_RATE = 1e-3
FEWEST_LABELS = 10  # of a room, for its tau to count
BOOTSTRAPS = 1000

RULES: dict[str, Callable[[Room], NDArray[np.float64]]] = {
    "comment count": lambda room: room.comments.astype(float),
    "loudness": lambda room: room.loudness,
    "shot count": lambda room: room.cuts.astype(float),
    "motion": lambda room: room.motion,
}


@dataclass(frozen=True)
class SimulatedSet:
    """Rooms, where their features lie, and the bank they lie in."""

    rooms: list[Room]
    features: list[RoomFeatures]
    bank: FeatureBank


@dataclass(frozen=True)
class ColdStart:
    """A trained head without its training streamers, what was measured, and quantiles of its scores."""

    network: "KuaiHL"
    metrics: dict[str, Any]
    score_quantiles: dict[str, float]


def simulate(count: int, bank: FeatureBank, seed: int, first_room: int = 0) -> SimulatedSet:
    """Rooms of streamers of their own: another seed gives others, another `first_room` other rooms of the same."""
    streamers = draw_streamers(STREAMERS, np.random.default_rng(seed))
    random = np.random.default_rng((seed, first_room))
    rooms = draw_rooms(count, streamers, bank.styles, random)
    return SimulatedSet(rooms, [features_of(room, bank, random) for room in rooms], bank)


def train_cold_start(
    train_bank: FeatureBank,
    held_out_bank: FeatureBank,
    *,
    rooms: int,
    epochs: int,
    seed: int,
    tell: Callable[[str], None],
) -> ColdStart:
    """Train the edge head and measure it; the epoch with the best validation tau is kept.

    Every epoch has `rooms` new rooms: simulated ones cost nothing, and none is learned by heart. Validation rooms are
    new rooms of new streamers out of the training bank; held-out rooms are touched once, at the end.
    """
    import torch

    from kuaihl.models.network import KuaiHL
    from kuaihl.models.objective import Objective, losses

    torch.manual_seed(seed)
    validation = simulate(max(20, rooms // 10), train_bank, seed + 1)
    held_out = simulate(max(20, rooms // 5), held_out_bank, seed + 2)
    dims = replace(EDGE_DIMS, streamers=STREAMERS, id_dropout=ID_DROPOUT)
    network = KuaiHL(dims)
    read_standardised(network.text, train_bank.text)
    read_standardised(network.visual, train_bank.visual)
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    random = np.random.default_rng(seed)
    steps = -(-rooms // BATCH) * 2 * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    objective = Objective()
    best, best_tau = network.state_dict(), -1.0
    for epoch in range(epochs):
        total = 0.0
        batches = 0
        network.train()
        train = simulate(rooms, train_bank, seed, first_room=epoch * rooms)
        for batch in training_batches(train, random):
            terms = losses(network, objective, batch)
            optimiser.zero_grad()
            terms.total.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total, batches = total + float(terms.total.detach()), batches + 1
        tau = float(np.mean(room_taus(score_rooms(network, validation), validation.rooms)))
        tell(f"epoch {epoch + 1}/{epochs}: loss {total / batches:.4f}, validation tau {tau:.3f}")
        if tau > best_tau:
            best, best_tau = {name: part.clone() for name, part in network.state_dict().items()}, tau
    network.load_state_dict(best)
    scores = score_rooms(network, held_out)
    report = measure(network, scores, held_out, validation_tau=best_tau, seed=seed)
    levels = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
    quantiles = np.quantile(np.concatenate(scores), levels)
    return ColdStart(
        without_streamers(network), report, {str(q): float(v) for q, v in zip(levels, quantiles, strict=True)}
    )


def training_batches(data: SimulatedSet, random: np.random.Generator) -> "Iterator[Batch]":
    """Two stretches of SEQUENCE segments of every room, in random order: visual, text, streamer, labels, valid."""
    import torch

    from kuaihl.models.batch import Batch

    order = random.permutation(np.repeat(np.arange(len(data.rooms)), 2))
    for first in range(0, len(order), BATCH):
        visual, text, labels, valid, streamer = [], [], [], [], []
        for index in order[first : first + BATCH]:
            room, features = data.rooms[index], data.features[index]
            start = int(random.integers(len(room.rate) - SEQUENCE + 1))
            part = slice(start, start + SEQUENCE)
            rate, usable = labels_of(room)
            visual.append(shown(data.bank, tuple(each[part] for each in features.visual), random))
            text.append(said(data.bank, tuple(each[part] for each in features.text), random))
            labels.append(rate[part])
            valid.append(usable[part])
            streamer.append(room.streamer + 1)
        usable_labels = torch.from_numpy(np.stack(valid))  # [B, S]
        yield Batch(
            visual=torch.from_numpy(np.stack(visual)),  # [B, S, P, d_v]
            text=torch.from_numpy(np.stack(text)).float(),  # [B, S, d_t]
            streamer=torch.tensor(streamer),  # [B]
            labels=torch.from_numpy(np.stack(labels)).float(),  # [B, S]
            label_valid=usable_labels,
            segment_valid=torch.ones_like(usable_labels),
        )


def read_standardised(reader: "Module", features: Float16) -> None:
    """Start a reader's first layer so that it reads each feature less its mean, over its deviation.

    E5's vectors all point nearly the same way: unstandardised, what tells them apart is lost in what they share.
    """
    import torch

    first = reader[0]  # type: ignore[index]
    rows = torch.from_numpy(features.reshape(-1, features.shape[-1])).float()
    rows = rows[rows.abs().sum(dim=1) > 0]
    mean, deviation = rows.mean(dim=0), rows.std(dim=0)
    deviation = deviation.clamp(min=0.1 * float(deviation.mean()))
    with torch.no_grad():
        first.weight /= deviation
        first.bias -= first.weight @ mean


def shown(bank: FeatureBank, where: tuple[NDArray[np.int64], ...], random: np.random.Generator) -> NDArray[np.float32]:
    """Pictures [S, P, d_v] of a training stretch: in part another world, the same in every segment; or blank.

    A picture with its channels shuffled is as far from all drawn ones as a real picture is, and as sparse.
    """
    own = bank.visual[where].astype(np.float32)
    if random.random() < BLANK:
        return np.zeros_like(own)
    share = np.float32(random.uniform(0.0, ELSEWHERE))
    elsewhere = own[int(random.integers(len(own)))][:, random.permutation(own.shape[-1])]
    mixed: NDArray[np.float32] = (1 - share) * own + share * elsewhere
    return mixed


def said(bank: FeatureBank, where: tuple[NDArray[np.int64], ...], random: np.random.Generator) -> NDArray[np.float32]:
    """Words [S, d_t] of a training stretch, each part way to another text of its kind: the bank has few of each."""
    other = (*where[:-1], random.integers(bank.text.shape[-2], size=len(where[-1])))
    share = random.uniform(0.0, 0.5, size=(len(where[-1]), 1)).astype(np.float32)
    mixed: NDArray[np.float32] = (1 - share) * bank.text[where] + share * bank.text[other]
    return mixed


def score_rooms(network: "KuaiHL", data: SimulatedSet, *, without: Sequence[str] = ()) -> list[NDArray[np.float64]]:
    """Scores [S] of every room, each as a stream of an unknown streamer; `without` names inputs to be zeroed."""
    import torch

    network.eval()
    scored = []
    with torch.inference_mode():
        for features in data.features:
            visual = torch.from_numpy(data.bank.visual[features.visual])[None].float()
            text = torch.from_numpy(data.bank.text[features.text])[None].float()
            visual = torch.zeros_like(visual) if "visual" in without else visual
            text = torch.zeros_like(text) if "text" in without else text
            scored.append(torch.sigmoid(network(visual, text, torch.zeros(1, dtype=torch.long)))[0].double().numpy())
    return scored


def room_taus(scores: Sequence[NDArray[np.float64]], rooms: Sequence[Room]) -> list[float]:
    """Kendall's tau-b of each room's scores with the LVTR counted in the next segment; a constant rule scores 0."""
    taus = []
    for score, room in zip(scores, rooms, strict=True):
        rate, usable = labels_of(room)
        if usable.sum() >= FEWEST_LABELS:
            taus.append(float(np.nan_to_num(kendall_tau_b(score[usable], rate[usable]))))
    return taus


def overall_tau(scores: Sequence[NDArray[np.float64]], rooms: Sequence[Room]) -> float:
    """Kendall's tau-b over the segments of all rooms at once."""
    labels = [labels_of(room) for room in rooms]
    chosen = np.concatenate([score[usable] for score, (_, usable) in zip(scores, labels, strict=True)])
    return float(np.nan_to_num(kendall_tau_b(chosen, np.concatenate([rate[usable] for rate, usable in labels]))))


def measure(
    network: "KuaiHL", scores: list[NDArray[np.float64]], data: SimulatedSet, *, validation_tau: float, seed: int
) -> dict[str, Any]:
    """Mean tau a room on held-out rooms, with 95% intervals over rooms: ours, simple rules, what bounds them all."""
    random = np.random.default_rng(seed)
    rooms = data.rooms
    contenders = {
        "head": scores,
        "head, pictures blanked": score_rooms(network, data, without=["visual"]),
        "head, words blanked": score_rooms(network, data, without=["text"]),
        **{name: [rule(room) for room in rooms] for name, rule in RULES.items()},
        "ceiling: the next segment's true rate": [np.append(room.rate[1:], 0.0) for room in rooms],
        "this segment's true rate": [room.rate for room in rooms],
    }
    table, taus = {}, {}
    for name, contender in contenders.items():
        taus[name] = np.array(room_taus(contender, rooms))
        table[name] = interval(taus[name], random) | {"tau_overall": round(overall_tau(contender, rooms), 3)}
    best = max(RULES, key=lambda rule: float(taus[rule].mean()))
    return {
        "kendall_tau_a_room": table,
        "margin_over_best_rule": interval(taus["head"] - taus[best], random) | {"rule": best},  # room by room
        "held_out_rooms": len(rooms),
        "held_out_segments": sum(len(room.rate) for room in rooms),
        "validation_tau": round(validation_tau, 3),
    }


def interval(values: NDArray[np.float64], random: np.random.Generator) -> dict[str, Any]:
    """The mean of one value a room, with its 95% bootstrap interval over rooms."""
    means = values[random.integers(len(values), size=(BOOTSTRAPS, len(values)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return {"tau": round(float(values.mean()), 3), "ci95": [round(float(low), 3), round(float(high), 3)]}


def without_streamers(network: "KuaiHL") -> "KuaiHL":
    """The same network that knows only the unknown streamer: simulated streamers are nobody's."""
    from kuaihl.models.network import KuaiHL

    state = network.state_dict()
    state["streamer.weight"] = state["streamer.weight"][:1]
    bare = KuaiHL(replace(network.dims, streamers=0))
    bare.load_state_dict(state)
    return bare.eval()
