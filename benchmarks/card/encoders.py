"""The vision and text encoders by batch and precision: the edge profile's, and networks of the paper's shapes.

Weights come from `--weights`, else from installed packages, else they are drawn: times don't depend on them.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from card.measure import (
    Ceilings,
    Row,
    Setting,
    Work,
    bytes_of,
    capture,
    count_operations,
    floor_of,
    release,
    skipped,
    time_call,
)
from kuaihl.engines.encoders.profiles import EDGE, load_one
from kuaihl.engines.encoders.vision import EFFICIENTNET_LITE2, VisionSettings, efficientnet, graph_of
from kuaihl.engines.export.onnx_export import random_inputs
from kuaihl.engines.runtimes.graphs import Graph, text_graph
from kuaihl.engines.runtimes.runtime import OpenRuntime, Precision, Runtime
from kuaihl.engines.runtimes.torch_runtime import TorchRuntime
from kuaihl.engines.weights.resolve import resolve
from kuaihl.models.backbones.bert import Bert, BertDims
from kuaihl.models.backbones.efficientnet_lite import EfficientNetLite2

LENGTH = 128  # tokens of a text; kuaihl's own have 200 at most
_FRAMES, _TEXTS = (3, 48, 192, 768), (1, 8, 64, 512)
_PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "bf16")
_E5 = BertDims(250_037, 384, 12, 12, 1536, 512, 2, 1e-12)
_BERT_BASE = BertDims(21_128, 768, 12, 12, 3072, 512, 2, 1e-12)
_SMALL_BERT = BertDims(99, 32, 2, 4, 64, 200, 2, 1e-12)
VISION_FILE, TEXT_FILE = "efficientnet-lite2-9656183e.pth", "e5-small-enpt-q4.bin"  # in the folder of `--weights`


@dataclass(frozen=True)
class Encoder:
    """A graph to time, and the origin of its weights."""

    part: str
    graph: Graph
    size: str  # the name of the varying size of its batch
    batches: tuple[int, ...]
    origin: str


@torch.no_grad()
def encoder_rows(setting: Setting, ceilings: Ceilings, weights: Path | None) -> Iterator[Row]:
    """Every encoder at every batch, in every precision, with its distance from the CPU in float32."""
    for part, make in _encoders(setting, weights).items():
        try:
            encoder = make()
        except Exception as error:  # such as a package that is missing
            yield skipped(part, "eager", 0, error)
            continue
        reference = TorchRuntime(encoder.graph)
        few = random_inputs(encoder.graph, {encoder.size: 2, "length": 40}, seed=1)
        expected = reference.run(*few)[0]
        for precision in _PRECISIONS[:2] if setting.dry else _PRECISIONS:
            yield from _precision_rows(encoder, precision, few, expected, setting, ceilings)
            release()


def _precision_rows(
    encoder: Encoder,
    precision: Precision,
    few: tuple[Tensor, ...],
    expected: Tensor,
    setting: Setting,
    ceilings: Ceilings,
) -> Iterator[Row]:
    runtime = TorchRuntime(copy.copy(encoder.graph), setting.device, precision)
    cosine = float(F.cosine_similarity(runtime.run(*few)[0].cpu(), expected, dim=-1).min())
    # cuDNN's convolutions compute float32 in tf32 unless they are told otherwise.
    rate = "tf32" if precision == "fp32" and encoder.size == "frames" else precision
    for batch in encoder.batches:
        inputs = tuple(
            each.to(setting.device)
            for each in random_inputs(encoder.graph, {encoder.size: batch, "length": LENGTH}, seed=0)
        )

        def call(inputs: tuple[Tensor, ...] = inputs) -> Tensor:
            return runtime.run(*inputs)[0]

        note = f"{encoder.origin}; least cosine to the CPU {cosine:.6f}"
        try:
            moved = bytes_of(runtime.module.parameters()) + bytes_of([*inputs, call()])
            floor = floor_of(Work(count_operations(call), moved), ceilings, rate)
            yield Row(encoder.part, f"eager {precision}", batch, time_call(call, setting), floor, note)
            if setting.device.type == "cuda" and batch <= 64:
                taken = time_call(capture(call), setting)
                yield Row(encoder.part, f"CUDA graph {precision}", batch, taken, floor, note)
        except Exception as error:
            yield skipped(encoder.part, precision, batch, error)


def _encoders(setting: Setting, weights: Path | None) -> dict[str, Callable[[], Encoder]]:
    if setting.dry:
        small = VisionSettings(32, (0.5,) * 3, (0.5,) * 3, 2, 16)  # type: ignore[arg-type]
        narrow = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2))
        return {
            "vision, small": lambda: Encoder("vision, small", graph_of(narrow, small), "frames", (1, 3), "drawn"),
            "text, small": lambda: Encoder("text, small", _text(_SMALL_BERT), "texts", (1, 2), "drawn"),
        }
    return {
        "vision, edge": lambda: Encoder("vision, edge", *_edge_vision(weights)),
        "text, edge": lambda: Encoder("text, edge", *_edge_text(weights)),
        "vision, paper": lambda: Encoder("vision, paper", _swin_base(), "frames", (3, 48, 192), "drawn"),
        "text, paper": lambda: Encoder("text, paper", _text(_BERT_BASE, "first"), "texts", _TEXTS, "drawn"),
    }


def _edge_vision(weights: Path | None) -> tuple[Graph, str, tuple[int, ...], str]:
    path = None if weights is None else weights / VISION_FILE
    try:
        found = efficientnet(resolve(EDGE.vision, path if path and path.is_file() else None))
        origin = "published weights"
    except Exception:
        torch.manual_seed(0)
        found, origin = EfficientNetLite2().eval().fold().to(memory_format=torch.channels_last), "drawn"
    return graph_of(found, EFFICIENTNET_LITE2), "frames", _FRAMES, origin


def _edge_text(weights: Path | None) -> tuple[Graph, str, tuple[int, ...], str]:
    path = None if weights is None else weights / TEXT_FILE
    kept: list[Graph] = []
    try:
        load_one(EDGE.text, path if path and path.is_file() else None, EDGE.load_text, _keep_graph(kept), "cpu")
        return kept[0], "texts", _TEXTS, "published weights"
    except Exception:
        return _text(_E5), "texts", _TEXTS, "drawn"


def _keep_graph(kept: list[Graph]) -> OpenRuntime:
    """An opener that also keeps the graph, to run it in other precisions."""

    def open_runtime(name: str, source: str, build: Callable[[], Graph]) -> Runtime:
        kept.append(build())
        return TorchRuntime(kept[0])

    return open_runtime  # type: ignore[return-value]


def _text(dims: BertDims, pooling: str = "mean") -> Graph:
    torch.manual_seed(0)
    network = Bert(dims)
    network.token_embeddings = nn.Identity()
    return text_graph(network.eval(), pooling)  # type: ignore[arg-type]


class _Map(nn.Module):
    """A Swin's tokens as a map [B, d_v, 7, 7]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        tokens: Tensor = self.network(images).last_hidden_state
        return tokens.mT.reshape(len(images), -1, 7, 7)


def _swin_base() -> Graph:
    """Swin-B with drawn weights: 3 frames are 147 tokens 1,024 wide."""
    from transformers import SwinConfig, SwinModel

    torch.manual_seed(0)
    config = SwinConfig(embed_dim=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, 32], window_size=7)
    settings = VisionSettings(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 7, 1024)
    return graph_of(_Map(SwinModel(config, add_pooling_layer=False).eval()), settings)
