"""Soft dynamic time warping, batched: a cost matrix a pair goes in, the soft cost of its best monotonic path comes out.

    R[i, j] = C[i, j] + softmin(R[i-1, j-1], R[i-1, j], R[i, j-1]),   softmin(x) = −λ log Σ exp(−x / λ)

Cells of one anti-diagonal do not depend on each other, so I + J − 1 vector operations do the work of I · J cells. The
backward pass runs the same way: how much of a cell's value came over each of its three edges is known from R.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LAMBDA = 0.1
_NEVER = -1e30  # log-weight of a path that does not exist; finite, so that a difference of two is no NaN


def soft_dtw(cost: Tensor, lengths: Tensor | None = None, smoothing: float = LAMBDA) -> Tensor:
    """Soft path costs [N] of `cost` [N, I, J]; where `lengths` [N] is given, of its upper left corner of that size.

    Differentiable once, with respect to `cost`. Computed in single precision at least.
    """
    if cost.dtype not in (torch.float32, torch.float64):
        cost = cost.float()
    number, rows, columns = cost.shape
    if lengths is None:
        last_row, last_column = cost.new_full((number,), rows, dtype=torch.long) - 1, columns - 1
        last = torch.stack([last_row, torch.full_like(last_row, last_column)])
    else:
        last = (lengths - 1).expand(2, number)
    return _SoftDtw.apply(cost, last, smoothing)  # type: ignore[no-any-return,no-untyped-call]


class _SoftDtw(torch.autograd.Function):
    """Works on W = −C / λ and Q = −R / λ. Its vectors are kept small, so that they stay in the cache."""

    @staticmethod
    def forward(ctx: Any, cost: Tensor, last: Tensor, smoothing: float) -> Tensor:
        number, rows, columns = cost.shape
        weight_cells, weight = _cells_and_diagonals(cost, 0.0)
        torch.mul(cost.permute(1, 2, 0), -1 / smoothing, out=weight_cells)
        total_cells, total = _cells_and_diagonals(cost, _NEVER)
        total[0, 0] = 0.0  # the only way to enter the first cell
        for at in range(2, rows + columns + 1):
            cell, above = _crossed(at, rows, columns)
            entered = torch.logaddexp(total[above, at - 1], total[cell, at - 1]).logaddexp(total[above, at - 2])
            torch.add(weight[cell, at], entered, out=total[cell, at])
        ctx.save_for_backward(weight, total, last)
        ctx.smoothing, ctx.shape = smoothing, cost.shape
        return total_cells[last[0], last[1], torch.arange(number, device=cost.device)] * -smoothing

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        weight, total, last = ctx.saved_tensors
        number, rows, columns = ctx.shape
        share_cells, share = _cells_and_diagonals(grad.expand(columns, rows, number).permute(2, 1, 0), 0.0)
        share_cells[last[0], last[1], torch.arange(number, device=grad.device)] = grad
        for at in range(rows + columns, 1, -1):
            cell, above = _crossed(at, rows, columns)
            # A cell hands its share to its origins by what came over each edge: exp(Q[origin] + W − Q), in all 1.
            entered = weight[cell, at] - total[cell, at]
            for origin, step in ((above, 1), (cell, 1), (above, 2)):
                came = (entered + total[origin, at - step]).exp_()
                share[origin, at - step].addcmul_(share[cell, at], came)
        return share_cells.permute(2, 0, 1), None, None


def _cells_and_diagonals(cost: Tensor, fill: float) -> tuple[Tensor, Tensor]:
    """One block of memory seen twice, for `cost` [N, I, J]: by cells [I, J, N] and skewed [I+1, I+J+1, N].

    Cell (i, j) is entry [i+1, i+j+2] of the skewed view, so a column of it is an anti-diagonal; the row and the two
    columns before the first cell hold `fill`, so that no edge needs a case of its own. A row of the skewed view is one
    entry shorter than the memory's, which is what makes it skewed.
    """
    number, rows, columns = cost.shape
    width = rows + columns + 1
    memory = cost.new_full(((rows + 1) * (width + 1), number), fill)
    cells = memory.view(rows + 1, width + 1, number)[1:, 1 : columns + 1]
    return cells, memory[: (rows + 1) * width].view(rows + 1, width, number)


def _crossed(at: int, rows: int, columns: int) -> tuple[slice, slice]:
    """The rows of the skewed view where column `at` holds cells, and the rows above those."""
    first, end = max(0, at - 1 - columns), min(rows, at - 1)
    return slice(first + 1, end + 1), slice(first, end)
