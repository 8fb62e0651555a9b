"""Every loss against a slow, literal reference: its value and its gradient."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from support.small_network import SMALL, small_network, stream
from torch import Tensor

from kuaihl.models.batch import Batch
from kuaihl.models.evaluation.rank_correlation import kendall_tau_b
from kuaihl.models.losses.alignment import alignment_loss, pair_costs, random_orders, swapped_order
from kuaihl.models.losses.objective import Objective
from kuaihl.models.losses.pairwise import PAIR_VARIANTS, pairwise_loss
from kuaihl.models.losses.point import point_loss
from kuaihl.models.losses.soft_dtw import soft_dtw
from kuaihl.models.network.kuaihl import KuaiHL


def sample(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, labels and their mask, [3, 7]; labels repeat, so that some pairs are ties."""
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 7, generator=draw, dtype=torch.float64) * 2
    labels = torch.randint(0, 5, (3, 7), generator=draw) / 4
    return logits, labels, torch.rand(3, 7, generator=draw) > 0.3


def gradient(loss: Callable[[Tensor], Tensor], at: Tensor) -> tuple[Tensor, Tensor]:
    at = at.clone().requires_grad_()
    value = loss(at)
    return value.detach(), torch.autograd.grad(value, at)[0]


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def literal_point(logits: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    terms = []
    for room in range(len(logits)):
        for i in range(logits.shape[1]):
            if valid[room, i]:
                s, y = sigmoid(logits[room, i]), labels[room, i]
                terms.append(-(y * torch.log(s) + (1 - y) * torch.log(1 - s)))
    return torch.stack(terms).mean()


def literal_pair(objective: Objective, logits: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """Equations 9 to 12; test_pair_equations.py holds them to NumPy, this is for gradients through the network."""
    terms, ordered = [], 0
    for room in range(len(logits)):
        s, y = sigmoid(logits[room]), labels[room]
        for i in range(len(s)):
            for j in range(len(s)):
                if not (valid[room, i] and valid[room, j] and y[i] > y[j]):
                    continue
                ordered += 1
                apart, border = s[i] - s[j], y[i] - y[j]
                inside = {
                    "pair0": True,
                    "pair1": border - apart >= 0,
                    "pair2": apart <= 0,
                    "pair3": border > apart > 0,
                }
                if inside[objective.pair_variant]:
                    terms.append(torch.log(1 + torch.exp(-objective.sigma * apart)))
    return torch.stack(terms).sum() / (len(terms) if objective.pair_mean == "counted" else ordered)


def test_point_loss_is_equation_8() -> None:
    logits, labels, valid = sample()
    value, slope = gradient(lambda x: point_loss(x, labels, valid), logits)
    expected, expected_slope = gradient(lambda x: literal_point(x, labels, valid), logits)
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(slope, expected_slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("variant", [*PAIR_VARIANTS, "point"])
def test_where_nothing_counts_the_loss_is_zero_and_so_is_its_gradient(variant: str) -> None:
    logits, labels, valid = sample()
    labels[:] = math.nan  # what stands at a masked label is nobody's business

    def loss(x: Tensor) -> Tensor:
        none = torch.zeros_like(valid)
        return point_loss(x, labels, none) if variant == "point" else pairwise_loss(x, labels, none, variant)  # type: ignore[arg-type]

    value, slope = gradient(loss, logits)
    assert value == 0
    assert torch.equal(slope, torch.zeros_like(slope))


@pytest.mark.parametrize("variant", [*PAIR_VARIANTS, "point"])
def test_a_masked_label_changes_nothing(variant: str) -> None:
    logits, labels, valid = sample()

    def loss(x: Tensor) -> Tensor:
        return point_loss(x, labels, valid) if variant == "point" else pairwise_loss(x, labels, valid, variant)  # type: ignore[arg-type]

    before = gradient(loss, logits)
    labels[~valid] = math.nan
    after = gradient(loss, logits)
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])
    assert torch.equal(after[1][~valid], torch.zeros_like(after[1][~valid]))


def literal_dtw(cost: Tensor, smoothing: float = 0.1) -> Tensor:
    best: dict[tuple[int, int], Tensor] = {}
    for i in range(cost.shape[0]):
        for j in range(cost.shape[1]):
            origins = [best[origin] for origin in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if origin in best]
            soft = -smoothing * torch.logsumexp(-torch.stack(origins) / smoothing, 0) if origins else 0.0
            best[i, j] = cost[i, j] + soft
    return best[cost.shape[0] - 1, cost.shape[1] - 1]


def literal_alignment(text: Tensor, visual: Tensor, rooms: list[list[int]], orders: list[list[list[int]]]) -> Tensor:
    """InfoNCE over given orders, the positive first; `rooms` holds the indices of the segments that are there."""
    terms = []
    for room, (there, (positive, *negatives)) in enumerate(zip(rooms, orders, strict=True)):
        distances = []
        for order in [positive, *(order for order in negatives if order != positive)]:
            cost = torch.zeros(len(there), len(there), dtype=text.dtype)
            for row, i in enumerate(there):
                for column, place in enumerate(order):
                    cost[row, column] = 1 - torch.cosine_similarity(text[room, i], visual[room, there[place]], dim=0)
            distances.append(literal_dtw(cost))
        weights = torch.exp(-torch.stack(distances))
        terms.append(-torch.log(weights[0] / weights.sum()))
    return torch.stack(terms).mean()


@pytest.mark.parametrize("swap", [True, False])
def test_alignment_loss_is_equation_7_over_the_same_draws(swap: bool) -> None:
    draw = torch.Generator().manual_seed(3)
    text, visual = torch.randn(2, 2, 6, 4, generator=draw, dtype=torch.float64).unbind()
    valid = torch.tensor([[True] * 6, [False, True, True, False, True, True]])
    rooms, lengths = [list(range(6)), [1, 2, 4, 5]], torch.tensor([6, 4])

    def compacted(vectors: Tensor) -> Tensor:
        return torch.stack([vectors[0], torch.cat([vectors[1, rooms[1]], vectors[1, [0, 3]]])])

    same_draws = torch.Generator().manual_seed(7)
    cost = pair_costs(compacted(text), compacted(visual))
    positive = swapped_order(1 - cost, lengths, generator=same_draws) if swap else torch.arange(6).expand(2, 6)
    negative = random_orders(cost, lengths, 8, same_draws)
    orders = [
        [order[:length].tolist() for order in (positive[room], *negative[room])]
        for room, length in enumerate(lengths.tolist())
    ]

    def ours(both: Tensor) -> Tensor:
        return alignment_loss(both[0], both[1], valid, swap=swap, generator=torch.Generator().manual_seed(7))

    both = torch.stack([text, visual])  # words and pictures each have their gradient
    value, slope = gradient(ours, both)
    expected, expected_slope = gradient(lambda x: literal_alignment(x[0], x[1], rooms, orders), both)
    torch.testing.assert_close(value.double(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(slope, expected_slope, rtol=1e-3, atol=1e-5)


def test_the_swap_takes_an_earlier_and_a_later_segment_that_look_alike() -> None:
    similarity = torch.full((500, 5, 5), -1.0)
    similarity[:, 1, 3] = 1.0  # text 1 speaks of picture 3
    similarity[:, 4, 0] = 1.0  # i > j is not asked for
    drawn = swapped_order(similarity, torch.tensor([5]).expand(500), generator=torch.Generator().manual_seed(0))
    assert drawn.tolist() == [[0, 3, 2, 1, 4]] * 500


def test_the_swap_is_drawn_by_the_softmax_of_the_similarities_as_in_equation_6() -> None:
    draw = torch.Generator().manual_seed(0)
    similarity = torch.rand(3, 3, generator=draw) * 0.2
    orders = swapped_order(similarity.expand(20_000, 3, 3), torch.tensor([3]).expand(20_000), 0.1, draw)
    swaps = {(0, 1): [1, 0, 2], (0, 2): [2, 1, 0], (1, 2): [0, 2, 1]}
    weights = {pair: math.exp(similarity[pair] / 0.1) for pair in swaps}
    for pair, order in swaps.items():
        share = (orders == torch.tensor(order)).all(dim=1).double().mean()
        assert share == pytest.approx(weights[pair] / sum(weights.values()), abs=0.015)


def test_random_orders_are_permutations_that_leave_padding_at_the_end() -> None:
    lengths = torch.tensor([6, 3])
    orders = random_orders(torch.zeros(2, 6), lengths, 50, torch.Generator().manual_seed(0))
    assert torch.equal(orders.sort(dim=2).values, torch.arange(6).expand(2, 50, 6))
    assert (orders[1, :, :3] < 3).all()
    assert orders[0].unique(dim=0).shape[0] > 40


def test_samples_without_two_segments_align_to_zero_without_nan() -> None:
    text, visual = torch.randn(2, 2, 4, 3).unbind()
    valid = torch.tensor([[True, False, False, False], [False] * 4])
    value, slope = gradient(lambda x: alignment_loss(x, visual, valid), text)
    assert value == 0
    assert torch.equal(slope, torch.zeros_like(slope))


def test_words_in_step_with_pictures_align_better_than_words_out_of_step() -> None:
    torch.manual_seed(0)
    vectors = torch.randn(4, 20, 16)
    valid = torch.ones(4, 20, dtype=torch.bool)
    in_step = alignment_loss(vectors, vectors, valid, swap=False)
    shifted = alignment_loss(vectors, vectors.roll(1, dims=1), valid, swap=False)
    out_of_step = alignment_loss(vectors, vectors[:, torch.randperm(20)], valid, swap=False)
    assert in_step < 0.01
    assert shifted < 0.1 < out_of_step  # warping forgives a shift


def test_the_total_is_the_weighted_sum_of_equation_13_and_every_switch_turns_one_off() -> None:
    network = small_network(dropout=0.0)
    visual, text = stream(SMALL, 5, rooms=3)
    labels, valid = torch.rand(3, 5), torch.ones(3, 5, dtype=torch.bool)
    batch = Batch(visual, text, torch.tensor([0, 1, 2]), labels, valid, torch.ones_like(valid))
    every = network.training_losses(Objective(), batch)
    expected = 0.65 * every.point + 0.15 * every.align + 0.20 * every.pair
    torch.testing.assert_close(every.total, expected)
    assert min(every.point, every.pair, every.align) > 0
    alone = network.training_losses(Objective(pair=0.0, align=0.0), batch)
    torch.testing.assert_close(alone.total, 0.65 * every.point)
    assert alone.pair == alone.align == 0
    unlabelled = replace(batch, label_valid=torch.zeros_like(valid), segment_valid=torch.zeros_like(valid))
    nothing = network.training_losses(Objective(), unlabelled)
    nothing.total.backward()
    assert nothing.total == 0
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in network.parameters())


OBJECTIVES = [
    Objective(),
    Objective(pair=0.0, align=0.0),
    Objective(point=0.0, align=0.0),
    Objective(point=0.0, pair=0.0),
    Objective(pair_variant="pair0", align_variant="align_noswap"),
    Objective(0.2, 0.3, 0.5),
    Objective(pair_variant="pair2"),
    Objective(pair_variant="pair3", pair_mean="all"),
]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_losses_together_and_alone_are_the_literal_sum_down_to_every_weight(objective: Objective) -> None:
    network = small_network(dropout=0.0).double()
    visual, text = (features.double() for features in stream(SMALL, 5, rooms=3))
    streamer, there = torch.tensor([0, 1, 2]), torch.ones(3, 5, dtype=torch.bool)
    there[1, :2] = False  # a room begins
    labels = torch.randint(0, 5, (3, 5), generator=torch.Generator().manual_seed(0)) / 4
    counted = there & (labels != 0.5)

    def literal_total() -> Tensor:
        tokens = network.embed(visual, text)
        words, pictures = tokens[:, :, -1], tokens[:, :, :-1].mean(dim=2)
        logits = network.predict(tokens, streamer, there).score
        rooms = [[0, 1, 2, 3, 4], [2, 3, 4], [0, 1, 2, 3, 4]]
        front = torch.tensor([[0, 1, 2, 3, 4], [2, 3, 4, 0, 1], [0, 1, 2, 3, 4]])  # padding to the end
        cost = pair_costs(*(part.detach().take_along_dim(front[:, :, None], 1) for part in (words, pictures)))
        torch.manual_seed(7)
        lengths = torch.tensor([5, 3, 5])
        swaps = objective.align_variant == "align"
        positive = swapped_order(1 - cost, lengths) if swaps else torch.arange(5).expand(3, 5)
        negative = random_orders(cost, lengths, objective.negatives)
        orders = [
            [order[: len(room)].tolist() for order in (positive[which], *negative[which])]
            for which, room in enumerate(rooms)
        ]
        return (
            objective.point * literal_point(logits, labels, counted)
            + objective.pair * literal_pair(objective, logits, labels, counted)
            + objective.align * literal_alignment(words, pictures, rooms, orders)
        )

    expected = literal_total()
    expected_slopes = torch.autograd.grad(expected, list(network.parameters()), allow_unused=True)
    torch.manual_seed(7)
    total = network.training_losses(objective, Batch(visual, text, streamer, labels, counted, there)).total
    slopes = torch.autograd.grad(total, list(network.parameters()), allow_unused=True)
    torch.testing.assert_close(total.double(), expected, rtol=1e-4, atol=1e-5)
    for (name, parameter), slope, wanted in zip(network.named_parameters(), slopes, expected_slopes, strict=True):
        none = torch.zeros_like(parameter)
        torch.testing.assert_close(
            none if slope is None else slope, none if wanted is None else wanted, rtol=2e-3, atol=1e-4, msg=name
        )


def test_a_small_network_learns_to_rank_by_the_total() -> None:
    torch.manual_seed(0)
    network = KuaiHL(SMALL)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    streamer, valid = torch.zeros(16, dtype=torch.long), torch.ones(16, 10, dtype=torch.bool)

    def batch(seed: int) -> tuple[Tensor, Tensor, Tensor]:
        visual, text = stream(SMALL, 10, rooms=16, seed=seed)
        return visual, text, (text[:, :, 0] + visual[:, :, 1, 2]).sigmoid()

    for step in range(60):
        visual, text, labels = batch(step)
        terms = network.training_losses(Objective(), Batch(visual, text, streamer, labels, valid, valid))
        optimizer.zero_grad()
        terms.total.backward()
        optimizer.step()
    visual, text, labels = batch(9999)
    with torch.no_grad():
        scores = network.eval()(visual, text, streamer)
    assert kendall_tau_b(scores.flatten().numpy(), labels.flatten().numpy()) > 0.5


def test_mixed_precision_gives_nearly_the_same_losses_and_finite_gradients() -> None:
    network = small_network(dropout=0.0)
    visual, text = stream(SMALL, 5, rooms=3)
    labels, valid = torch.rand(3, 5), torch.ones(3, 5, dtype=torch.bool)
    objective = Objective(align_variant="align_noswap")
    torch.manual_seed(0)
    batch = Batch(visual, text, torch.tensor([0, 1, 2]), labels, valid, valid)
    full = network.training_losses(objective, batch)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = network.training_losses(objective, batch)
    mixed.total.backward()
    assert mixed.total.dtype == torch.float32
    torch.testing.assert_close(mixed.total, full.total, rtol=0.1, atol=0.05)
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_soft_dtw_of_a_window_is_the_reference() -> None:
    cost = torch.rand(20, 20, dtype=torch.float64)
    torch.testing.assert_close(soft_dtw(cost[None])[0], literal_dtw(cost))
