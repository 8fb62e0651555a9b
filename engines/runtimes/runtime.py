"""Engine: what executes a network. Tensors go in and come out, whether torch, ONNX Runtime or TensorRT is beneath.

An engine holds one graph (`graphs.py`) with its weights in it, and nothing of any stream: state goes in and comes out.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from kuaihl.engines.runtimes.graphs import GraphName

if TYPE_CHECKING:
    from torch import Tensor

    from kuaihl.engines.runtimes.graphs import Graph


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
        """What executes it."""

    @property
    def precision(self) -> Precision:
        """In what it computes; inputs and outputs are float32, int64, uint8 or bool whatever it is."""

    @property
    def num_streams(self) -> int:
        """How many runs it takes at once, each from a thread of its own."""

    def run(self, *inputs: "Tensor") -> "tuple[Tensor, ...]":
        """Outputs for inputs on any device, both in the order of the graph's ports; outputs are on the engine's device.

        They are the caller's until the next run: who keeps them longer copies them.
        """


class OpenRuntime(Protocol):
    """Opens the engine that was chosen for one graph after another."""

    def __call__(self, graph: GraphName, source: str, build: "Callable[[], Graph]") -> Runtime:
        """`source` is the SHA-256 of the graph's weights; `build` makes the graph, for torch to run."""


def kind_named(name: str) -> RuntimeKind:
    """The kind of engine of that name, which is one."""
    return next(kind for kind in RUNTIME_KINDS if kind == name)


def precision_named(name: str) -> Precision:
    """The precision of that name, which is one."""
    return next(precision for precision in PRECISIONS if precision == name)


def target_named(name: str) -> Target:
    """The processors of that name, which is one: portable for every x86-64, vnni for those that have VNNI."""
    return next(target for target in TARGETS if target == name)


def runtime_label(kind: RuntimeKind, precision: Precision, target: Target = "portable") -> str:
    """An engine's name for people."""
    return f"{kind} {precision}" + ("" if target == "portable" else " for VNNI")


def precision_of(graph: GraphName, kind: RuntimeKind, precision: Precision) -> Precision:
    """What a graph computes in where the engine as a whole is asked for `precision`.

    int8 is for the backbones: the head is small, and its scores are what parity is about. TensorRT quantises what was
    calibrated, the vision backbone, alone.
    """
    if precision != "int8":
        return precision
    if kind in ("tensorrt", "tensorrt-rtx"):
        return "int8" if graph == "vision" else "fp16"
    return "int8" if graph in ("vision", "text") else "fp32"
