"""Int8 quantisation of an exported fp32 graph: static for a convolutional backbone, dynamic for a transformer.

Convolutions are static, with scales calibrated on real inputs: scales made at run time ruin them. Matrix products are
dynamic, and their inputs are first evened out. A few channels of a transformer are far larger than the rest. One scale
for all would leave the rest few bits (SmoothQuant, Xiao et al. 2023). ONNX Runtime's own quantiser does both.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kuaihl.engines.export.bias_correction import correct_bias
from kuaihl.engines.export.onnx_export import silence_exporter
from kuaihl.engines.export.saturation import without_saturation
from kuaihl.engines.runtimes.onnx_runtime import OnnxRuntime
from kuaihl.engines.runtimes.runtime import Target
from kuaihl.models.atomic import scratch_folder
from kuaihl.models.errors import Remedy, UsageError

if TYPE_CHECKING:
    import onnx

# The first ones read few channels of very different ranges; docs/benchmarks.md gives each number's costs and savings.
# Only the first: ONNX Runtime itself quantises a float convolution's weights between int8 ones, with one scale for all.
FLOAT_CONVOLUTIONS: dict[Target, int] = {"portable": 36, "vnni": 18}  # of EfficientNet-Lite2's 64
_SHARE = 0.7  # share of an input's range that moves to the weights; measured on E5: cosine 0.9994, 0.9970 without
_TINY = 1e-5
_MOST_PROBED = 32  # the latest runs
_LEAST_CALIBRATION = 12  # frames; fewer do not predict the ranges to come


def quantize(
    model: "onnx.ModelProto",
    real: Sequence[tuple[Tensor, ...]],
    *,
    target: Target = "portable",
    symmetric: bool = False,
) -> "onnx.ModelProto":
    """`model` in int8; `real` are inputs of real runs, for calibrating convolutions.

    `target` names the processors that run it: `vnni` uses weights of full range, which saturate on others.
    `symmetric` writes TensorRT's form: no zero points and no quantised biases, slower on a CPU.
    Raises UsageError if there is too little to calibrate on.
    """
    products = [node.op_type for node in model.graph.node if node.op_type in ("Conv", "MatMul")]
    convolutional = products.count("Conv") * 2 > len(products)
    full_range = symmetric or target == "vnni"
    if convolutional:
        in_floats = FLOAT_CONVOLUTIONS["vnni" if full_range else "portable"]
        quantised = quantize_static(model, real, symmetric=symmetric, in_floats=in_floats)
    else:
        model = smooth(model, real)
        quantised = quantize_dynamic(model)
    if not full_range:
        quantised = without_saturation(model, quantised)
    return correct_bias(model, quantised, real) if convolutional else quantised


def smooth(model: "onnx.ModelProto", real: Sequence[tuple[Tensor, ...]]) -> "onnx.ModelProto":
    """The same function, with channels divided by their size in `real` before a product, and its weights multiplied.

    SHARE is the part of a channel's size that moves to the weights, whose scale per column can take it.
    """
    import onnx

    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    weights = {tensor.name: tensor for tensor in twin.graph.initializer}
    products: dict[str, list[onnx.NodeProto]] = {}  # by input, which query, key and value share
    for node in twin.graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights:
            products.setdefault(node.input[0], []).append(node)
    largest = _largest_values(model, list(products), real)
    for name, nodes in products.items():
        matrices = [onnx.numpy_helper.to_array(weights[node.input[1]]) for node in nodes]  # [K, N] each
        strongest = np.max([np.abs(matrix).max(axis=1) for matrix in matrices], axis=0)
        size = np.maximum(largest[name], _TINY) ** _SHARE / np.maximum(strongest, _TINY) ** (1 - _SHARE)
        size = (size / np.exp(np.log(size).mean())).astype(np.float32)  # [K]
        for node, matrix in zip(nodes, matrices, strict=True):
            scaled = onnx.numpy_helper.from_array(matrix * size[:, None], node.input[1])
            weights[node.input[1]].CopyFrom(scaled)
            node.input[0] = f"{name}.even"
        twin.graph.initializer.append(onnx.numpy_helper.from_array(1 / size, f"{name}.size"))
        place = min(list(twin.graph.node).index(node) for node in nodes)
        even = onnx.helper.make_node("Mul", [name, f"{name}.size"], [f"{name}.even"], name=f"{name}.even")
        twin.graph.node.insert(place, even)
    return twin


def _largest_values(
    model: "onnx.ModelProto", names: list[str], real: Sequence[tuple[Tensor, ...]]
) -> "dict[str, NDArray[np.float32]]":
    """The largest magnitude [K] of every channel of the tensors `names` [..., K], over real runs."""
    import onnx

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    engine = OnnxRuntime(probe.SerializeToString(), "what goes into products")
    found: dict[str, NDArray[np.float32]] = {}
    for run in real[-_MOST_PROBED:]:
        for name, values in zip(names, engine.run(*run)[len(model.graph.output) :], strict=True):
            largest = values.abs().flatten(0, -2).amax(dim=0).numpy()
            found[name] = np.maximum(found.get(name, largest), largest)
    return found


def _scratch_folder() -> AbstractContextManager[Path]:
    """A folder among the system's temporary ones."""
    return scratch_folder(Path(tempfile.gettempdir()), "kuaihl-int8-")


def quantize_dynamic(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Weights of matrix products in int8, one scale per column; their inputs are quantised at run time."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _scratch_folder() as folder, silence_exporter():
        source, target = folder / "fp32.onnx", folder / "int8.onnx"
        onnx.save(model, source)
        quantize_dynamic(source, target, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul"])
        return onnx.load(target)


def quantize_static(
    model: "onnx.ModelProto",
    real: Sequence[tuple[Tensor, ...]],
    *,
    symmetric: bool,
    in_floats: int,
) -> "onnx.ModelProto":
    """Convolutions except the first `in_floats`, and the clips of their outputs, in int8 with the ranges of `real`."""
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    seen = sum(len(inputs[0]) for inputs in real)
    if seen < _LEAST_CALIBRATION:
        raise UsageError(
            f"int8 is calibrated on the frames of a real recording, and there are {seen}",
            remedy=Remedy("give a longer one", {"sample": None}),
        )
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    with _scratch_folder() as folder, silence_exporter():
        source, target = folder / "fp32.onnx", folder / "int8.onnx"
        onnx.save(model, source)
        quantize_static(
            source,
            target,
            _calibration_reader([port.name for port in model.graph.input], real),
            quant_format=QuantFormat.QDQ,
            # A clip to [0, 6] after a convolution sets its range, which would else include the values that it cuts off.
            op_types_to_quantize=["Conv", "Clip"],
            nodes_to_exclude=convolutions[:in_floats],
            per_channel=True,
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"ActivationSymmetric": symmetric, "QuantizeBias": not symmetric},
        )
        return onnx.load(target)


def _calibration_reader(names: Sequence[str], real: Sequence[tuple[Tensor, ...]]) -> object:
    """Real inputs in the form of ONNX Runtime's calibration, one run after another."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left: Iterator[tuple[Tensor, ...]] = iter(real)

        def get_next(self) -> dict[str, object] | None:
            inputs = next(self.left, None)
            return (
                None if inputs is None else {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
            )

    return Reader()
