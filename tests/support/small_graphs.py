"""Small networks of every kind that engines execute, as graphs, and their ONNX files in a bundle."""

import hashlib
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from kuaihl.engines.export.onnx_export import export_onnx
from kuaihl.engines.runtimes.compiled import CompiledFacts, onnx_file, write_compiled
from kuaihl.engines.runtimes.graphs import (
    GRAPH_NAMES,
    Graph,
    GraphName,
    Vision,
    step_graph,
    text_graph,
    vision_graph,
    window_graph,
)
from kuaihl.engines.runtimes.runtime import Precision
from kuaihl.models.backbones.bert import Bert, BertDims
from kuaihl.models.dims import NetworkDims
from kuaihl.models.network.kuaihl import KuaiHL

PAPER = NetworkDims(
    visual_width=10, text_width=6, patches=3, width=16, heads=2, layers=3, window=5, feed_forward=2, streamers=4
)
SMALL = replace(PAPER, signals=7, interest=True)
SMALL_BERT = BertDims(
    vocabulary=99, width=32, layers=2, heads=4, feed_forward=64, positions=200, types=2, norm_eps=1e-12
)
SOURCES: dict[GraphName, str] = {name: hashlib.sha256(name.encode()).hexdigest() for name in GRAPH_NAMES}


def small_graph(name: GraphName) -> Graph:
    """A small graph with random weights, the same at every call."""
    torch.manual_seed(0)
    if name == "vision":
        backbone = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2))
        return vision_graph(Vision(backbone, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), grid=2), size=32)
    if name == "text":
        return text_graph(Bert(SMALL_BERT), "mean")
    network = KuaiHL(SMALL).eval()
    return step_graph(network) if name == "step" else window_graph(network)


def write_onnx(bundle: Path, graph: Graph, precision: Precision = "fp32") -> Path:
    """The graph's ONNX file in a bundle, with its facts."""
    content = export_onnx(graph, precision).SerializeToString()
    facts = CompiledFacts(
        graph=graph.name,
        kind="onnx",
        precision=precision,
        sha256=hashlib.sha256(content).hexdigest(),
        source_sha256=SOURCES[graph.name],
        made_with={"torch": torch.__version__},
        inputs=graph.input_names,
        outputs=graph.outputs,
        sizes={name: (sizes.least, sizes.usual, sizes.most) for name, sizes in graph.ranges.items()},
    )
    file = onnx_file(bundle, graph.name, precision)
    write_compiled(file, content, facts)
    return file
