"""Adaptive-H-FCSN: Rochan et al., Adaptive Video Highlight Detection by Learning from User History, ECCV 2020.

Kept: a fully convolutional sequence network whose features are normalised over time and then scaled and shifted by what
a history encoder makes of the user (temporal-adaptive instance normalisation, T-AIN); cross-entropy. Adapted: the
streamer's vector is the history; convolutions look back only and dilate where the original pools, which would mix a
segment with later ones; the normalisation's mean and deviation are those of the look-back window.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from kuaihl.models.baselines.segment_inputs import SegmentInputs
from kuaihl.models.batch import Batch
from kuaihl.models.network_dims import NetworkDims
from kuaihl.models.objective import LossTerms, Objective, point_alone

KERNEL = 3
DILATIONS = (1, 2)  # with the window of T-AIN a score depends on fewer than 2n - 1 segments
EPSILON = 1e-5


class PastConvolution(nn.Module):
    """Over this segment and earlier ones, or over both sides where the mask is fully visible."""

    def __init__(self, width: int, dilation: int, *, causal: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, width, KERNEL, dilation=dilation)
        reach = (KERNEL - 1) * dilation
        self.padding = (reach, 0) if causal else (reach // 2, reach - reach // 2)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:  # [B, d, S], [B, 1, S]
        return cast(Tensor, self.convolution(functional.pad(x * there, self.padding)).relu())


class AdaptiveHFCSN(nn.Module):
    """Convolutions, T-AIN, convolutions with a skip."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.dims = dims
        self.inputs = SegmentInputs(dims, personal=True)
        down, self.up = (
            nn.ModuleList(PastConvolution(dims.width, dilation, causal=dims.causal) for dilation in order)
            for order in (DILATIONS, DILATIONS[::-1])
        )
        self.down = down
        self.affine = nn.Sequential(
            nn.Linear(dims.width, dims.width), nn.ReLU(), nn.Linear(dims.width, 2 * dims.width)
        )  # the history encoder
        self.head = nn.Conv1d(dims.width, 1, 1)

    def forward(self, visual: Tensor, text: Tensor, streamer: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits [B, S]; see `architectures`."""
        x = self.inputs.segments(visual, text).transpose(1, 2)  # [B, d, S]
        there = torch.ones_like(x[:, :1]) if valid is None else valid.unsqueeze(1).to(x.dtype)  # [B, 1, S]
        skip = x
        for layer in self.down:
            x = layer(x, there)
        scale, shift = self.affine(self.inputs.user(streamer)).unsqueeze(-1).chunk(2, dim=1)  # [B, d, 1] each
        x = normalised(x, there, self.dims.window, causal=self.dims.causal) * (1 + scale) + shift
        for layer in self.up:
            x = layer(x, there)
        return cast(Tensor, self.head(x + skip).squeeze(1))

    def training_losses(self, objective: Objective, batch: Batch) -> LossTerms:
        """Cross-entropy."""
        return point_alone(self(batch.visual, batch.text, batch.streamer, batch.segment_valid), batch)


def normalised(x: Tensor, there: Tensor, window: int, *, causal: bool) -> Tensor:
    """[B, d, S] less its mean over its deviation, of the window that ends there, or of the whole sequence."""

    def total(values: Tensor) -> Tensor:
        if not causal:
            return values.sum(dim=2, keepdim=True)
        return functional.avg_pool1d(functional.pad(values, (window - 1, 0)), window, stride=1) * window

    count = total(there).clamp(min=1.0)
    mean = total(x * there) / count
    variance = (total((x * there).square()) / count - mean.square()).clamp(min=0.0)
    return (x - mean) / (variance + EPSILON).sqrt()
