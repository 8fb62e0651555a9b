"""Many runs of one engine, as many of them side by side as it takes.

On a CPU, ONNX Runtime sees pictures on one thread each rather than three at a time on all threads: no thread waits for
another at the end of every layer.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

    from kuaihl.engines.runtimes.runtime import Engine

Item = TypeVar("Item")


def batches(items: list[Item], size: int) -> list[list[Item]]:
    """The items, `size` at a time."""
    return [items[first : first + size] for first in range(0, len(items), size)]


def even_size(number: int, most: int, lanes: int) -> int:
    """How many of `number` items a run should take, `most` or fewer, for all lanes to end at about the same time."""
    rounds = -(-number // (most * lanes))
    return -(-number // (rounds * lanes)) if number else most


def run_each(engine: "Engine", calls: "Iterable[tuple[Tensor, ...]]") -> "Iterator[tuple[Tensor, ...]]":
    """The outputs of every call's inputs, in order. With one lane each is the caller's until the next is asked for."""
    if engine.lanes == 1:
        for inputs in calls:
            yield engine.run(*inputs)
        return
    with ThreadPoolExecutor(engine.lanes, thread_name_prefix="lane") as pool:
        # Inputs are made in the caller's thread while earlier runs go on: torch would start its own threads in each.
        yield from pool.map(lambda inputs: engine.run(*inputs), calls)
