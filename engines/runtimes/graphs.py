"""The graphs that engines execute: the head's step, the head over a window, the vision backbone, the text encoder.

A graph is a torch module that works on tensors alone, with named ports and the sizes that it must serve. Torch runs it
directly; `onnx_export.py` exports it. The text graph takes token embeddings as input. The embedding table is most of a
BERT's weights, but a text needs only a few of its rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from kuaihl.models.backbones.bert import Bert
    from kuaihl.models.dims import NetworkDims
    from kuaihl.models.network.kuaihl import KuaiHL
    from kuaihl.models.network.linear import LaggedLinear


GraphName = Literal["step", "window", "vision", "text"]
GRAPH_NAMES: tuple[GraphName, ...] = get_args(GraphName)
SCORING_GRAPHS: tuple[GraphName, ...] = ("vision", "text", "step")  # the only ones that scoring runs
Pooling = Literal["mean", "first"]


@dataclass(frozen=True)
class ShapeRange:
    """Sizes that a dimension may have: the minimum, the one to optimise for, the maximum."""

    least: int
    usual: int
    most: int


@dataclass(frozen=True)
class TensorSpec:
    """An input: its name, type, and shape; a name in the shape stands for a varying size."""

    name: str
    dtype: torch.dtype
    shape: tuple[int | str, ...]
    most: int = 0  # for integers: the largest meaningful value

    def shape_for(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape with `sizes` substituted."""
        return tuple(sizes[size] if isinstance(size, str) else size for size in self.shape)


@dataclass(frozen=True)
class Graph:
    """One network, ready to be executed or exported."""

    name: GraphName
    module: nn.Module
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[str, ...]
    ranges: Mapping[str, ShapeRange]  # of every varying size

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the input ports, in order."""
        return tuple(port.name for port in self.inputs)


_ROOMS = ShapeRange(1, 64, 1024)
FRAMES = ShapeRange(1, 3, 48)
_TEXTS, _TOKENS = ShapeRange(1, 8, 64), ShapeRange(4, 128, 200)


class Step(nn.Module):
    """`forward_step` of a network: a stream's state goes in, and its next state comes out.

    Signals are a port if the network reads them, and interest is one if the network has that output.
    """

    def __init__(self, network: "KuaiHL | LaggedLinear") -> None:
        super().__init__()
        self.network = network

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        visual, text, *others = tensors
        signals = others.pop(0) if self.network.dims.signals else None
        (score, interest), kept = self.network.forward_step(visual, text, signals, *others)
        return (score, *kept) if interest is None else (score, interest, *kept)


class Window(nn.Module):
    """Scores of a whole window at once."""

    def __init__(self, network: "KuaiHL | LaggedLinear") -> None:
        super().__init__()
        self.network = network

    def forward(self, visual: Tensor, text: Tensor, *others: Tensor) -> Tensor | tuple[Tensor, ...]:
        *signals, streamer, valid = others
        score, interest = self.network.outputs(visual, text, streamer, valid, *signals)
        return torch.sigmoid(score) if interest is None else (torch.sigmoid(score), torch.sigmoid(interest))


class Vision(nn.Module):
    """Pictures as bytes to tokens: normalised, run through the backbone, averaged to grid x grid places."""

    def __init__(
        self,
        backbone: "nn.Module | Callable[[Tensor], Tensor]",
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        grid: int,
    ) -> None:
        super().__init__()
        self.backbone, self.grid = backbone, grid
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1) * 255)
        self.mean: Tensor
        self.std: Tensor

    def forward(self, images: Tensor) -> Tensor:  # [B, 3, S, S] uint8 -> [B, grid * grid, d_v]
        pixels = (images.to(self.mean.dtype) - self.mean) / self.std
        found = self.backbone(pixels.contiguous(memory_format=torch.channels_last))  # [B, d_v, h, w]
        strides = [size // self.grid for size in found.shape[2:]]
        kernel = [size - (self.grid - 1) * stride for size, stride in zip(found.shape[2:], strides, strict=True)]
        return F.avg_pool2d(found, kernel, strides).flatten(2).mT  # places may overlap


class _Text(nn.Module):
    """Token embeddings to one vector per text: a BERT's layers and its pooling."""

    def __init__(self, network: "Bert", pooling: Pooling) -> None:
        super().__init__()
        self.network, self.pooling = network, pooling

    def forward(self, embeddings: Tensor, types: Tensor, mask: Tensor) -> Tensor:  # [B, T, d], … -> [B, d]
        tokens = self.network.contextualise(embeddings, types, mask).float()  # [B, T, d]; summing over T needs fp32
        if self.pooling == "first":
            return tokens[:, 0]
        there = mask.unsqueeze(-1).to(tokens.dtype)
        return F.normalize((tokens * there).sum(dim=1) / there.sum(dim=1), dim=-1)


def step_graph(network: "KuaiHL | LaggedLinear") -> Graph:
    """The head as a streaming step; one call serves many rooms, each of any age."""
    from kuaihl.models.network.linear import LaggedLinear

    dims = network.dims
    kept, keeps = _linear_memory(network) if isinstance(network, LaggedLinear) else _attention_memory(dims)
    return Graph(
        "step",
        Step(network).eval(),
        (
            TensorSpec("visual", torch.float32, ("rooms", dims.patches, dims.visual_width)),
            TensorSpec("text", torch.float32, ("rooms", dims.text_width)),
            *_signals_port(dims, ("rooms",)),
            *kept,
        ),
        (*_output_names(dims, "score"), *keeps),
        {"rooms": _ROOMS},
    )


def _attention_memory(dims: "NetworkDims") -> tuple[tuple[TensorSpec, ...], tuple[str, ...]]:
    """The inputs that `StreamState.inputs` returns, and the outputs that `StreamState.push` takes."""
    return (
        TensorSpec("tokens", torch.float32, ("rooms", dims.window, dims.tokens, dims.width)),
        TensorSpec("outs", torch.float32, ("rooms", dims.heads, dims.window, dims.width)),
        TensorSpec("lses", torch.float32, ("rooms", dims.heads, dims.window)),
        TensorSpec("latents", torch.float32, ("rooms", dims.window, dims.width)),
        TensorSpec("streamer", torch.int64, ("rooms",), most=dims.streamers),
        TensorSpec("position", torch.int64, ("rooms",), most=1_000),
    ), ("newest_tokens", "newest_out", "newest_lse", "newest_latent")


def _linear_memory(network: "LaggedLinear") -> tuple[tuple[TensorSpec, ...], tuple[str, ...]]:
    """The same for `LinearState`."""
    shape = ("rooms", network.dims.window, network.answers)
    return (TensorSpec("pending", torch.float32, shape),), ("newest_pending",)


def window_graph(network: "KuaiHL | LaggedLinear") -> Graph:
    """The head over a window of n segments; `valid` masks the padding."""
    dims = network.dims
    return Graph(
        "window",
        Window(network).eval(),
        (
            TensorSpec("visual", torch.float32, ("rooms", dims.window, dims.patches, dims.visual_width)),
            TensorSpec("text", torch.float32, ("rooms", dims.window, dims.text_width)),
            *_signals_port(dims, ("rooms", dims.window)),
            TensorSpec("streamer", torch.int64, ("rooms",), most=dims.streamers),
            TensorSpec("valid", torch.bool, ("rooms", dims.window)),
        ),
        _output_names(dims, "scores"),
        {"rooms": _ROOMS},
    )


def _signals_port(dims: "NetworkDims", before: tuple[int | str, ...]) -> tuple[TensorSpec, ...]:
    """The port for signals, if the network reads them."""
    return (TensorSpec("signals", torch.float32, (*before, dims.signals)),) if dims.signals else ()


def _output_names(dims: "NetworkDims", score: str) -> tuple[str, ...]:
    """The names of a network's output ports."""
    return (score, "interest") if dims.interest else (score,)


def vision_graph(vision: Vision, size: int) -> Graph:
    """A vision backbone for pictures of `size` x `size`."""
    ports = (TensorSpec("images", torch.uint8, ("frames", 3, size, size), most=255),)
    return Graph("vision", vision.eval(), ports, ("visual",), {"frames": FRAMES})


def text_graph(network: "Bert", pooling: Pooling) -> Graph:
    """A text encoder without its embedding table."""
    return Graph(
        "text",
        _Text(network, pooling).eval(),
        (
            TensorSpec("token_embeddings", torch.float32, ("texts", "length", network.dims.width)),
            TensorSpec("types", torch.int64, ("texts", "length")),
            TensorSpec("mask", torch.bool, ("texts", "length")),
        ),
        ("text",),
        {"texts": _TEXTS, "length": _TOKENS},
    )
