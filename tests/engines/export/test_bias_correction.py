"""Biases take back what rounding does to the mean of a convolution's outputs, and features come nearer to fp32's."""

from typing import Any

import numpy as np
import pytest
import torch
from support.small_backbone import Inputs

from kuaihl.engines.export.bias_correction import correct_bias, mean_shifts
from kuaihl.engines.export.quantize import quantize_static
from kuaihl.engines.runtimes.graphs import Graph
from kuaihl.engines.runtimes.onnx_runtime import OnnxRuntime
from kuaihl.engines.runtimes.torch_runtime import TorchRuntime

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")


def lost(model: Any, graph: Graph, runs: list[Inputs]) -> float:
    """How far features are from torch's, as a share of their size."""
    engine = OnnxRuntime(model.SerializeToString(), "vision", exact=True)  # the same on every processor
    whole = TorchRuntime(graph)
    pairs = [(engine.run(*run)[0], whole.run(*run)[0]) for run in runs]
    return float(torch.cat([ours - theirs for ours, theirs in pairs]).norm() / torch.cat([t for _, t in pairs]).norm())


@pytest.mark.parametrize("symmetric", [False, True])
def test_outputs_have_the_mean_that_they_have_in_floats(
    exported: Any, pictures: list[Inputs], graph: Graph, symmetric: bool
) -> None:
    plain = quantize_static(exported, pictures, symmetric=symmetric, in_floats=0)
    mended = correct_bias(exported, plain, pictures)
    onnx.checker.check_model(mended)
    before, after = (mean_shifts(exported, model, pictures) for model in (plain, mended))
    assert list(before) == list(after)
    assert len(before) == 4  # the one without a bias has none to move
    for name in before:
        assert np.abs(after[name]).max() < np.abs(before[name]).max() / 10, name
    assert lost(mended, graph, pictures) < 0.8 * lost(plain, graph, pictures)


def test_what_was_quantised_is_left_as_it_was(exported: Any, pictures: list[Inputs]) -> None:
    plain = quantize_static(exported, pictures, symmetric=False, in_floats=0)
    content = plain.SerializeToString()
    assert correct_bias(exported, plain, pictures).SerializeToString() != content
    assert plain.SerializeToString() == content
