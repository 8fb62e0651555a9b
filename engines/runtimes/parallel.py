"""Many runs of one engine, as many in parallel as it accepts.

On a CPU, ONNX Runtime processes one picture per thread rather than three at a time on all threads. So no thread waits
for another at the end of every layer.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

    from kuaihl.engines.runtimes.runtime import Runtime

Item = TypeVar("Item")


def split_batches(items: list[Item], size: int) -> list[list[Item]]:
    """The items, `size` at a time."""
    return [items[first : first + size] for first in range(0, len(items), size)]


def even_size(number: int, most: int, num_streams: int) -> int:
    """The items per run out of `number`, at most `most`, for all streams to end at about the same time."""
    rounds = -(-number // (most * num_streams))
    return -(-number // (rounds * num_streams)) if number else most


def run_each(runtime: "Runtime", calls: "Iterable[tuple[Tensor, ...]]") -> "Iterator[tuple[Tensor, ...]]":
    """The outputs of every call's inputs, in order. With one stream, they are valid until the next request."""
    if runtime.num_streams == 1:
        for inputs in calls:
            yield runtime.run(*inputs)
        return
    with ThreadPoolExecutor(runtime.num_streams, thread_name_prefix="stream") as pool:
        # Inputs are made in the caller's thread while earlier runs go on: torch would start its own threads in each.
        yield from pool.map(lambda inputs: runtime.run(*inputs), calls)
