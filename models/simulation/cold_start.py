"""The default bundle's head, trained on simulated rooms: feature banks in, a network and its report out.

Held-out rooms have streamers, sentences and scenes that never occur in training; half of them have new genres, too.
They are scored as streams of an unknown streamer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.dims import EDGE_DIMS, UNKNOWN_STREAMER
from kuaihl.models.network.standardize import read_standardised
from kuaihl.models.signals import SIGNALS_WIDTH
from kuaihl.models.simulation.feature_bank import FeatureBank
from kuaihl.models.simulation.simulated_set import STREAMERS, SimulatedSet, simulate, simulate_held_out
from kuaihl.models.simulation.stretches import BATCH, training_batches, without_group
from kuaihl.models.simulation.terms import labels_of, present_labels_of
from kuaihl.models.simulation.topic_directions import reading_whole_vectors, seen_along, topic_directions

if TYPE_CHECKING:
    from torch import Tensor

    from kuaihl.models.batch import Batch
    from kuaihl.models.network.kuaihl import KuaiHL

_TEACHERS_APART = 100  # between the seeds of two, so that no teacher meets the rooms of validation or of the test
_ID_DROPOUT = 0.5  # high, because the shipped head meets none of these streamers again
_LEARNING_RATE = 1e-3
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


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


def train_cold_start(
    train_bank: FeatureBank,
    held_out_bank: FeatureBank,
    *,
    rooms: int,
    epochs: int,
    seed: int,
    teachers: int,
    device: str = "cpu",
    on_message: Callable[[str], None],
) -> ColdStart:
    """Train the edge head on a device that PyTorch knows by this name, and measure it on the CPU.

    Two heads that differ by their seed alone answer differently on words they never met. So `teachers` heads are
    trained first, and the head that ships learns their mean answers in place of labels. Without teachers it learns the
    labels. Validation rooms are new rooms of new streamers from the training bank. Held-out rooms are used once, at the
    end.
    """
    from kuaihl.models.simulation.report import measure

    directions = topic_directions(train_bank)
    train_bank = seen_along(train_bank, directions)
    validation = simulate(max(20, rooms // 10), train_bank, seed + 1)
    held_out = simulate_held_out(max(20, rooms // 4), held_out_bank, seed + 2)
    taught_by = []
    for number in range(1, teachers + 1):
        on_message(f"teacher {number} of {teachers}")
        own = seed + number * _TEACHERS_APART
        taught_by.append(train_head(train_bank, validation, rooms, epochs, own, (), on_message, device)[0])
    network, tau = train_head(train_bank, validation, rooms, epochs, seed, taught_by, on_message, device)
    network = reading_whole_vectors(network, directions)
    answers = score_rooms(network, held_out)
    report = measure(network, answers, held_out, seed=seed) | {"validation_tau": round(tau, 3)}
    values = np.quantile(np.concatenate([each.score for each in answers]), _QUANTILES)
    return ColdStart(
        without_streamers(network), report, {str(q): float(v) for q, v in zip(_QUANTILES, values, strict=True)}
    )


def train_head(
    bank: FeatureBank,
    validation: SimulatedSet,
    rooms: int,
    epochs: int,
    seed: int,
    teachers: Sequence["KuaiHL"],
    on_message: Callable[[str], None],
    device: str = "cpu",
) -> "tuple[KuaiHL, float]":
    """One head, of the epoch with the best validation tau, averaged over both questions, and that tau.

    It comes back on the CPU. Every epoch has `rooms` new rooms: they cost nothing, and none can be memorised.
    """
    import torch

    from kuaihl.models.losses.objective import Objective
    from kuaihl.models.network.kuaihl import KuaiHL
    from kuaihl.models.simulation.report import room_taus
    from kuaihl.models.training.batches import on_device

    place = torch.device(device)
    torch.manual_seed(seed)
    network = KuaiHL(
        replace(
            EDGE_DIMS,
            text_width=bank.text.shape[1],
            streamers=STREAMERS,
            id_dropout=_ID_DROPOUT,
            signals=SIGNALS_WIDTH,
            interest=True,
        )
    )
    read_standardised(network.text, bank.text)
    read_standardised(network.visual, bank.visual)
    read_standardised(network.signals, np.concatenate(validation.signals))
    network.to(place)
    teachers = [teacher.to(place) for teacher in teachers]
    optimiser = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
    random = np.random.default_rng(seed)
    steps = -(-2 * rooms // BATCH) * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=steps, pct_start=0.1)
    # Most rooms lack words or pictures, and nothing can be aligned with a missing input.
    objective = Objective(align=0.0)
    best, best_tau = network.state_dict(), -1.0
    for epoch in range(epochs):
        total, batches = 0.0, 0
        network.train()
        train = simulate(rooms, bank, seed, first_room=epoch * rooms)
        for drawn in training_batches(train, random):
            batch = on_device(drawn, place)
            terms = network.training_losses(objective, labelled_by(teachers, batch) if teachers else batch)
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
    return network.cpu().eval(), best_tau


def labelled_by(teachers: Sequence["KuaiHL"], batch: "Batch") -> "Batch":
    """The batch with the teachers' mean answers as labels of both questions, for every segment that is there.

    They see what the learner sees, but not the streamer.
    """
    import torch

    with torch.no_grad():
        unknown = torch.full_like(batch.streamer, UNKNOWN_STREAMER)
        found = [
            teacher.outputs(batch.visual, batch.text, unknown, batch.segment_valid, batch.signals)
            for teacher in teachers
        ]
        score = torch.stack([answers.score.sigmoid() for answers in found]).mean(dim=0)
        interest = torch.stack([cast("Tensor", answers.interest).sigmoid() for answers in found]).mean(dim=0)
    there = batch.segment_valid
    return replace(batch, labels=score, label_valid=there, interest=interest, interest_valid=there)


def score_rooms(network: "KuaiHL", data: SimulatedSet, *, without: Sequence[str] = ()) -> list[RoomAnswers]:
    """The network's answers for every room as a stream of an unknown streamer; `without` names inputs to blank.

    Pictures are blanked with their signals; words or signals alone.
    """
    import torch

    network.eval()
    place = next(network.parameters()).device
    answers = []
    with torch.inference_mode():
        for features, columns in zip(data.features, data.signals, strict=True):
            visual = torch.from_numpy(data.bank.visual_of(features))[None].to(place).float()
            text = torch.from_numpy(data.bank.text_of(features.text))[None].to(place).float()
            columns = without_group(columns, "pictures") if "pictures" in without else columns
            signals = torch.from_numpy(columns)[None].to(place)
            score, interest = network.outputs(
                torch.zeros_like(visual) if "pictures" in without else visual,
                torch.zeros_like(text) if "words" in without else text,
                torch.zeros(1, dtype=torch.long, device=place),
                None,
                torch.zeros_like(signals) if "signals" in without else signals,
            )
            assert interest is not None
            answers.append(RoomAnswers(*(each[0].cpu().sigmoid().double().numpy() for each in (score, interest))))
    return answers


def without_streamers(network: "KuaiHL") -> "KuaiHL":
    """The same network, which knows only the unknown streamer: simulated streamers do not exist."""
    from kuaihl.models.network.kuaihl import KuaiHL

    state = network.state_dict()
    state["streamer.weight"] = state["streamer.weight"][:1]
    bare = KuaiHL(replace(network.dims, streamers=0))
    bare.load_state_dict(state)
    return bare.eval()
