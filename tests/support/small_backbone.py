"""A small convolutional backbone, as fixtures; most of its inputs are far smaller than the largest."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kuaihl.engines.export.onnx_export import export_onnx
from kuaihl.engines.runtimes.graphs import Graph, Vision, vision_graph

Inputs = tuple[Tensor, ...]
WIDTH = 24


class Narrowing(nn.Module):
    """Convolutions with inputs mostly far smaller than the largest: clipped, and static down together."""

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
