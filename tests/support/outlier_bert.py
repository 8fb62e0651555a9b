"""A small BERT with outlying channels, and the edge profile's backbone, each as a graph, an ONNX file and inputs."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from support.small_backbone import Inputs
from support.small_graphs import SMALL_BERT
from torch import nn

from kuaihl.engines.cold_start.scenes import draw_scene, style_of
from kuaihl.engines.encoders.profiles import EDGE
from kuaihl.engines.encoders.vision import EFFICIENTNET_LITE2, VisionEncoder, efficientnet, graph_of
from kuaihl.engines.export.onnx_export import export_onnx, random_inputs
from kuaihl.engines.runtimes.graphs import Graph, text_graph
from kuaihl.engines.runtimes.torch_runtime import TorchRuntime
from kuaihl.engines.weights.resolve import resolve
from kuaihl.models.backbones.bert import Bert, Layer
from kuaihl.models.errors import ModelError

OUTLIERS, LARGER = (3, 11, 30), 30.0  # channels of a transformer, and how much larger they are than the others


@cache
def text() -> tuple[Graph, bytes, list[Inputs]]:
    """A BERT with a few channels far larger than the others, as in trained ones; its ONNX file; and texts."""
    torch.manual_seed(0)
    network = Bert(replace(SMALL_BERT, width=64, feed_forward=128), nn.Identity())
    with torch.no_grad():
        previous = None
        for layer in network.layers:
            assert isinstance(layer, Layer)
            if previous is not None:
                previous.norm.bias[list(OUTLIERS)] += LARGER
                layer.attended.bias[list(OUTLIERS)] -= LARGER
            layer.attended_norm.bias[list(OUTLIERS)] += LARGER
            layer.down.bias[list(OUTLIERS)] -= LARGER  # the next addition cancels it
            for linear in (layer.query, layer.key, layer.value, layer.up):
                linear.weight[:, list(OUTLIERS)] /= LARGER  # readers of these channels have learnt their size
            previous = layer
    graph = text_graph(network.eval(), "mean")
    runs = [random_inputs(graph, {"texts": 4, "length": length}, seed=length) for length in (9, 20, 33, 60)]
    return graph, bytes(export_onnx(graph, "fp32").SerializeToString()), runs


@pytest.fixture(scope="module")
def vision(request: pytest.FixtureRequest) -> tuple[Graph, bytes, list[Inputs], list[Inputs]]:
    """The edge profile's backbone with its weights, its ONNX file, and scenes for calibration and for the test."""
    try:
        weights = resolve(EDGE.vision)
    except ModelError as error:
        pytest.skip(f"the edge profile's weights are not here: {error}")
    graph = graph_of(efficientnet(weights), EFFICIENTNET_LITE2)
    encoder = VisionEncoder(TorchRuntime(graph), EFFICIENTNET_LITE2)
    random = np.random.default_rng(0)

    def scenes(first: int, number: int) -> list[Inputs]:
        drawn = [
            [draw_scene(turn % 6, turn / 40, style_of(turn), random) for _ in range(3)]
            for turn in range(first, first + number)
        ]
        return [(encoder.prepare(three),) for three in drawn]

    return graph, bytes(export_onnx(graph, "fp32").SerializeToString()), scenes(0, 10), scenes(10, 4)
