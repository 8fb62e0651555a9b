"""Batched soft dynamic time warping: one cost matrix per pair in, the soft cost of its best monotonic path out.

    R[i, j] = C[i, j] + softmin(R[i-1, j-1], R[i-1, j], R[i, j-1]),   softmin(x) = −λ log Σ exp(−x / λ)

It is eq. 4 and 5 with a soft minimum, which has a gradient along every path, instead of the printed min. The authors'
released code does the same with λ = 0.1 (ICME24/KLive, `dtw_align_loss.py`); the paper prints no λ.

Cells of one anti-diagonal do not depend on each other. So I + J − 1 vector operations do the work of I · J cells. The
backward pass runs the same way: R gives the share of a cell's value that came over each of its three edges.

The stored cells are small enough for the cache. Shares are kept above the numbers that the processor must treat as a
special case (denormals), which takes a hundred times as long.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

LAMBDA = 0.1
_NEVER = -1e30  # log-weight of a path that does not exist; finite, so that a difference of two is not NaN
_FAINTEST = -40.0  # log of the least share of a cell that an edge may bring: far below the precision of sums
_NOTHING = 1e-20  # smaller gradients count as 0; times exp(_FAINTEST) it is still not a denormal
_EDGES = ((1, 1), (1, 0), (0, 1))  # rows and columns back to the cells that a path may come from


def soft_dtw(cost: Tensor, lengths: Tensor | None = None, smoothing: float = LAMBDA) -> Tensor:
    """Soft path costs [N] of `cost` [N, I, J], or of its upper left corners of size `lengths` [N], if given.

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
    return _SoftDtw.apply(cost, last, smoothing)[0]  # type: ignore[no-any-return,no-untyped-call]


class _SoftDtw(torch.autograd.Function):
    """Works on Q = −R / λ, the log-weight of all paths to a cell, in cells [I+1, J+1, N] (see `_view_along`)."""

    @staticmethod
    def forward(cost: Tensor, last: Tensor, smoothing: float) -> tuple[Tensor, Tensor, Tensor]:
        """Costs [N], and both tensors of cells that the backward pass reads."""
        number, rows, columns = cost.shape
        total = cost.new_full((rows + 1, columns + 1, number), _NEVER)
        torch.mul(cost.permute(1, 2, 0), -1 / smoothing, out=total[1:, 1:])
        total[0, 0] = 0.0  # the only way to enter the first cell
        entered = torch.empty_like(total)  # the log-weight that came to a cell, before its own cost
        for at in range(rows + columns - 1):
            corner, above, left = (_view_along(total, at, *edge) for edge in _EDGES)
            came = _view_along(entered, at)
            torch.logaddexp(above, left, out=came)
            torch.logaddexp(came, corner, out=came)
            _view_along(total, at).add_(came)
        ends = total[last[0] + 1, last[1] + 1, torch.arange(number, device=cost.device)]
        return ends * -smoothing, total, entered

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, float], output: tuple[Tensor, Tensor, Tensor]) -> None:
        _, total, entered = output
        ctx.mark_non_differentiable(total, entered)
        ctx.save_for_backward(total, entered, inputs[1])

    @staticmethod
    def vmap(
        info: Any, where: tuple[int | None, ...], cost: Tensor, last: Tensor, smoothing: float
    ) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[int, None, None]]:
        """Costs [M, N] of M stacked batches: matrices do not depend on each other, so these are M * N of them."""
        cost, last = (
            part.expand(info.batch_size, *part.shape) if place is None else part.movedim(place, 0)
            for part, place in zip((cost, last), where, strict=False)
        )  # [M, N, I, J], [M, 2, N]
        found, total, entered = _SoftDtw.apply(cost.flatten(0, 1), last.transpose(0, 1).flatten(1), smoothing)  # type: ignore[no-untyped-call]
        return (found.unflatten(0, cost.shape[:2]), total, entered), (0, None, None)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *unused: Tensor) -> tuple[Tensor, None, None]:
        total, entered, last = ctx.saved_tensors
        rows, columns, number = total.shape[0] - 1, total.shape[1] - 1, total.shape[2]
        share = torch.zeros_like(total)
        share[last[0] + 1, last[1] + 1, torch.arange(number, device=grad.device)] = grad
        for at in range(rows + columns - 2, -1, -1):
            # A cell passes its share to its origins by each edge's part in it: exp(Q[origin] − entered), 1 in all.
            own = functional.hardshrink(_view_along(share, at), _NOTHING)
            came = _view_along(entered, at)
            for edge in _EDGES:
                part = torch.sub(_view_along(total, at, *edge), came).clamp_(min=_FAINTEST).exp_()
                _view_along(share, at, *edge).addcmul_(own, part)
        return share[1:, 1:].permute(2, 0, 1), None, None


def _view_along(cells: Tensor, at: int, rows_back: int = 0, columns_back: int = 0) -> Tensor:
    """A view [cells, N] of anti-diagonal `at`, or of the cells `rows_back` rows and `columns_back` columns before it.

    `cells` [I+1, J+1, N] is contiguous, with a row and a column before the first cell, so that edges need no special
    case. One row down and one column back are always the same step, so a diagonal is a view like any other.
    """
    rows, columns, number = cells.shape  # I+1, J+1
    first, last = max(0, at - columns + 2), min(at, rows - 2)
    start = (first + 1 - rows_back) * columns + at - first + 1 - columns_back
    return cells.as_strided((last - first + 1, number), ((columns - 1) * number, 1), start * number)
