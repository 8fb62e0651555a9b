"""Frames to visual tokens: the frames of many segments in, `visual [B, P, d_v]` out (paper, eq. 2).

A frame is squashed to the backbone's square, not cropped: live pictures are 16:9 or 9:16, with important parts (a face
in a corner, a price, the chat) at the edges. Letterboxing would leave 44% of the square, and half of each token, black.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kuaihl.engines.runtimes.graphs import Graph, Vision, vision_graph
from kuaihl.engines.runtimes.parallel import run_each, split_batches
from kuaihl.engines.runtimes.runtime import OpenRuntime, Runtime
from kuaihl.engines.types import FRAMES_PER_SEGMENT, RgbImage
from kuaihl.models.errors import ModelError, reason_of
from kuaihl.models.features import Float16

if TYPE_CHECKING:
    from kuaihl.engines.weights.resolve import Resolved

_FRAMES_AT_ONCE_ON_CPU = 3  # more fall out of the cache: measured 20–30% slower per frame at 12 and at 24
_FRAMES_AT_ONCE_PER_THREAD = 1  # on one thread EfficientNet is as quick as with 3, and takes 24 MB, not 74
_FRAMES_AT_ONCE_ON_CUDA = 48


@dataclass(frozen=True)
class VisionSettings:
    """A backbone's input, and the part of its output that is kept."""

    size: int  # pixels, square
    mean: tuple[float, float, float]  # of RGB in [0, 1]
    std: tuple[float, float, float]
    grid: int  # a frame has grid x grid tokens, averaged from the backbone's map if that is finer
    width: int  # d_v


_HALF = (0.5, 0.5, 0.5)
# 9 x 9 places of 1280 channels would be 243 tokens per segment, 600 KB of features, and attention over 4,860 of them
# per window: more than a small head can use. 2 x 2 roughly keeps positions, at 12 tokens and 30 KB.
EFFICIENTNET_LITE2 = VisionSettings(size=260, mean=_HALF, std=_HALF, grid=2, width=1280)
_SWIN_SIZE, _SWIN_GRID = 224, 7
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VisionEncoder:
    """A vision graph in an engine, with its settings."""

    def __init__(self, runtime: Runtime, settings: VisionSettings, device: str = "cpu") -> None:
        self.runtime = runtime
        self.settings = settings
        is_on_one_thread = runtime.num_streams > 1 or torch.get_num_threads() == 1
        on_cpu = _FRAMES_AT_ONCE_PER_THREAD if is_on_one_thread else _FRAMES_AT_ONCE_ON_CPU
        self.at_once = on_cpu if device == "cpu" else _FRAMES_AT_ONCE_ON_CUDA

    @property
    def width(self) -> int:
        """d_v."""
        return self.settings.width

    @property
    def patches(self) -> int:
        """P, tokens per segment."""
        return FRAMES_PER_SEGMENT * self.settings.grid**2

    def encode(self, frames: Sequence[Sequence[RgbImage]]) -> Float16:
        """Tokens of each segment's frames: [B, P, d_v]; missing frames are zeros, even if all are missing.

        The frames may have any sizes; those beyond FRAMES_PER_SEGMENT are ignored.
        """
        tokens = self.settings.grid**2
        visual = np.zeros((len(frames), FRAMES_PER_SEGMENT, tokens, self.width), np.float16)
        there = [
            (segment, place, image)
            for segment, images in enumerate(frames)
            for place, image in enumerate(images[:FRAMES_PER_SEGMENT])
        ]
        cut = split_batches(there, self.at_once)
        prepared = ((self.prepare([image for _, _, image in batch]),) for batch in cut)
        for batch, (found,) in zip(cut, run_each(self.runtime, prepared), strict=True):
            # [frames, grid * grid, d_v], row by row of the picture
            for (segment, place, _), seen in zip(batch, found.half().cpu().numpy(), strict=True):
                visual[segment, place] = seen
        return visual.reshape(len(frames), self.patches, self.width)

    def prepare(self, images: Sequence[RgbImage]) -> Tensor:
        """B pictures [H, W, 3] -> [B, 3, size, size], all uint8. Shrunk as bytes, with antialiasing."""
        size = (self.settings.size, self.settings.size)
        shrunk = []
        for image in images:
            pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
            shrunk.append(F.interpolate(pixels, size=size, mode="bilinear", antialias=True)[0].numpy())
        return torch.from_numpy(np.stack(shrunk))  # torch would stack on all threads, and they spin when done


def graph_of(backbone: nn.Module, settings: VisionSettings) -> Graph:
    """The graph of a backbone that maps images [B, 3, size, size] to [B, d_v, h, w], with its settings."""
    return vision_graph(Vision(backbone, settings.mean, settings.std, settings.grid), settings.size)


def efficientnet_encoder(weights: "Resolved", open_runtime: OpenRuntime, device: str = "cpu") -> VisionEncoder:
    """EfficientNet-Lite2 for the edge profile. Raises ModelError if the weights are another network's."""
    engine = open_runtime("vision", weights.sha256, lambda: graph_of(efficientnet(weights), EFFICIENTNET_LITE2))
    return VisionEncoder(engine, EFFICIENTNET_LITE2, device)


def efficientnet(weights: "Resolved") -> nn.Module:
    """The backbone with its batch norms folded. Raises ModelError if the weights are another network's."""
    from kuaihl.models.backbones.efficientnet_lite import from_state_dict

    try:
        network = from_state_dict(read_tensors(weights)).fold()
    except ModelError as error:
        raise ModelError(f"{weights.file}: {error}") from error
    return network.to(memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]


def read_tensors(weights: "Resolved") -> dict[str, Tensor]:
    """The tensors of a .safetensors or .pth file; from the latter only tensors are unpickled, and no code is run."""
    import pickle

    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if weights.file.suffix == ".safetensors":
            return load_file(weights.file)
        found = torch.load(weights.file, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, OSError, EOFError, KeyError, ValueError) as error:
        raise ModelError(f"not a file of weights, or damaged ({reason_of(error)})") from error
    if not isinstance(found, dict) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise ModelError("it holds something else than named tensors")
    return found


class _SwinMap(nn.Module):
    """The hub's Swin, with its tokens laid out as a map."""

    def __init__(self, network: Any, width: int) -> None:
        super().__init__()
        self.network, self.width = network, width

    def forward(self, images: Tensor) -> Tensor:  # [B, 3, 224, 224] -> [B, d_v, 7, 7]
        tokens: Tensor = self.network(images).last_hidden_state
        return tokens.mT.reshape(len(images), self.width, _SWIN_GRID, _SWIN_GRID)


def swin_encoder(weights: "Resolved", open_runtime: OpenRuntime, device: str = "cpu") -> VisionEncoder:
    """A Swin in the hub's layout for the paper profile: 7 x 7 tokens per frame, unchanged.

    The supplement has 49 x 512 per frame. No published Swin ends 512 wide (T and S 768, B 1024, L 1536): ours is B,
    and the network's W_v maps its 1024 to 512.

    Raises ModelError if the weights are another network's.
    """
    from transformers import SwinConfig

    try:
        config = SwinConfig.from_pretrained(weights.folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(f"{weights.folder}: not a Swin ({reason_of(error)})") from error
    width = config.embed_dim * 2 ** (len(config.depths) - 1)
    settings = VisionSettings(size=_SWIN_SIZE, mean=_IMAGENET_MEAN, std=_IMAGENET_STD, grid=_SWIN_GRID, width=width)
    engine = open_runtime("vision", weights.sha256, lambda: graph_of(_SwinMap(swin(weights, config), width), settings))
    return VisionEncoder(engine, settings, device)


def swin(weights: "Resolved", config: Any) -> Any:
    """The hub's own network. Raises ModelError if the weights are another's."""
    from transformers import SwinModel

    try:
        network = SwinModel.from_pretrained(
            weights.folder, config=config, add_pooling_layer=False, local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{weights.folder}: not a Swin ({reason_of(error)})") from error
    network.eval().requires_grad_(False)  # type: ignore[no-untyped-call]
    return network
