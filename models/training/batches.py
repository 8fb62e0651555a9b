"""The order in which training reads a data set's windows, and its batches: a step's number in, tensors out.

The order follows from the seed and the epoch alone. Processes split every batch among themselves: two with 24 windows
each learn the same as one with 48.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from kuaihl.models.batch import Batch
from kuaihl.models.data.klive import WindowIndex, Windows
from kuaihl.models.dims import UNKNOWN_STREAMER
from kuaihl.models.training.plan import TrainingPlan

if TYPE_CHECKING:
    from kuaihl.models.training.video_set import Stretches


def steps_per_epoch(windows: int, batch: int) -> int:
    """Every window appears in every epoch, some of them twice if the last batch would not be full."""
    return -(-windows // batch)


def batches(
    windows: "WindowIndex | Stretches",
    streamers: Mapping[str, int],
    plan: TrainingPlan,
    steps: range,
    process: int = 0,
    processes: int = 1,
) -> Iterator[Batch]:
    """One process's share of the batches of `steps`, numbered over all epochs; features in half precision.

    The next batch is read while the network works on the last. Raises DataError, as reading does.
    """
    epoch_steps = steps_per_epoch(len(windows), plan.batch)
    share = plan.batch // processes
    order: NDArray[np.int64] = np.empty(0, np.int64)
    epoch = -1

    def indices(step: int) -> NDArray[np.int64]:
        nonlocal order, epoch
        if step // epoch_steps != epoch:
            epoch = step // epoch_steps
            shuffled = np.random.default_rng((plan.seed, epoch)).permutation(len(windows))
            order = np.resize(shuffled, epoch_steps * plan.batch)  # starts over to fill the last batch
        first = step % epoch_steps * plan.batch + process * share
        return order[first : first + share]

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as reader:
        waiting: Future[Windows | Batch] | None = None
        for step in steps:
            coming: Future[Windows | Batch] = reader.submit(windows.gather, indices(step))
            if waiting is not None:
                yield _as_batch(waiting.result(), streamers)
            waiting = coming
        if waiting is not None:
            yield _as_batch(waiting.result(), streamers)


def _as_batch(windows: Windows | Batch, streamers: Mapping[str, int]) -> Batch:
    """The same as tensors, with indices in place of the streamers' names; nothing is copied."""
    if isinstance(windows, Batch):  # stretches of videos, which have no streamer
        return windows
    return Batch(
        visual=torch.from_numpy(windows.visual),
        text=torch.from_numpy(windows.text),
        streamer=torch.tensor([streamers.get(name, UNKNOWN_STREAMER) for name in windows.streamer]),
        labels=torch.from_numpy(windows.labels),
        label_valid=torch.from_numpy(windows.label_valid),
        segment_valid=torch.from_numpy(windows.segment_valid),
        sparse=None if windows.sparse is None else torch.from_numpy(windows.sparse),
        signals=None if windows.signals is None else torch.from_numpy(windows.signals),
        interest=torch.from_numpy(windows.interest),
        interest_valid=torch.from_numpy(windows.interest_valid),
    )


def on_device(batch: Batch, device: torch.device) -> Batch:
    """Moved as stored, then widened to single precision: half the traffic."""

    def moved(part: torch.Tensor) -> torch.Tensor:
        return part.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else part

    def moved_if_there(part: torch.Tensor | None) -> torch.Tensor | None:
        return None if part is None else moved(part)

    return Batch(
        visual=moved(batch.visual).float(),
        text=moved(batch.text).float(),
        streamer=moved(batch.streamer),
        labels=moved(batch.labels),
        label_valid=moved(batch.label_valid),
        segment_valid=moved(batch.segment_valid),
        sparse=moved_if_there(batch.sparse),
        signals=moved_if_there(batch.signals),
        interest=moved_if_there(batch.interest),
        interest_valid=moved_if_there(batch.interest_valid),
    )
