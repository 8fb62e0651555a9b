"""A training step of the paper's and of the edge network: on the card in each precision, and on the CPU."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from training_step import training_step

from card.head import SMALL
from card.measure import Ceilings, Row, Setting, Work, count_operations, floor_of, release, skipped, time_call
from kuaihl.models.dims import EDGE_DIMS, PAPER_DIMS

_PAPER_BATCH, _LARGE_BATCH, _BATCH_ON_CPU = 48, 384, 4
_CPU = Setting(torch.device("cpu"), dry=True, seconds=0.0)


def training_rows(setting: Setting, ceilings: Ceilings) -> Iterator[Row]:
    """Batches of the paper's size, and one that fills the card; a CPU learns from fewer samples."""
    if setting.dry:
        small = replace(SMALL, signals=0, interest=False)
        cases = [("small", small, 2, "cpu", "no"), ("small", small, 2, "cpu", "bf16")]
    else:
        cases = [
            (name, dims, batch, device, precision)
            for name, dims, batches in (
                ("paper", PAPER_DIMS, (_PAPER_BATCH,)),
                ("edge", EDGE_DIMS, (_PAPER_BATCH, _LARGE_BATCH)),
            )
            for batch in batches
            for device, precision in (("cuda", "no"), ("cuda", "tf32"), ("cuda", "bf16"))
        ] + [("paper", PAPER_DIMS, _BATCH_ON_CPU, "cpu", "no"), ("edge", EDGE_DIMS, _PAPER_BATCH, "cpu", "no")]
    for name, dims, batch, device, precision in cases:
        part, what = f"training step, {name}", f"{device}, {'fp32' if precision == 'no' else precision}"
        on_card = device == setting.device.type
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        try:
            step = training_step(dims, batch, torch.device(device), "bf16" if precision == "bf16" else "no")
            taken = time_call(step, setting if on_card else _CPU)
            floor, note = None, f"{batch / taken:,.1f} samples/s"
            if on_card:
                rate = {"no": "fp32"}.get(precision, precision)
                floor = floor_of(Work(count_operations(step), 0), ceilings, rate)
            if device == "cuda":
                note += f", {torch.cuda.max_memory_allocated() / 1e9:.1f} GB at most"
                torch.cuda.reset_peak_memory_stats()
            yield Row(part, what, batch, taken, floor, note)
        except Exception as error:
            yield skipped(part, what, batch, error)
        finally:
            torch.set_float32_matmul_precision("highest")
            release()
