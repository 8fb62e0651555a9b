"""int8 graphs: what they lose, what evening out saves, and that TensorRT reads what was written for it."""

from typing import Any

import numpy as np
import pytest
import torch
from support.outlier_bert import text
from support.small_backbone import Inputs
from support.small_graphs import SMALL_BERT
from torch import Tensor
from torch.nn import functional as F

from kuaihl.engines.export.onnx_export import measure_parity
from kuaihl.engines.export.quantize import FLOAT_CONVOLUTIONS, quantize, quantize_dynamic, smooth
from kuaihl.engines.export.tensorrt_build import build_engine, profile_of
from kuaihl.engines.runtimes.graphs import FRAMES, Graph
from kuaihl.engines.runtimes.onnx_runtime import OnnxRuntime
from kuaihl.engines.runtimes.torch_runtime import TorchRuntime
from kuaihl.models.errors import UsageError

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
for package in ("onnxscript", "PIL"):
    pytest.importorskip(package, reason=f"{package} is not installed")


def cosine(ours: Tensor, theirs: Tensor) -> float:
    """The least of all vectors'."""
    return float(F.cosine_similarity(ours, theirs, dim=-1).min())


def outputs(model: Any, runs: list[Inputs]) -> list[Tensor]:
    engine = OnnxRuntime(model.SerializeToString(), "text", exact=True)  # the same on every processor
    return [engine.run(*inputs)[0] for inputs in runs]


def test_evening_out_computes_the_same_function() -> None:
    _, content, runs = text()
    model = onnx.load_from_string(content)
    even = smooth(model, runs)
    onnx.checker.check_model(even, full_check=True)
    for ours, theirs in zip(outputs(even, runs), outputs(model, runs), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert model.SerializeToString() == onnx.load_from_string(content).SerializeToString()  # left as it was


def test_one_scaling_serves_query_key_and_value() -> None:
    _, content, runs = text()
    model = onnx.load_from_string(content)
    added = len(smooth(model, runs).graph.node) - len(model.graph.node)
    assert added == 4 * SMALL_BERT.layers  # before attention, after it, and before both products of the feed-forward


def test_int8_is_nearer_to_fp32_with_channels_evened_out() -> None:
    graph, content, runs = text()
    model = onnx.load_from_string(content)
    whole = [TorchRuntime(graph).run(*inputs)[0] for inputs in runs]

    def lost(quantised: Any) -> float:
        return max(1 - cosine(o, t) for o, t in zip(outputs(quantised, runs), whole, strict=True))

    plain, even = lost(quantize_dynamic(model)), lost(quantize(model, runs))
    assert even < plain / 2, (even, plain)
    assert even < 0.01


def test_products_of_a_text_graph_have_weights_in_int8() -> None:
    _, content, runs = text()
    quantised = quantize(onnx.load_from_string(content), runs)
    kinds = [node.op_type for node in quantised.graph.node]
    assert kinds.count("MatMulInteger") == 6 * SMALL_BERT.layers
    assert len(quantised.SerializeToString()) < len(content) * 0.6


@pytest.fixture(scope="module")
def symmetric(vision: tuple[Graph, bytes, list[Inputs], list[Inputs]]) -> Any:
    _, content, seen, _ = vision
    return quantize(onnx.load_from_string(content), seen, symmetric=True)


def test_a_backbone_in_int8_sees_new_pictures_as_before(
    vision: tuple[Graph, bytes, list[Inputs], list[Inputs]],
) -> None:
    graph, content, seen, unseen = vision
    quantised = quantize(onnx.load_from_string(content), seen)
    onnx.checker.check_model(quantised)
    assert measure_parity(graph, quantised, "int8", unseen)["least_cosine"] >= 0.98
    assert len(quantised.SerializeToString()) < len(content) * 0.6


def test_the_first_convolutions_stay_in_floats(symmetric: Any) -> None:
    made = {output for node in symmetric.graph.node if node.op_type == "DequantizeLinear" for output in node.output}
    convolutions = [node for node in symmetric.graph.node if node.op_type == "Conv"]
    quantised = [node.input[1] in made for node in convolutions]
    in_floats = FLOAT_CONVOLUTIONS["vnni"]
    assert not any(quantised[:in_floats])
    assert all(quantised[in_floats:])
    assert len(quantised) >= 40


def test_the_symmetric_form_sees_as_before(
    vision: tuple[Graph, bytes, list[Inputs], list[Inputs]], symmetric: Any
) -> None:
    graph, _, _, unseen = vision
    assert measure_parity(graph, symmetric, "int8", unseen)["least_cosine"] >= 0.98


def test_the_symmetric_form_has_no_zero_point_and_no_quantised_bias(symmetric: Any) -> None:
    tensors = {each.name: onnx.numpy_helper.to_array(each) for each in symmetric.graph.initializer}
    scaling = [node for node in symmetric.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(scaling) > 20
    for node in scaling:
        assert not tensors[node.input[2]].any(), node.name
        assert tensors[node.input[2]].dtype == np.int8, node.name
    dequantised = [tensors[node.input[0]] for node in scaling if node.input[0] in tensors]
    assert {each.dtype for each in dequantised} == {np.dtype(np.int8)}


def test_tensorrt_compiles_the_symmetric_form(
    vision: tuple[Graph, bytes, list[Inputs], list[Inputs]], symmetric: Any
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")
    assert vision[0].ranges == {"frames": FRAMES}
    assert build_engine("tensorrt-rtx", symmetric.SerializeToString(), profile_of(vision[0]), ["8.9"])


def test_too_few_frames_to_calibrate_on_are_told(
    vision: tuple[Graph, bytes, list[Inputs], list[Inputs]],
) -> None:
    _, content, seen, _ = vision
    with pytest.raises(UsageError, match="there are 9; give a longer one"):
        quantize(onnx.load_from_string(content), seen[:3])
