"""The cost of a score: one cached step of the head against running the whole window again, on CPU.

    python benchmarks/head_step.py [--threads 2] [--repeats 300]

Both use the edge dimensions; the streams are past their first window, so every slot is full. They are measured in turn,
ten runs each, so that other load on the machine affects both.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from kuaihl.models.dims import EDGE_DIMS
from kuaihl.models.network.kuaihl import KuaiHL
from kuaihl.models.signals import SIGNALS_WIDTH


def main() -> None:
    parser = argparse.ArgumentParser(description="One cached step of the head against a full window.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    dims = replace(EDGE_DIMS, signals=SIGNALS_WIDTH, interest=True)  # as it ships
    network = KuaiHL(dims).eval()
    field = 2 * dims.window - 1  # all that a score depends on: the input of a scorer without a cache
    visual = torch.randn(1, field, dims.patches, dims.visual_width)
    text = torch.randn(1, field, dims.text_width)
    signals = torch.randn(1, field, dims.signals)
    streamer = torch.tensor([0])
    with torch.inference_mode():
        state = network.start(streamer)
        for segment in range(field):
            network.step(state, visual[:, segment], text[:, segment], signals[:, segment])
        contenders: dict[str, Callable[[], object]] = {
            "cached step": lambda: network.step(state, visual[:, -1], text[:, -1], signals[:, -1]),
            f"forward over {dims.window} segments": lambda: network(
                visual[:, -dims.window :], text[:, -dims.window :], streamer, None, signals[:, -dims.window :]
            ),
            f"forward over {field} segments (the same score)": lambda: network(visual, text, streamer, None, signals),
        }
        taken: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(options.repeats // 10 + 1):
            for name, run in contenders.items():
                for _ in range(10):
                    start = time.perf_counter()
                    run()
                    if turn > 0:  # the first is the warm-up
                        taken[name].append(time.perf_counter() - start)
    step = statistics.median(taken["cached step"])
    print(f"edge head, {options.threads} threads, batch 1, median of {options.repeats}, torch {torch.__version__}")
    print(f"state of a room: {len(state.to_bytes()) / 1e6:.2f} MB")
    print("| what | median ms | 90th percentile ms | times per step |\n|---|---|---|---|")
    for name, seconds in taken.items():
        high = statistics.quantiles(seconds, n=10)[-1]
        middle = statistics.median(seconds)
        print(f"| {name} | {middle * 1e3:.2f} | {high * 1e3:.2f} | {middle / step:.1f} |")


if __name__ == "__main__":
    main()
