"""TensorRT as an engine, with either package: torch's CUDA tensors in and out, CUDA graphs for recurring shapes.

TensorRT runs on the engine's own stream. It waits for the caller's current stream, which in turn waits for it. On the
default stream, TensorRT would synchronise the whole device at every call.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kuaihl.engines.runtimes.compiled import read_compiled
from kuaihl.engines.runtimes.graphs import Graph, GraphName
from kuaihl.engines.runtimes.runtime import OpenRuntime, Precision, Runtime, RuntimeKind
from kuaihl.engines.runtimes.tensorrt_fit import built_engines, fitting_engine, rebuild_remedy, this_machine
from kuaihl.engines.runtimes.tensorrt_package import TensorRt, TensorRtKind, load_tensorrt
from kuaihl.models.errors import ModelError

Shapes = tuple[tuple[int, ...], ...]

_TORCH_TYPES = {
    "FLOAT": torch.float32,
    "HALF": torch.float16,
    "BF16": torch.bfloat16,
    "INT64": torch.int64,
    "INT32": torch.int32,
    "INT8": torch.int8,
    "UINT8": torch.uint8,
    "BOOL": torch.bool,
}
_RECURS = 2  # calls of one shape in a row before the next goes through a CUDA graph
KEPT = 4  # the most shapes that have a CUDA graph at a time


@dataclass
class FixedCall:
    """A call of one shape at fixed addresses; a CUDA graph depends on those and on its context's state."""

    context: Any
    inputs: list[Tensor]
    outputs: list[Tensor]
    graph: torch.cuda.CUDAGraph | None  # None: TensorRT for RTX keeps a graph in the context itself


class TensorRtRuntime:
    """A compiled graph on an NVIDIA GPU. One call at a time."""

    num_streams = 1

    def __init__(
        self,
        content: bytes,
        ports: tuple[Sequence[str], Sequence[str]],
        kind: TensorRtKind,
        precision: Precision,
        device: str | torch.device = "cuda",
        label: str = "engine",
        cuda_graphs: bool = True,
    ) -> None:
        """Load an engine; `ports` are its graph's inputs and outputs, `label` is its name in errors.

        Raises ModelError if TensorRT cannot load it, or if the engine has other ports.
        """
        self.kind: RuntimeKind = kind
        self.precision: Precision = precision
        self.label, self.tensorrt, self.cuda_graphs = label, load_tensorrt(kind), cuda_graphs
        self.stream = torch.cuda.Stream(torch.device(device))  # type: ignore[no-untyped-call]
        self.device = self.stream.device
        with torch.cuda.device(self.device):
            self.runtime, self.engine = deserialise(self.tensorrt, content, label)
            self.read_ports(*ports)
            # All contexts share one scratch memory, as they run in turn. It is sized for the largest shapes.
            size = max(int(self.engine.device_memory_size_v2), 256)
            self.scratch = torch.empty(size, dtype=torch.uint8, device=self.device)
            self.kernels: Any = None  # TensorRT for RTX: compiled once for all contexts
            self.context = self.new_context()
        self.outputs: list[Tensor] = []
        self.shapes: Shapes = ()  # of the latest call without a CUDA graph
        self.times = 0  # calls of these shapes in a row
        self.fixed: dict[Shapes, FixedCall] = {}  # least recently used first

    def read_ports(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Names, types and bounds of inputs and outputs."""
        self.output_names = tuple(outputs)
        there = {self.engine.get_tensor_name(index) for index in range(self.engine.num_io_tensors)}
        if not there <= {*inputs, *outputs} or not set(outputs) <= there:
            raise ModelError(
                f"{self.label}: its ports are {', '.join(sorted(there))}, not {', '.join([*inputs, *outputs])}"
            )
        # The builder may leave out an input that the network does not read.
        self.inputs = [(place, name) for place, name in enumerate(inputs) if name in there]
        self.types = {name: _TORCH_TYPES[self.engine.get_tensor_dtype(name).name] for name in there}
        self.bounds = {name: self.engine.get_tensor_profile_shape(name, 0) for _, name in self.inputs}

    @torch.inference_mode()
    def run(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run the graph. Raises ModelError for shapes that the engine was not built for, and if TensorRT fails."""
        given = [inputs[place] for place, _ in self.inputs]
        shapes = tuple(tuple(tensor.shape) for tensor in given)
        caller = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(caller)
        with torch.cuda.stream(self.stream):
            outputs = self.run_fixed(given, shapes) or self.run_once(given, shapes)
        caller.wait_stream(self.stream)
        return tuple(outputs)

    def run_once(self, given: list[Tensor], shapes: Shapes) -> list[Tensor]:
        """Run on the given tensors, uncopied if possible."""
        if shapes != self.shapes:
            self.shapes, self.times = (), 0  # so that a failure below leaves no shapes
            self.outputs = self.shape(self.context, shapes)
            self.shapes = shapes
        self.times += 1
        moved = [
            tensor.to(self.device, self.types[name]).contiguous()
            for tensor, (_, name) in zip(given, self.inputs, strict=True)
        ]
        self.bind(self.context, moved, self.outputs)
        self.execute(self.context)
        return self.outputs

    def run_fixed(self, given: list[Tensor], shapes: Shapes) -> list[Tensor] | None:
        """Run through a CUDA graph if these shapes have one, or have recurred enough to get one; else None."""
        call = self.fixed.pop(shapes, None)
        if call is None:
            if not self.cuda_graphs or shapes != self.shapes or self.times < _RECURS:
                return None
            call = self.fix(given, shapes)
            if call is None:
                return None
        self.fixed[shapes] = call
        while len(self.fixed) > KEPT:
            self.stream.synchronize()  # its latest run may still be going on
            del self.fixed[next(iter(self.fixed))]
        for kept, tensor in zip(call.inputs, given, strict=True):
            kept.copy_(tensor)
        if call.graph is None:
            self.execute(call.context)
        else:
            call.graph.replay()
        return call.outputs

    def fix(self, given: list[Tensor], shapes: Shapes) -> FixedCall | None:
        """Buffers and a context for one shape, captured. None if capture fails; it is not tried again."""
        context = self.new_context(captured=True)
        outputs = self.shape(context, shapes)
        inputs = [
            torch.empty(shape, dtype=self.types[name], device=self.device)
            for shape, (_, name) in zip(shapes, self.inputs, strict=True)
        ]
        for kept, tensor in zip(inputs, given, strict=True):
            kept.copy_(tensor)
        self.bind(context, inputs, outputs)
        self.execute(context)  # the first run after a change of shape does setup that cannot be captured
        if self.captures_itself:
            return FixedCall(context, inputs, outputs, None)
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads may allocate during the capture.
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                self.execute(context)
        except (RuntimeError, ModelError):  # an engine that CUDA graphs cannot capture still runs without them
            self.cuda_graphs = False
            return None
        return FixedCall(context, inputs, outputs, graph)

    @property
    def captures_itself(self) -> bool:
        """Whether TensorRT makes CUDA graphs itself: TensorRT for RTX swaps kernels as it compiles better ones."""
        return self.kind == "tensorrt-rtx" and hasattr(self.tensorrt.api, "CudaGraphStrategy")

    def new_context(self, captured: bool = False) -> Any:
        """An execution context with profile 0, on the shared scratch memory."""
        api = self.tensorrt.api
        strategy = api.ExecutionContextAllocationStrategy.USER_MANAGED
        self.tensorrt.complaints.clear()
        if self.captures_itself:
            config = self.engine.create_runtime_config()
            config.set_execution_context_allocation_strategy(strategy)
            graphs = api.CudaGraphStrategy
            config.cuda_graph_strategy = graphs.WHOLE_GRAPH_CAPTURE if captured else graphs.DISABLED
            self.kernels = self.kernels or config.create_runtime_cache()
            config.set_runtime_cache(self.kernels)
            context = self.engine.create_execution_context(config)
        else:
            context = self.engine.create_execution_context(strategy)
        if context is None:
            raise ModelError(f"{self.label}: TensorRT cannot prepare it: {self.tensorrt.complaints.first_line()}")
        context.set_device_memory(self.scratch.data_ptr(), self.scratch.numel())
        return context

    def shape(self, context: Any, shapes: Shapes) -> list[Tensor]:
        """Set a context to inputs of `shapes`; returns buffers for its outputs."""
        for (_, name), shape in zip(self.inputs, shapes, strict=True):
            least, _, most = (tuple(bound) for bound in self.bounds[name])
            if not _fits(shape, least, most):
                raise ModelError(
                    f"{self.label}: takes {name} of {_format_shape(least)} to {_format_shape(most)}, and was given "
                    f"{_format_shape(shape)}"
                )
            self.tensorrt.complaints.clear()
            if not context.set_input_shape(name, shape):
                raise ModelError(
                    f"{self.label}: {name} of {_format_shape(shape)}: {self.tensorrt.complaints.first_line()}"
                )
        return [
            torch.empty(tuple(context.get_tensor_shape(name)), dtype=self.types[name], device=self.device)
            for name in self.output_names
        ]

    def bind(self, context: Any, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        names = [name for _, name in self.inputs] + list(self.output_names)
        for name, tensor in zip(names, [*inputs, *outputs], strict=True):
            context.set_tensor_address(name, tensor.data_ptr())

    def execute(self, context: Any) -> None:
        self.tensorrt.complaints.clear()
        if not context.execute_async_v3(self.stream.cuda_stream):
            raise ModelError(f"{self.label}: TensorRT failed to run it: {self.tensorrt.complaints.first_line()}")


def deserialise(tensorrt: TensorRt, content: bytes, label: str) -> tuple[Any, Any]:
    """A runtime and the engine in it. Raises ModelError for content that TensorRT rejects."""
    tensorrt.complaints.clear()
    runtime = tensorrt.api.Runtime(tensorrt.logger)
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        raise ModelError(
            f"{label}: {tensorrt.kind} {tensorrt.version} cannot load it: {tensorrt.complaints.first_line()}"
        )
    return runtime, engine


def _fits(shape: tuple[int, ...], least: tuple[int, ...], most: tuple[int, ...]) -> bool:
    return len(shape) == len(least) and all(a <= b <= c for a, b, c in zip(least, shape, most, strict=True))


def _format_shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "no dimensions"


def open_tensorrt(
    folder: Path,
    kind: TensorRtKind,
    precision: Precision = "fp32",
    device: str | torch.device = "cuda",
    *,
    bundle: str = "BUNDLE",
) -> OpenRuntime:
    """The opener of a bundle's engines, in its compiled `folder`, on this machine's card; remedies call it `bundle`.

    The opener raises NotBuiltError if an engine was never built, and UsageError without an NVIDIA GPU or the package.
    It raises ModelError, with the remedy, if an engine is damaged or not for this machine.
    """

    def open_runtime(graph: GraphName, source: str, build: Callable[[], Graph]) -> Runtime:
        files = built_engines(folder, graph, precision, kind, bundle)
        machine = this_machine(kind, device)
        file = fitting_engine(files, precision, machine, bundle)
        content, facts = read_compiled(file, source, rebuild_remedy(bundle, kind, precision, machine.gpu))
        return TensorRtRuntime(content, (facts.inputs, facts.outputs), kind, facts.precision, device, str(file))

    return open_runtime
