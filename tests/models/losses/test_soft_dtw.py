"""Batched soft-DTW against the recursion written cell by cell, and against what is known of it."""

import pytest
import torch
from torch import Tensor

from kuaihl.models.losses.soft_dtw import soft_dtw


def literal(cost: Tensor, smoothing: float) -> Tensor:
    rows, columns = cost.shape[1:]
    results = []
    for one in cost:
        best: dict[tuple[int, int], Tensor] = {}
        for i in range(rows):
            for j in range(columns):
                origins = [best[origin] for origin in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if origin in best]
                soft = -smoothing * torch.logsumexp(-torch.stack(origins) / smoothing, 0) if origins else 0.0
                best[i, j] = one[i, j] + soft
        results.append(best[rows - 1, columns - 1])
    return torch.stack(results)


SHAPES = [(1, 1), (1, 4), (5, 1), (3, 7), (7, 3), (8, 8)]


@pytest.mark.parametrize("smoothing", [0.01, 0.1, 1.0])
@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_values_and_gradients_are_those_of_the_recursion_of_equation_4(
    rows: int, columns: int, smoothing: float
) -> None:
    torch.manual_seed(0)
    cost = (2 * torch.rand(4, rows, columns, dtype=torch.float64)).requires_grad_()
    weights = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    ours, theirs = soft_dtw(cost, smoothing=smoothing), literal(cost, smoothing)
    torch.testing.assert_close(ours, theirs)
    (slope,) = torch.autograd.grad(ours @ weights, cost)
    (expected,) = torch.autograd.grad(theirs @ weights, cost)
    torch.testing.assert_close(slope, expected)


def test_finite_differences_agree() -> None:
    torch.manual_seed(0)
    cost = torch.rand(2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(soft_dtw, (cost,))


def test_single_precision_holds_over_a_window_of_the_largest_costs() -> None:
    torch.manual_seed(0)
    cost = 2 - 0.1 * torch.rand(8, 20, 20)
    single = cost.clone().requires_grad_()
    double = cost.double().requires_grad_()
    torch.testing.assert_close(soft_dtw(single).double(), soft_dtw(double), rtol=1e-5, atol=1e-4)
    (slope,) = torch.autograd.grad(soft_dtw(single).sum(), single)
    (expected,) = torch.autograd.grad(soft_dtw(double).sum(), double)
    torch.testing.assert_close(slope.double(), expected, rtol=1e-2, atol=1e-3)


def test_with_little_smoothing_it_is_the_cost_of_the_best_path() -> None:
    cost = torch.tensor([[[0.0, 5.0, 5.0], [5.0, 0.0, 5.0], [5.0, 0.0, 1.0]]])
    assert soft_dtw(cost, smoothing=1e-3) == pytest.approx(1.0, abs=1e-2)
    slope = torch.autograd.functional.jacobian(lambda x: soft_dtw(x, smoothing=1e-3).sum(), cost)
    assert slope[0, 0, 0] == pytest.approx(1.0, abs=1e-3)
    assert slope[0, 2, 2] == pytest.approx(1.0, abs=1e-3)
    assert slope[0, 0, 2] == pytest.approx(0.0, abs=1e-3)


def test_a_length_reads_the_corner_alone() -> None:
    torch.manual_seed(0)
    cost = torch.rand(3, 6, 6, dtype=torch.float64).requires_grad_()
    lengths = torch.tensor([6, 1, 4])
    ours = soft_dtw(cost, lengths)
    (slope,) = torch.autograd.grad(ours.sum(), cost)
    for room, length in enumerate(lengths.tolist()):
        corner = cost[room : room + 1, :length, :length].detach().requires_grad_()
        alone = soft_dtw(corner)
        torch.testing.assert_close(ours[room], alone[0])
        torch.testing.assert_close(slope[room, :length, :length], torch.autograd.grad(alone, corner)[0][0])
        assert slope[room].sum() == pytest.approx(slope[room, :length, :length].sum().item())


def test_half_precision_is_computed_in_single() -> None:
    cost = torch.rand(2, 5, 5).half().requires_grad_()
    value = soft_dtw(cost)
    value.sum().backward()
    assert value.dtype == torch.float32
    assert cost.grad is not None
    assert cost.grad.isfinite().all()
