"""Soft-DTW of a training batch, forward and backward: by anti-diagonals against a double loop over cells.

    python benchmarks/soft_dtw.py [--threads 2] [--repeats 15]

432 pairs of 20 x 20 are one batch of 48 samples with a positive and eight negatives each. The double loop is in
the style of the authors' released code: it fills a matrix of accumulated costs cell by cell, and uses autograd.
"""

import argparse
import statistics
import time

import torch
from torch import Tensor

from kuaihl.models.losses.soft_dtw import LAMBDA, soft_dtw

PAIRS, SEGMENTS = 432, 20


def cell_by_cell(cost: Tensor) -> Tensor:
    total = torch.zeros_like(cost)
    total[:, 0, 0] = cost[:, 0, 0]
    for j in range(1, cost.shape[2]):
        total[:, 0, j] = cost[:, 0, j] + total[:, 0, j - 1]
    for i in range(1, cost.shape[1]):
        total[:, i, 0] = cost[:, i, 0] + total[:, i - 1, 0]
    for i in range(1, cost.shape[1]):
        for j in range(1, cost.shape[2]):
            origins = torch.stack([total[:, i - 1, j - 1], total[:, i, j - 1], total[:, i - 1, j]], dim=-1)
            total[:, i, j] = cost[:, i, j] - LAMBDA * torch.logsumexp(-origins / LAMBDA, dim=-1)
    return total[:, -1, -1]


def main() -> None:
    parser = argparse.ArgumentParser(description="Batched soft-DTW against a double loop over cells.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    cost = (2 * torch.rand(PAIRS, SEGMENTS, SEGMENTS)).requires_grad_()
    contenders = {"double loop over cells": cell_by_cell, "anti-diagonals": soft_dtw}
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    results = {}
    for repeat in range(options.repeats + 2):
        for name, run in contenders.items():
            for _ in range(1 if run is cell_by_cell else 5):  # the quick one more often: its median is noisier
                start = time.perf_counter()
                value = run(cost)
                (slope,) = torch.autograd.grad(value.sum(), cost)
                if repeat >= 2:  # warm
                    taken[name].append(time.perf_counter() - start)
            results[name] = (value.detach(), slope)
    (value, slope), (expected, expected_slope) = results["anti-diagonals"], results["double loop over cells"]
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(slope, expected_slope, rtol=1e-2, atol=1e-3)
    slow = statistics.median(taken["double loop over cells"])
    print(
        f"{PAIRS} pairs of {SEGMENTS} x {SEGMENTS}, forward and backward, {options.threads} threads, medians,", end=" "
    )
    print(f"torch {torch.__version__}\n| what | ms | faster |\n|---|---|---|")
    for name, seconds in taken.items():
        print(f"| {name} | {statistics.median(seconds) * 1e3:.1f} | {slow / statistics.median(seconds):.1f}x |")


if __name__ == "__main__":
    main()
