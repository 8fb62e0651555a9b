"""A small network with every parameter away from its resting value, and input streams for it."""

from dataclasses import replace

import torch
from torch import Tensor

from kuaihl.models.dims import NetworkDims
from kuaihl.models.network.kuaihl import KuaiHL

SMALL = NetworkDims(
    visual_width=10, text_width=6, patches=3, width=16, heads=2, layers=3, window=5, feed_forward=2, streamers=4
)


def small_network(dims: NetworkDims = SMALL, **changes: object) -> KuaiHL:
    """In evaluation mode; biases and norms are drawn too, so that no test passes because something is zero."""
    torch.manual_seed(0)
    network = KuaiHL(replace(dims, **changes))  # type: ignore[arg-type]
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.detach().mean()), std=1.2 / network.dims.width**0.5)
    return network.eval()


def stream(dims: NetworkDims, segments: int, *, rooms: int = 1, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Features `visual` [B, S, P, d_v] and `text` [B, S, d_t]."""
    draw = torch.Generator().manual_seed(seed)
    visual = torch.randn(rooms, segments, dims.patches, dims.visual_width, generator=draw)
    return visual, torch.randn(rooms, segments, dims.text_width, generator=draw)


def run_steps(network: KuaiHL, visual: Tensor, text: Tensor, streamer: Tensor) -> Tensor:
    """Scores [B, S] by one step per segment."""
    state = network.start(streamer)
    scores = [network.step(state, visual[:, segment], text[:, segment]).score for segment in range(visual.shape[1])]
    return torch.stack(scores, dim=1)
