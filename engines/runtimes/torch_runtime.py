"""Torch as an engine: the graph's own module, on a CPU or CUDA device. It is the reference for the others."""

from collections.abc import Callable

import torch
from torch import Tensor

from kuaihl.engines.runtimes.graphs import Graph, GraphName
from kuaihl.engines.runtimes.precision import InPrecision
from kuaihl.engines.runtimes.runtime import OpenRuntime, Precision, Runtime, RuntimeKind
from kuaihl.models.errors import UsageError


class TorchRuntime:
    """A graph run eagerly."""

    kind: RuntimeKind = "torch"
    num_streams = 1  # one run uses all threads

    def __init__(self, graph: Graph, device: str | torch.device = "cpu", precision: Precision = "fp32") -> None:
        """Raises UsageError for int8, which torch does not execute here."""
        if precision == "int8":
            raise UsageError(
                "torch does not run it; choose engine onnx, or another precision", setting="precision", value=precision
            )
        self.precision: Precision = precision
        self.device = torch.device(device)
        self.module = InPrecision(graph.module, precision).to(self.device)

    @torch.inference_mode()
    def run(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        found = self.module(*(tensor.to(self.device) for tensor in inputs))
        return found if isinstance(found, tuple) else (found,)


def open_torch(device: str | torch.device = "cpu", precision: Precision = "fp32") -> OpenRuntime:
    """The opener of any graph in torch."""

    def open_runtime(graph: GraphName, source: str, build: Callable[[], Graph]) -> Runtime:
        return TorchRuntime(build(), device, precision)

    return open_runtime
