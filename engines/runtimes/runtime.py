"""The engine, which executes a network: tensors in, tensors out, on torch, ONNX Runtime or TensorRT.

An engine holds one graph (`graphs.py`) with its weights. It keeps no stream's state: that goes in and comes out.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol, get_args

if TYPE_CHECKING:
    from torch import Tensor

    from kuaihl.engines.runtimes.graphs import Graph, GraphName  # which imports torch


RuntimeKind = Literal["torch", "onnx", "tensorrt", "tensorrt-rtx"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]
Target = Literal["portable", "vnni"]

RUNTIME_KINDS: tuple[RuntimeKind, ...] = get_args(RuntimeKind)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
TARGETS: tuple[Target, ...] = get_args(Target)


class Runtime(Protocol):
    """One graph, ready to run."""

    @property
    def kind(self) -> RuntimeKind:
        """The kind of engine that executes it."""

    @property
    def precision(self) -> Precision:
        """The precision of its computation; inputs and outputs are float32, int64, uint8 or bool in any case."""

    @property
    def num_streams(self) -> int:
        """The number of runs it accepts at once, each from its own thread."""

    def run(self, *inputs: "Tensor") -> "tuple[Tensor, ...]":
        """Outputs for inputs on any device, both in the order of the graph's ports; outputs are on the engine's device.

        They are valid until the next run: copy them to keep them longer.
        """


class OpenRuntime(Protocol):
    """Opens the chosen engine for one graph per call."""

    def __call__(self, graph: "GraphName", source: str, build: "Callable[[], Graph]") -> Runtime:
        """`source` is the SHA-256 of the graph's weights; `build` makes the graph, for torch to run."""


def kind_named(name: str) -> RuntimeKind:
    """The kind of engine with that name, which must be valid."""
    return next(kind for kind in RUNTIME_KINDS if kind == name)


def precision_named(name: str) -> Precision:
    """The precision with that name, which must be valid."""
    return next(precision for precision in PRECISIONS if precision == name)


def target_named(name: str) -> Target:
    """The target with that name, which must be valid: portable for every x86-64, vnni for those with VNNI."""
    return next(target for target in TARGETS if target == name)


def runtime_label(kind: RuntimeKind, precision: Precision, target: Target = "portable") -> str:
    """An engine's display name."""
    return f"{kind} {precision}" + ("" if target == "portable" else " for VNNI")


def precision_of(graph: "GraphName", kind: RuntimeKind, precision: Precision) -> Precision:
    """The precision of one graph if the engine as a whole is asked for `precision`.

    int8 is for the backbones: the head is small, and parity is measured on its scores. TensorRT quantises only the
    calibrated graph, the vision backbone.
    """
    if precision != "int8":
        return precision
    if kind in ("tensorrt", "tensorrt-rtx"):
        return "int8" if graph == "vision" else "fp16"
    return "int8" if graph in ("vision", "text") else "fp32"
