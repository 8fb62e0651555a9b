"""How a call on a card is timed, what it must do at least, and the rows of the report."""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from kuaihl.models.errors import reason_of

_WARM_UPS = 3
_MOST_REPEATS = 200


@dataclass(frozen=True)
class Ceilings:
    """What the card reaches at best: operations per second by precision, and bytes per second."""

    rates: dict[str, float]  # fp32, tf32, fp16, bf16: of a large matrix product
    memory: float  # read plus written, within the card
    upload: float  # from pinned host memory


@dataclass(frozen=True)
class Setting:
    """Where and how long to measure; `dry` is a run of small networks on a CPU, whose times mean nothing."""

    device: torch.device
    dry: bool
    seconds: float  # for the repeats of one call


@dataclass(frozen=True)
class Work:
    """The least that a call must do."""

    operations: int
    bytes: int


@dataclass(frozen=True)
class Row:
    """One line of the report. A call that did not run has no seconds, and says why in `note`."""

    part: str
    what: str
    size: int  # rooms, frames, texts or samples of one call
    seconds: float | None = None
    floor: float | None = None
    note: str = ""


def time_call(call: Callable[[], object], setting: Setting, calls: int = 1) -> float:
    """Median seconds of a call until its result is there, after warm-ups; `calls` are made per reading of the clock."""
    for _ in range(1 if setting.dry else _WARM_UPS):
        call()
    synchronize(setting.device)
    taken: list[float] = []
    until = time.perf_counter() + setting.seconds
    while len(taken) < 3 or (time.perf_counter() < until and len(taken) < _MOST_REPEATS):
        began = time.perf_counter()
        for _ in range(calls):
            call()
        synchronize(setting.device)
        taken.append((time.perf_counter() - began) / calls)
    return statistics.median(taken)


def synchronize(device: torch.device) -> None:
    """Wait for the card."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def release() -> None:
    """Give the memory of one contender back before the next."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def count_operations(call: Callable[[], object]) -> int:
    """Floating-point operations of the matrix products and convolutions of a call."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def bytes_of(tensors: Iterable[Tensor | None]) -> int:
    """Bytes of tensors."""
    return sum(each.numel() * each.element_size() for each in tensors if each is not None)


def floor_of(work: Work, ceilings: Ceilings, precision: str) -> float:
    """Seconds that no version of a call can beat: those of its operations or of its bytes, the longer."""
    return max(work.operations / ceilings.rates[precision], work.bytes / ceilings.memory)


def capture(call: Callable[[], Any]) -> Callable[[], Any]:
    """The call as a CUDA graph; its replay writes into the tensors of the first."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(_WARM_UPS):
            call()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = call()

    def replay() -> Any:
        graph.replay()
        return found

    return replay


def skipped(part: str, what: str, size: int, error: Exception) -> Row:
    """The row of a contender that cannot run here."""
    return Row(part, what, size, note=f"skipped: {reason_of(error)}")
