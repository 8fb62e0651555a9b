"""Bias correction: every quantised convolution's bias, moved to undo the shift of its outputs' mean by rounding.

A rounded weight shifts an output by the same amount everywhere, and a clip's many small values are rounded down
together. Such shifts add up from layer to layer; a bias undoes them at no cost (Nagel et al. 2019, section 4.2).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kuaihl.engines.runtimes.onnx_runtime import OnnxRuntime

if TYPE_CHECKING:
    import onnx

_MOST_RUNS = 32  # spread over all runs
_TWIN = "twin."  # prefix of the names that are added to the float network


def correct_bias(
    model: "onnx.ModelProto", quantised: "onnx.ModelProto", real: Sequence[tuple[Tensor, ...]]
) -> "onnx.ModelProto":
    """`quantised`, made from `model`, with biases that give each output the mean [C] that it has in `model`.

    Convolutions are compared on their inputs in `model`, so that none compensates for an earlier one.
    """
    import onnx

    shifts = mean_shifts(model, quantised, real[:: -(-len(real) // _MOST_RUNS)])
    mended = onnx.ModelProto()
    mended.CopyFrom(quantised)
    tensors = {tensor.name: tensor for tensor in mended.graph.initializer}
    scaled = {node.output[0]: node for node in mended.graph.node if node.op_type == "DequantizeLinear"}
    for node in mended.graph.node:
        if node.name not in shifts:
            continue
        shift, name = shifts[node.name], node.input[2]
        if name in scaled:  # an int32 and its scale
            name, scale = scaled[name].input[:2]
            shift = np.rint(shift / onnx.numpy_helper.to_array(tensors[scale]))
        bias = onnx.numpy_helper.to_array(tensors[name])
        tensors[name].CopyFrom(onnx.numpy_helper.from_array((bias + shift).astype(bias.dtype), name))
    return mended


def mean_shifts(
    model: "onnx.ModelProto", quantised: "onnx.ModelProto", real: Sequence[tuple[Tensor, ...]]
) -> "dict[str, NDArray[np.float64]]":
    """The correction [C] to add to each quantised convolution's bias, if it has one, by the convolution's name."""
    twin, names = _add_twins(model, quantised)
    # A file's biases must not depend on the processor that it was made on.
    engine = OnnxRuntime(twin.SerializeToString(), "float and quantised convolutions", exact=True)
    sums = {name: np.zeros(()) for name in names}
    for run in real:
        for name, shift in zip(names, engine.run(*run), strict=True):
            sums[name] = sums[name] + shift.numpy() * len(run[0])
    return {name: total / sum(len(run[0]) for run in real) for name, total in sums.items()}


def _add_twins(model: "onnx.ModelProto", quantised: "onnx.ModelProto") -> "tuple[onnx.ModelProto, list[str]]":
    """`model` with a quantised twin beside each convolution, fed with the same input, and the convolutions' names.

    Each output is the mean [C] of a float convolution less that of its twin, in the order of the names.
    """
    import onnx

    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    del whole.graph.output[:]
    made: set[str] = set()  # names in `quantised` that have a twin here
    for tensor in quantised.graph.initializer:
        made.add(tensor.name)
        twin = whole.graph.initializer.add()
        twin.CopyFrom(tensor)
        twin.name = _TWIN + tensor.name
    places = onnx.numpy_helper.from_array(np.array([0, 2, 3]), f"{_TWIN}places")
    whole.graph.initializer.append(places)
    scaled = {node.output[0] for node in quantised.graph.node if node.op_type == "DequantizeLinear"}
    own = {node.name: node.output[0] for node in model.graph.node if node.op_type == "Conv"}
    names: list[str] = []
    for node in quantised.graph.node:
        is_twin = node.op_type == "Conv" and len(node.input) == 3 and node.input[1] in scaled
        if not is_twin and node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        copy = whole.graph.node.add()
        copy.CopyFrom(node)
        copy.name = _TWIN + node.name
        copy.input[:] = [_TWIN + name if name in made else name for name in node.input]
        copy.output[:] = [_TWIN + name for name in node.output]
        if not is_twin:  # nodes after a convolution take their input from the float network
            made.update(node.output)
        else:
            apart, mean = f"{copy.name}.apart", f"{copy.name}.mean"
            whole.graph.node.append(onnx.helper.make_node("Sub", [own[node.name], copy.output[0]], [apart]))
            whole.graph.node.append(onnx.helper.make_node("ReduceMean", [apart, places.name], [mean], keepdims=0))
            whole.graph.output.append(onnx.ValueInfoProto(name=mean))
            names.append(node.name)
    return whole, names
