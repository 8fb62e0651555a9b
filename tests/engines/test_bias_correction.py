"""Biases take back what rounding does to the mean of a convolution's outputs, and features come nearer to fp32's."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kuaihl.engines.bias_correction import corrected, mean_shifts
from kuaihl.engines.graphs import Graph, Vision, vision_graph
from kuaihl.engines.onnx_engine import OnnxEngine
from kuaihl.engines.onnx_export import export_onnx
from kuaihl.engines.quantise import static
from kuaihl.engines.torch_engine import TorchEngine

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")

Inputs = tuple[Tensor, ...]
WIDTH = 24


class Narrowing(nn.Module):
    """Convolutions whose inputs are mostly far smaller than the largest: clipped, and static down together."""

    def __init__(self) -> None:
        super().__init__()
        kernels = [(3, 3), (WIDTH, 1), (WIDTH, 1), (WIDTH, 3), (WIDTH, 1)]
        self.layers = nn.ModuleList(
            nn.Conv2d(width, WIDTH, size, bias=place != 3) for place, (width, size) in enumerate(kernels)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = F.relu6(layer(x))
        return x


@pytest.fixture(scope="module")
def pictures() -> list[Inputs]:
    """Pictures with few bright pixels."""
    draw = torch.Generator().manual_seed(1)
    return [((torch.rand(3, 3, 24, 24, generator=draw) ** 12 * 255).to(torch.uint8),) for _ in range(10)]


@pytest.fixture(scope="module")
def graph() -> Graph:
    torch.manual_seed(0)
    return vision_graph(Vision(Narrowing().eval(), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), grid=2), size=24)


@pytest.fixture(scope="module")
def exported(graph: Graph) -> Any:
    return export_onnx(graph, "fp32")


def lost(model: Any, graph: Graph, runs: list[Inputs]) -> float:
    """How far features are from torch's, as a share of their size."""
    engine = OnnxEngine(model.SerializeToString(), "vision", exact=True)  # the same on every processor
    whole = TorchEngine(graph)
    pairs = [(engine.run(*run)[0], whole.run(*run)[0]) for run in runs]
    return float(torch.cat([ours - theirs for ours, theirs in pairs]).norm() / torch.cat([t for _, t in pairs]).norm())


@pytest.mark.parametrize("symmetric", [False, True])
def test_outputs_have_the_mean_that_they_have_in_floats(
    exported: Any, pictures: list[Inputs], graph: Graph, symmetric: bool
) -> None:
    plain = static(exported, pictures, symmetric=symmetric, in_floats=0)
    mended = corrected(exported, plain, pictures)
    onnx.checker.check_model(mended)
    before, after = (mean_shifts(exported, model, pictures) for model in (plain, mended))
    assert list(before) == list(after)
    assert len(before) == 4  # the one without a bias has none to move
    for name in before:
        assert np.abs(after[name]).max() < np.abs(before[name]).max() / 10, name
    assert lost(mended, graph, pictures) < 0.8 * lost(plain, graph, pictures)


def test_what_was_quantised_is_left_as_it_was(exported: Any, pictures: list[Inputs]) -> None:
    plain = static(exported, pictures, symmetric=False, in_floats=0)
    content = plain.SerializeToString()
    assert corrected(exported, plain, pictures).SerializeToString() != content
    assert plain.SerializeToString() == content
