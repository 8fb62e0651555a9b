"""The reference engine in the precisions that it runs: float32 ports, and nearly the same answers."""

import pytest
import torch
from support.small_graphs import small_graph

from kuaihl.engines.export.onnx_export import random_inputs
from kuaihl.engines.runtimes.graphs import GRAPH_NAMES, GraphName
from kuaihl.engines.runtimes.runtime import Precision
from kuaihl.engines.runtimes.torch_runtime import TorchRuntime

SIZES = {"rooms": 5, "frames": 3, "texts": 2, "length": 19}


@pytest.mark.parametrize(("precision", "tolerance"), [("fp16", 5e-3), ("bf16", 3e-2)])
@pytest.mark.parametrize("name", GRAPH_NAMES)
def test_half_precision_is_near_and_goes_in_and_out_as_float32(
    name: GraphName, precision: Precision, tolerance: float
) -> None:
    graph = small_graph(name)
    inputs = random_inputs(graph, SIZES, seed=1)
    ours, theirs = (TorchRuntime(graph, precision=each).run(*inputs)[0] for each in (precision, "fp32"))
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=tolerance)
    assert not torch.equal(ours, theirs)
