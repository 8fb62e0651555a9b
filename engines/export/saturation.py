"""Int8 weights whose products cannot saturate in any kernel: an ONNX Runtime graph in, the same graph rescaled out.

x86-64 without VNNI multiplies bytes in pairs and adds each pair in int16: 255 · 127 · 2 does not fit and is cut off
silently. ONNX Runtime's `reduce_range` keeps every weight within 64. Here two neighbours together stay within 128. That
suffices, and increases a weight's rounding by a third instead of doubling it. Only columns that need it are rescaled.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

_LARGEST_INPUT = 255  # of an unsigned byte
_MOST_PER_PAIR = np.iinfo(np.int16).max // _LARGEST_INPUT  # 128: the largest sum of two neighbouring weights
_STRETCH = 1.002  # the least growth of a scale per turn; rounding may undo a smaller step
QUANTISED, _SCALE = "_quantized", "_scale"  # suffixes that ONNX Runtime's quantiser adds to a weight's name


@dataclass(frozen=True)
class QuantisedProduct:
    """A convolution or matrix product with int8 weights: the names of its tensors, and the axis of its outputs."""

    weight: str  # of the float weights
    channel: int  # the axis of outputs, one scale per output
    bias: tuple[str, str] | None = None  # an int32 tensor and its scales


def without_saturation(model: "onnx.ModelProto", quantised: "onnx.ModelProto") -> "onnx.ModelProto":
    """`quantised`, made from `model`, with scales such that no pair of products exceeds int16.

    Depthwise convolutions stay as they are: their kernels never add products of bytes in int16.
    """
    import onnx

    read = onnx.numpy_helper.to_array
    floats = {tensor.name: tensor for tensor in model.graph.initializer}
    mended = onnx.ModelProto()
    mended.CopyFrom(quantised)
    before = {tensor.name: tensor for tensor in quantised.graph.initializer}
    tensors = {tensor.name: tensor for tensor in mended.graph.initializer}

    def write(name: str, values: NDArray[np.generic]) -> None:
        tensors[name].CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))

    for product in quantised_products(quantised):
        scale = read(before[product.weight + _SCALE])  # [N]
        weight = np.moveaxis(read(floats[product.weight]), product.channel, 0)  # [N, …]
        rounded, stretched = rounded_without_saturation(weight, scale)
        write(product.weight + QUANTISED, np.moveaxis(rounded, 0, product.channel))
        write(product.weight + _SCALE, stretched)
        if product.bias is not None:
            name, of_bias = product.bias
            write(name, np.rint(read(before[name]) * (scale / stretched)).astype(np.int32))
            write(of_bias, (read(before[of_bias]) * (stretched / scale)).astype(np.float32))
    return mended


def quantised_products(quantised: "onnx.ModelProto") -> Iterator[QuantisedProduct]:
    """The products of a graph that run in byte kernels, without depthwise convolutions."""
    import onnx

    weights = {tensor.name: tensor for tensor in quantised.graph.initializer}
    scaled = {node.output[0]: node for node in quantised.graph.node if node.op_type == "DequantizeLinear"}
    for node in quantised.graph.node:
        if node.op_type == "MatMulInteger":
            yield QuantisedProduct(node.input[1].removesuffix(QUANTISED), channel=1)
        elif node.op_type == "Conv" and node.input[1] in scaled:
            name = scaled[node.input[1]].input[0]
            bias = scaled.get(node.input[2]) if len(node.input) > 2 else None
            if onnx.numpy_helper.to_array(weights[name]).shape[1] > 1:
                own = None if bias is None else (bias.input[0], bias.input[1])
                yield QuantisedProduct(name.removesuffix(QUANTISED), channel=0, bias=own)


def rounded_without_saturation(
    weight: NDArray[np.float32], scale: NDArray[np.float32]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Weights [N, …] over their scales [N], rounded, and the scales, enlarged if a pair would not fit."""
    stretched = scale.astype(np.float32)
    while True:
        rounded = np.clip(np.rint(weight / stretched.reshape(-1, *[1] * (weight.ndim - 1))), -127, 127)
        over = largest_pairs(rounded) / _MOST_PER_PAIR
        if (over <= 1).all():
            return rounded.astype(np.int8), stretched
        stretched = stretched * np.where(over > 1, np.maximum(over, _STRETCH), 1).astype(np.float32)


def largest_pairs(rounded: NDArray[np.generic]) -> NDArray[np.float64]:
    """The largest absolute sum of two neighbours of one sign, per row of weights: [N, …] -> [N].

    Neighbours count in both orders in which a kernel may read a convolution: channel by channel or place by place.
    """
    values = rounded.astype(np.float64)
    orders = [values.reshape(len(values), -1), np.moveaxis(values, 1, -1).reshape(len(values), -1)]
    most = np.zeros(len(values))
    for rows in orders:
        for one_sign in (np.maximum(rows, 0), np.maximum(-rows, 0)):
            most = np.maximum(most, (one_sign[:, 1:] + one_sign[:, :-1]).max(axis=1, initial=0))
    return most
