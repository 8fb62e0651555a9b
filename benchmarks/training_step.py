"""The cost of a training step: forward, losses, backward and Adam, part by part, and whether it loops over time.

    python benchmarks/training_step.py [--dims edge paper] [--device cpu] [--threads 2] [--batches 48] [--steps 5]

Features are random, because their values do not change the cost. A loop over the S segments of a window would show as
operator calls that grow with S. They are counted at S and at 2S, with the window grown likewise, with and without
L_align: its soft-DTW must go through 2S − 1 anti-diagonals.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from kuaihl.models.dims import EDGE_DIMS, PAPER_DIMS, NetworkDims
from kuaihl.models.losses.alignment import alignment_loss
from kuaihl.models.losses.objective import Objective
from kuaihl.models.losses.pairwise import pairwise_loss
from kuaihl.models.losses.point import point_loss
from kuaihl.models.network.kuaihl import KuaiHL

KLIVE_SAMPLES, EPOCHS = 1_436_979, 12
PARTS = ("tokens", "perceiver, decoder", "L_point", "L_pair", "L_align", "backward", "Adam")
DIMS = {"edge": EDGE_DIMS, "paper": PAPER_DIMS}


def main() -> None:
    parser = argparse.ArgumentParser(description="Time, parts and memory of one training step.")
    parser.add_argument("--dims", nargs="+", choices=DIMS, default=list(DIMS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", nargs="+", type=int, default=[48])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--precision", choices=["no", "bf16"], default="no")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {options.threads} threads"
    print(f"one training step, {where}, precision {options.precision}, torch {torch.__version__}\n")
    print(f"| network | batch | median ms | samples/s | hours for {EPOCHS} x {KLIVE_SAMPLES:,} | peak memory GB |")
    print("|---|---|---|---|---|---|")
    parts = {}
    for name in options.dims:
        for batch in options.batches:
            step = training_step(DIMS[name], batch, device, options.precision)
            seconds, memory = timed(step, options.steps, device)
            rate = batch / seconds
            hours = EPOCHS * KLIVE_SAMPLES / rate / 3600
            print(f"| {name} | {batch} | {seconds * 1e3:.0f} | {rate:.1f} | {hours:.1f} | {memory:.2f} |", flush=True)
            parts[name, batch] = shares(step, device)
    for (name, batch), found in parts.items():
        print(f"\n{name}, batch {batch}, by part (torch.profiler)\n\n| part | ms | share |\n|---|---|---|")
        for part, seconds in found.items():
            print(f"| {part} | {seconds * 1e3:.1f} | {seconds / sum(found.values()):.0%} |")
    print("\n| operator calls of a step | S = 20 | S = 40 |\n|---|---|---|")
    small = replace(EDGE_DIMS, width=32, heads=2, visual_width=16, text_width=16, patches=2)
    for what, align in (("without L_align", False), ("with L_align", True)):
        counts = [calls(training_step(replace(small, window=n), 2, torch.device("cpu"), "no", align)) for n in (20, 40)]
        print(f"| {what} | {counts[0]} | {counts[1]} |")
        if not align and counts[0] != counts[1]:
            raise SystemExit("operator calls grow with the number of segments: something loops over time")


def training_step(
    dims: NetworkDims, batch: int, device: torch.device, precision: str, align: bool = True
) -> Callable[[], None]:
    """A step of `kuaihl train` on random features of n segments, its parts named for the profiler."""
    torch.manual_seed(0)
    network = KuaiHL(replace(dims, streamers=1000)).to(device).train()
    adam = torch.optim.Adam(network.parameters(), lr=5e-5)
    objective = Objective()
    n = dims.window
    visual = torch.randn(batch, n, dims.patches, dims.visual_width, device=device).half()
    text = torch.randn(batch, n, dims.text_width, device=device).half()
    streamer = torch.randint(0, 1000, (batch,), device=device)
    labels = torch.rand(batch, n, device=device)
    valid = torch.ones(batch, n, dtype=torch.bool, device=device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            with record_function("tokens"):
                tokens = network.embed(visual.float(), text.float())
            with record_function("perceiver, decoder"):
                logits = network.predict(tokens, streamer, valid).score
            with record_function("L_point"):
                total = objective.point * point_loss(logits, labels, valid)
            with record_function("L_pair"):
                total = total + objective.pair * pairwise_loss(
                    logits, labels, valid, objective.pair_variant, mean=objective.pair_mean
                )
            if align:
                with record_function("L_align"):
                    words, pictures = tokens[:, :, -1], tokens[:, :, :-1].mean(dim=2)
                    total = total + objective.align * alignment_loss(words, pictures, valid)
        with record_function("backward"):
            adam.zero_grad()
            total.backward()  # type: ignore[no-untyped-call]
        with record_function("Adam"):
            adam.step()

    return step


def timed(step: Callable[[], None], steps: int, device: torch.device) -> tuple[float, float]:
    """Median seconds of a step after a warm-up, and the peak memory in GB: the device's, or this process's."""
    step()
    taken = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - start)
    if device.type == "cuda":
        return statistics.median(taken), torch.cuda.max_memory_allocated(device) / 1e9
    return statistics.median(taken), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def shares(step: Callable[[], None], device: torch.device) -> dict[str, float]:
    """Seconds of every part of one profiled step."""
    cuda = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as profiled:
        step()
    found = {event.key: event for event in profiled.key_averages() if event.key in PARTS}
    return {
        part: (found[part].device_time_total if cuda else found[part].cpu_time_total) / 1e6
        for part in PARTS
        if part in found
    }


def calls(step: Callable[[], None]) -> int:
    """Operator calls of one step, forward and backward pass together."""
    step()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        step()
    return sum(event.count for event in profiled.key_averages() if event.key.startswith("aten::"))


if __name__ == "__main__":
    main()
