"""int8 that no x86-64 saturates, held against a NumPy reference of the kernels that processors without VNNI run."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.outlier_bert import text
from support.small_backbone import Inputs

from kuaihl.engines.export.quantize import quantize, quantize_dynamic, quantize_static
from kuaihl.engines.export.saturation import (
    QUANTISED,
    largest_pairs,
    quantised_products,
    rounded_without_saturation,
    without_saturation,
)
from kuaihl.engines.runtimes.graphs import Graph
from kuaihl.engines.runtimes.onnx_runtime import OnnxRuntime

onnx = pytest.importorskip("onnx", reason="onnx is not installed")


def saturating_sum(products: NDArray[np.int64]) -> NDArray[np.int64]:
    """Products of bytes [K, N] to sums [N]: neighbours are added in int16 and cut off there, the rest in int32."""
    whole = np.pad(products, ((0, len(products) % 2), (0, 0)))
    return np.clip(whole[0::2] + whole[1::2], -32768, 32767).sum(axis=0)


def matrices(quantised: Any) -> list[NDArray[np.int64]]:
    """The weights [K, N] of every product that goes through byte kernels, in both orders that K may be read in."""
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in quantised.graph.initializer}
    found: list[NDArray[np.int64]] = []
    for product in quantised_products(quantised):
        weight = np.moveaxis(tensors[product.weight + QUANTISED], product.channel, 0).astype(np.int64)  # [N, …]
        found += [order.reshape(len(weight), -1).T for order in (weight, np.moveaxis(weight, 1, -1))]
    return found


def saturates(weights: NDArray[np.int64]) -> bool:
    """Whether inputs of 255, where a column's weights have one sign, are summed up wrongly."""
    worst = [255 * np.maximum(weights, 0), 255 * np.minimum(weights, 0)]
    return any(bool((saturating_sum(products) != products.sum(axis=0)).any()) for products in worst)


def test_the_reference_saturates_as_a_processor_does() -> None:
    weights = np.array([127, 127, 1, -128])
    inputs = np.array([[255, 255, 255, 255], [1, 2, 3, 4]])
    # 2 · 255 · 127 = 64770 is cut to 32767; 255 − 255 · 128 = −32385 fits.
    assert saturating_sum((inputs * weights).T).tolist() == [32767 - 32385, 3 * 127 + 3 - 4 * 128]


def test_no_pair_of_products_of_a_convolution_leaves_int16(exported: Any, pictures: list[Inputs]) -> None:
    plain = quantize_static(exported, pictures, symmetric=False, in_floats=0)
    mended = without_saturation(exported, plain)
    onnx.checker.check_model(mended)
    assert len(matrices(plain)) == len(matrices(mended)) == 2 * 5
    assert any(saturates(weights) for weights in matrices(plain))
    assert not any(saturates(weights) for weights in matrices(mended))


def test_no_pair_of_products_of_a_text_graph_leaves_int16() -> None:
    _, content, runs = text()
    model = onnx.load_from_string(content)
    assert any(saturates(weights) for weights in matrices(quantize_dynamic(model)))
    assert not any(saturates(weights) for weights in matrices(quantize(model, runs)))
    assert any(saturates(weights) for weights in matrices(quantize(model, runs, target="vnni")))


def test_no_pair_of_products_of_the_edge_backbone_leaves_int16(
    vision: tuple[Graph, bytes, list[Inputs], list[Inputs]],
) -> None:
    _, content, seen, unseen = vision
    model = onnx.load_from_string(content)
    portable = quantize(model, seen)
    assert len(matrices(portable)) >= 20
    assert not any(saturates(weights) for weights in matrices(portable))
    plain, exact = (OnnxRuntime(portable.SerializeToString(), "vision", exact=exact) for exact in (False, True))
    for inputs in unseen:  # what runs on this processor, whichever it is, is what the kernels that cannot saturate give
        torch.testing.assert_close(plain.run(*inputs)[0], exact.run(*inputs)[0], atol=1e-4, rtol=1e-4)
    assert any(saturates(weights) for weights in matrices(quantize(model, seen, target="vnni")))


def test_only_rows_that_need_it_are_rescaled() -> None:
    scale = np.full(3, 0.01, np.float32)
    weight = np.array([[1.27, -1.27, 0.01, 1.27], [0.64, 0.64, 0.64, 0.64], [1.27, 1.27, 0.0, 0.0]], np.float32)
    rounded, stretched = rounded_without_saturation(weight, scale)
    assert rounded[0].tolist() == [127, -127, 1, 127]  # no two neighbours of one sign come to more than 128
    assert rounded[1].tolist() == [64, 64, 64, 64]
    assert stretched[:2].tolist() == scale[:2].tolist()
    assert rounded[2].tolist() == [64, 64, 0, 0]  # twice 127 is nearly twice 64
    assert stretched[2] == pytest.approx(0.01 * 127 / 64, rel=0.01)


def test_neighbours_of_a_convolution_are_so_by_channel_and_by_place() -> None:
    weight = np.zeros((1, 2, 1, 3), np.int64)  # [N, C, h, w]
    weight[0, 0, 0, 0], weight[0, 0, 0, 1], weight[0, 1, 0, 0] = 100, 20, 90
    assert largest_pairs(weight).tolist() == [190]  # the two channels of the first place


def test_a_rescaled_bias_is_worth_what_it_was(exported: Any, pictures: list[Inputs]) -> None:
    plain = quantize_static(exported, pictures, symmetric=False, in_floats=0)
    mended = without_saturation(exported, plain)
    before, after = (
        {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        for model in (plain, mended)
    )
    biases = [product.bias for product in quantised_products(plain) if product.bias is not None]
    assert len(biases) == 4
    for name, scale in biases:
        np.testing.assert_allclose(after[name] * after[scale], before[name] * before[scale], atol=after[scale].max())
