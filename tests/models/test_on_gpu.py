"""On a card everything that is learned computes what it does on the CPU: networks, losses, training, evaluation."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.device import DEVICE, ON_CARD, gpu_test
from support.small_dataset import small_dataset
from support.small_network import SMALL, run_steps, small_network, stream
from torch import Tensor

from kuaihl.models.architectures import ARCHITECTURES, build_network
from kuaihl.models.batch import Batch
from kuaihl.models.data.klive import KLive, open_klive, streamer_index
from kuaihl.models.evaluation.room_scores import score_rooms
from kuaihl.models.losses.alignment import alignment_loss
from kuaihl.models.losses.margin import margin_loss
from kuaihl.models.losses.objective import Objective
from kuaihl.models.losses.pairwise import PAIR_VARIANTS, pairwise_loss
from kuaihl.models.losses.point import point_loss
from kuaihl.models.losses.soft_dtw import soft_dtw
from kuaihl.models.network.stream_state import StreamState
from kuaihl.models.training.loop import Trained, train
from kuaihl.models.training.plan import Precision, TrainingPlan, dims_for
from kuaihl.models.training.report import EpochReport, StepReport

TOLERANCE = 1e-4
ALIKE = replace(SMALL, window=14, dropout=0.0, id_dropout=0.0)  # nothing is drawn: a card draws other numbers
# The others: id-counts reads counts, and linear is fitted on the CPU.
TRAINED = sorted(name for name, one in ARCHITECTURES.items() if not (one.reads_counts or one.closed_form))
Loss = Callable[[Tensor], Tensor]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> KLive:
    return open_klive(small_dataset(tmp_path_factory.mktemp("klive")))


def on_card(batch: Batch) -> Batch:
    parts = {part.name: getattr(batch, part.name) for part in fields(Batch)}
    return Batch(**{name: None if part is None else part.to(DEVICE) for name, part in parts.items()})


def assert_near(ours: Tensor, theirs: Tensor, tolerance: float = TOLERANCE) -> None:
    assert ours.device.type == torch.device(DEVICE).type
    torch.testing.assert_close(ours.cpu(), theirs, atol=tolerance, rtol=tolerance)


@gpu_test
@torch.no_grad()
def test_a_whole_room_gets_the_same_logits() -> None:
    network, (visual, text) = small_network(), stream(SMALL, 23, rooms=3)
    streamer, valid = torch.tensor([0, 1, 4]), torch.ones(3, 23, dtype=torch.bool)
    valid[1, :4] = False
    expected = network(visual, text, streamer, valid)
    given = (each.to(DEVICE) for each in (visual, text, streamer, valid))
    assert_near(deepcopy(network).to(DEVICE)(*given), expected)


@gpu_test
@torch.no_grad()
def test_a_stream_gets_the_same_scores_step_by_step() -> None:
    network, (visual, text) = small_network(), stream(SMALL, 13, rooms=3)
    streamer = torch.tensor([0, 1, 4])
    expected = run_steps(network, visual, text, streamer)
    found = run_steps(deepcopy(network).to(DEVICE), *(each.to(DEVICE) for each in (visual, text, streamer)))
    assert_near(found, expected)


@gpu_test
@torch.no_grad()
def test_a_stream_moves_between_the_card_and_the_cpu() -> None:
    network, (visual, text) = small_network(), stream(SMALL, 13, rooms=2)
    card, streamer = deepcopy(network).to(DEVICE), torch.tensor([2, 3])
    expected = run_steps(network, visual, text, streamer)
    state = card.start(streamer.to(DEVICE))
    for i in range(7):
        card.step(state, visual[:, i].to(DEVICE), text[:, i].to(DEVICE))
    state = StreamState.from_bytes(state.to_bytes())
    for i in range(7, 10):
        torch.testing.assert_close(
            network.step(state, visual[:, i], text[:, i]).score, expected[:, i], atol=TOLERANCE, rtol=TOLERANCE
        )
    state = state.to(DEVICE)
    for i in range(10, 13):
        assert_near(card.step(state, visual[:, i].to(DEVICE), text[:, i].to(DEVICE)).score, expected[:, i])


def losses() -> dict[str, Loss]:
    """Every loss of logits [3, 7], with what else it reads on the logits' device."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 5, (3, 7), generator=draw) / 4
    valid = torch.rand(3, 7, generator=draw) > 0.3

    def of(loss: Callable[..., Tensor], *more: object) -> Loss:
        return lambda logits: loss(logits, labels.to(logits.device), valid.to(logits.device), *more)

    pairs = {f"pair, {variant}": of(pairwise_loss, variant) for variant in PAIR_VARIANTS}
    return {"point": of(point_loss), "margin": of(margin_loss, 0.3), **pairs}


def assert_same_gradient(loss: Loss, at: Tensor) -> None:
    found = []
    for device in ("cpu", DEVICE):
        place = at.to(device).requires_grad_()
        value = loss(place)
        found.append((value.detach(), torch.autograd.grad(value.sum(), place)[0]))
    for theirs, ours in zip(*found, strict=True):
        assert_near(ours, theirs)


@gpu_test
@pytest.mark.parametrize("name", losses())
def test_losses_and_their_gradients_are_the_same(name: str) -> None:
    assert_same_gradient(losses()[name], torch.randn(3, 7, generator=torch.Generator().manual_seed(1)) * 2)


@gpu_test
@pytest.mark.parametrize("lengths", [None, [20, 1, 7, 13]])
def test_soft_dtw_and_its_gradient_are_the_same(lengths: list[int] | None) -> None:
    cost = torch.rand(4, 20, 20, generator=torch.Generator().manual_seed(2)) * 2

    def loss(cost: Tensor) -> Tensor:
        return soft_dtw(cost, None if lengths is None else torch.tensor(lengths, device=cost.device))

    assert_same_gradient(loss, cost)


@gpu_test
def test_the_alignment_loss_draws_on_the_card_and_reaches_both_sides() -> None:
    torch.manual_seed(0)
    text, visual = (torch.randn(5, 12, 16, device=DEVICE, requires_grad=True) for _ in range(2))
    valid = torch.ones(5, 12, dtype=torch.bool, device=DEVICE)
    valid[0, 1:] = False  # a sample of one segment does not count
    loss = alignment_loss(text, visual, valid)
    loss.backward()  # type: ignore[no-untyped-call]
    assert bool(loss.isfinite()) and loss > 0
    for part in (text, visual):
        assert part.grad is not None
        assert bool(part.grad.isfinite().all()) and bool(part.grad[1:].any()) and not bool(part.grad[0].any())


@gpu_test
@pytest.mark.parametrize("name", TRAINED)
def test_every_architecture_has_the_same_loss_and_takes_a_step(name: str) -> None:
    torch.manual_seed(0)
    network = build_network(name, ALIKE).train()
    visual, text = stream(ALIKE, 14, rooms=4)
    there = torch.ones(4, 14, dtype=torch.bool)
    batch = Batch(visual, text, torch.tensor([1, 2, 3, 0]), torch.sigmoid(text.sum(dim=2)), there, there)
    objective = Objective(align=0.0)
    card = deepcopy(network).to(DEVICE)
    expected = network.training_losses(objective, batch).total  # type: ignore[operator]
    found = card.training_losses(objective, on_card(batch)).total  # type: ignore[operator]
    assert_near(found.detach(), expected.detach())
    adam = torch.optim.Adam(card.parameters(), lr=1e-2)
    found.backward()
    adam.step()
    assert all(bool(part.isfinite().all()) for part in card.parameters())
    assert card.training_losses(objective, on_card(batch)).total < found  # type: ignore[operator]


def plan_for(data: KLive, **changes: object) -> TrainingPlan:
    dims = dims_for(data.facts, len(streamer_index(data.rooms)), width=16, heads=2, layers=2, window=5)
    plan = TrainingPlan(dims, Objective(), epochs=1, batch=24, learning_rate=3e-3, seed=1, report_every=2)
    return replace(plan, **changes)  # type: ignore[arg-type]


def without_draws(plan: TrainingPlan) -> TrainingPlan:
    return replace(plan, dims=replace(plan.dims, dropout=0.0, id_dropout=0.0), objective=Objective(align=0.0))


def totals(data: KLive, plan: TrainingPlan, device: str, **more: object) -> tuple[list[float], Trained | None]:
    """The reported losses, and the result."""
    told: list[StepReport | EpochReport] = []
    found = train(data, plan, device=device, on_report=told.append, **more)  # type: ignore[arg-type]
    return [report.total for report in told if isinstance(report, StepReport)], found


@gpu_test
def test_training_on_the_card_follows_the_cpu_in_the_same_process(data: KLive) -> None:
    """A process that trained on the CPU must really use the card afterwards, and the CPU again."""
    plan = without_draws(plan_for(data))
    expected, _ = totals(data, plan, "cpu")
    before = torch.cuda.memory_stats()["allocation.all.allocated"] if ON_CARD else 0
    found, trained = totals(data, plan, DEVICE)
    if ON_CARD:
        assert torch.cuda.memory_stats()["allocation.all.allocated"] > before
    assert found == pytest.approx(expected, abs=2e-3)
    assert found[0] == pytest.approx(expected[0], abs=TOLERANCE)
    assert trained is not None
    assert next(trained.network.parameters()).device.type == "cpu"
    assert totals(data, plan, "cpu")[0] == expected


@gpu_test
def test_training_on_the_card_resumes(data: KLive, tmp_path: Path) -> None:
    plan = plan_for(data, epochs=2)  # with dropout, hidden ids and random orders
    whole, _ = totals(data, plan, DEVICE)
    calls = iter(range(1, 1000))
    first, stopped = totals(data, plan, DEVICE, folder=tmp_path, resume=True, should_stop=lambda: next(calls) == 7)
    assert stopped is None
    second, finished = totals(data, plan, DEVICE, folder=tmp_path, resume=True)
    assert finished is not None
    assert first + second == pytest.approx(whole, abs=5e-3)  # a card adds up in any order


@gpu_test
@pytest.mark.parametrize("precision", ["bf16", *(["fp16"] if ON_CARD else [])])
def test_training_in_half_precision_stays_near(data: KLive, precision: Precision) -> None:
    plan = without_draws(plan_for(data))
    found, trained = totals(data, replace(plan, precision=precision), DEVICE)
    assert found == pytest.approx(totals(data, plan, DEVICE)[0], abs=0.05)
    assert trained is not None
    assert all(bool(part.isfinite().all()) for part in trained.network.parameters())


@gpu_test
def test_rooms_get_the_same_scores(data: KLive) -> None:
    network = small_network(dims_for(data.facts, 4, width=16, heads=2, layers=2, window=5))
    rooms, streamers = data.rooms_of("test"), streamer_index(data.rooms)
    expected = score_rooms(network, data, rooms, streamers)
    found = score_rooms(deepcopy(network).to(DEVICE), data, rooms, streamers)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=TOLERANCE)
