"""An exported fp32 graph in int8: a convolutional backbone by calibration, a transformer as its values come.

Static, with scales calibrated on real inputs, for convolutions: scales made at run time ruin them. Dynamic for matrix
products: a token's values range too widely for one scale found beforehand. Both by ONNX Runtime's own quantiser.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from kuaihl.engines.onnx_export import quiet
from kuaihl.models.errors import UsageError

if TYPE_CHECKING:
    import onnx

# The first blocks see few channels of very different ranges; in int8 they alone cost as much as all the others
# (cosine 0.979 with them, 0.996 without), and they are a fifth of the time saved.
FLOAT_CONVOLUTIONS = 12
LEAST_CALIBRATION = 12  # frames; fewer say nothing of the ranges to come


def quantise(model: "onnx.ModelProto", real: Sequence[tuple[Tensor, ...]], *, symmetric: bool = False) -> "onnx.ModelProto":
    """`model` in int8; `real` are inputs of real runs, which convolutions are calibrated on.

    `symmetric` writes what TensorRT reads: no zero points and no quantised biases, slower on a CPU.
    Raises UsageError where there is too little to calibrate on.
    """
    products = [node.op_type for node in model.graph.node if node.op_type in ("Conv", "MatMul")]
    if products.count("Conv") * 2 > len(products):
        return static(model, real, symmetric=symmetric)
    return dynamic(model)


def dynamic(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Weights of matrix products in int8, a scale a column; their inputs are quantised as they come."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder, quiet():
        target = Path(folder) / "int8.onnx"
        quantize_dynamic(model, target, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul"])
        return onnx.load(target)


def static(model: "onnx.ModelProto", real: Sequence[tuple[Tensor, ...]], *, symmetric: bool) -> "onnx.ModelProto":
    """Convolutions and what bounds their outputs in int8, with the ranges seen in `real`."""
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    seen = sum(len(inputs[0]) for inputs in real)
    if seen < LEAST_CALIBRATION:
        raise UsageError(
            f"int8 is calibrated on the frames of a real recording, and there are {seen}; give --sample a longer one"
        )
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    with tempfile.TemporaryDirectory() as folder, quiet():
        target = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            target,
            calibration_reader([port.name for port in model.graph.input], real),
            quant_format=QuantFormat.QDQ,
            # A clip to [0, 6] right after a convolution is its range; without it the range would be the convolution's own.
            op_types_to_quantize=["Conv", "Clip"],
            nodes_to_exclude=convolutions[:FLOAT_CONVOLUTIONS],
            per_channel=True,
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"ActivationSymmetric": symmetric, "QuantizeBias": not symmetric},
        )
        return onnx.load(target)


def calibration_reader(names: Sequence[str], real: Sequence[tuple[Tensor, ...]]) -> object:
    """Real inputs as ONNX Runtime's calibration asks for them, one run after another."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left: Iterator[tuple[Tensor, ...]] = iter(real)

        def get_next(self) -> dict[str, object] | None:
            inputs = next(self.left, None)
            return None if inputs is None else {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}

    return Reader()
