"""A graph as ONNX: exported from torch, checked, and compared with torch on random and real inputs before use.

fp16 and bf16 are exported from a module of that precision, with float32 ports; int8 is quantised afterwards.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from kuaihl.engines.runtimes.graphs import Graph, GraphName, TensorSpec
from kuaihl.engines.runtimes.onnx_runtime import OnnxRuntime
from kuaihl.engines.runtimes.precision import InPrecision
from kuaihl.engines.runtimes.runtime import Precision
from kuaihl.engines.runtimes.torch_runtime import TorchRuntime
from kuaihl.models.errors import ModelError, UsageError

if TYPE_CHECKING:
    import onnx

Inputs = tuple[Tensor, ...]  # of one run, in the order of the graph's ports

_SCORES: tuple[GraphName, ...] = ("step", "window")
_MOST_DIFFERENCE = {"fp32": 1e-4, "fp16": 5e-3, "bf16": 3e-2}  # of a score
_LEAST_COSINE = {"fp32": 0.99999, "fp16": 0.9999, "bf16": 0.995, "int8": 0.97}  # of a feature vector
RANDOM_SIZES = {"rooms": (1, 5), "frames": (1, 4), "texts": (1, 3), "length": (9, 33)}
EXAMPLE_SIZES = {"rooms": 3, "frames": 2, "texts": 2, "length": 12}  # 0 and 1 would be taken for fixed sizes


def export_onnx(graph: Graph, precision: Precision) -> "onnx.ModelProto":
    """The graph in fp32, fp16 or bf16, with a dynamic batch. Raises UsageError if the exporter is not installed."""
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UsageError("exporting needs packages that are not here: pip install 'kuaihl[export]'") from error
    from kuaihl.engines.export.onnx_attention import OPSET, TRANSLATIONS

    sizes = {
        name: torch.export.Dim(name, min=max(1, given.least), max=given.most) for name, given in graph.ranges.items()
    }
    shapes = tuple(
        {axis: sizes[size] for axis, size in enumerate(port.shape) if isinstance(size, str)} for port in graph.inputs
    )
    with silence_exporter(), torch.no_grad():
        program = torch.onnx.export(
            InPrecision(graph.module, precision).eval(),
            random_inputs(graph, EXAMPLE_SIZES, seed=0),
            dynamo=True,
            input_names=graph.input_names,
            output_names=list(graph.outputs),
            # A module that takes *inputs has one argument, the tuple of tensors.
            dynamic_shapes=(shapes,),
            custom_translation_table=TRANSLATIONS,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    onnx.checker.check_model(model, full_check=True)
    return model


def random_inputs(graph: Graph, sizes: dict[str, int], seed: int) -> Inputs:
    """Random inputs of a run: whole texts, pictures of noise, streams of any age."""
    draw = torch.Generator().manual_seed(seed)
    return tuple(_random_tensor(port, sizes, draw) for port in graph.inputs)


def _random_tensor(port: TensorSpec, sizes: dict[str, int], draw: torch.Generator) -> Tensor:
    shape = port.shape_for(sizes)
    if port.dtype == torch.bool:
        return torch.ones(shape, dtype=torch.bool)
    if port.dtype == torch.float32:
        return torch.randn(shape, generator=draw)
    return torch.randint(0, port.most + 1, shape, generator=draw, dtype=port.dtype)


def measure_parity(
    graph: Graph, model: "onnx.ModelProto", precision: Precision, real: Sequence[Inputs]
) -> dict[str, float]:
    """How far an exported graph is from torch in fp32, on random and on `real` inputs.

    Raises ModelError if the difference is too large for its precision.
    """
    runnable = in_float32(model) if precision == "bf16" else model  # no CPU engine computes in bf16
    # With exact kernels, a file for other processors gives the same results here as there.
    engine = OnnxRuntime(runnable.SerializeToString(), graph.name, precision, exact=precision == "int8")
    reference = TorchRuntime(graph)
    draws = [
        random_inputs(graph, {name: RANDOM_SIZES[name][turn] for name in graph.ranges}, seed=turn) for turn in (0, 1)
    ]
    # Noise is not a picture or a text, so the effect of quantisation on it means nothing.
    runs = list(real) if precision == "int8" else [*draws, *real]
    pairs = [(engine.run(*inputs)[0], reference.run(*inputs)[0]) for inputs in runs]
    found = {"max_abs_difference": max(float((ours - theirs).abs().max()) for ours, theirs in pairs)}
    if graph.name in _SCORES:
        _check(found["max_abs_difference"] <= _MOST_DIFFERENCE[precision], graph, precision, found)
    else:
        found["least_cosine"] = min(float(F.cosine_similarity(ours, theirs, dim=-1).min()) for ours, theirs in pairs)
        _check(found["least_cosine"] >= _LEAST_COSINE[precision], graph, precision, found)
    return {name: round(value, 8) for name, value in found.items()}


def _check(holds: bool, graph: Graph, precision: Precision, found: dict[str, float]) -> None:
    if not holds:
        said = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in found.items())
        raise ModelError(f"{graph.name} in {precision} is not what torch computes ({said}); it was not written")


def in_float32(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """A bf16 graph with the same rounded weights, computing in float32 so that a CPU can compare it with torch."""
    import onnx

    bf16, fp32 = onnx.TensorProto.BFLOAT16, onnx.TensorProto.FLOAT
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    del twin.graph.value_info[:]

    def widen(tensor: Any) -> None:
        if tensor.data_type == bf16:
            values = onnx.numpy_helper.to_array(tensor).astype("float32")
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))

    for tensor in twin.graph.initializer:
        widen(tensor)
    for node in twin.graph.node:
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == bf16:
                attribute.i = fp32
            widen(attribute.t)
    return twin


@contextmanager
def silence_exporter() -> Iterator[None]:
    """Silence the exporter's messages about missing packages and its own workings."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
