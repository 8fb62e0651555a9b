"""Adaptive-H-FCSN: Rochan et al., Adaptive Video Highlight Detection by Learning from User History, ECCV 2020; compact.

It follows the first author's public code (mrochan/adaptive-highlight), a fully convolutional sequence network. Its last
features and, by a skip, those of an earlier stage are normalised over time. A history encoder's output for the user
then scales and shifts them (temporal-adaptive instance normalisation, T-AIN). Each is scored, and the scores are
summed. The encoder is self-attention over the history's highlights, averaged. The loss is cross-entropy.

Differences: four convolutions instead of fifteen, which look back only. They dilate where the original pools, since
pooling would mix a segment with later ones; so nothing is upsampled. The encoder has the linear residual that only the
original's convolutional one has. The normalisation is over the look-back window, and scales are learned as departures
from one. On live rooms the streamer's vector is a history of one.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from kuaihl.models.baselines.segment_inputs import SegmentInputs
from kuaihl.models.batch import Batch
from kuaihl.models.dims import NetworkDims
from kuaihl.models.losses.objective import LossTerms, Objective, point_alone
from kuaihl.models.network.history_tokens import mean_token

_KERNEL = 3
_DILATIONS = (1, 1, 2, 2)  # with the window of T-AIN a score depends on fewer than 2n - 1 segments
_SKIP = 2  # convolutions before the skip branches off
_EPSILON = 1e-5


class _PastConvolution(nn.Module):
    """Convolution over this segment and earlier ones, or over both sides if the mask is fully visible."""

    def __init__(self, width: int, dilation: int, *, causal: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, width, _KERNEL, dilation=dilation)
        reach = (_KERNEL - 1) * dilation
        self.padding = (reach, 0) if causal else (reach // 2, reach - reach // 2)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:  # [B, d, S], [B, 1, S]
        return cast(Tensor, self.convolution(functional.pad(x * there, self.padding)).relu())


class _HistoryEncoder(nn.Module):
    """Scales and shifts of both T-AINs from a user's highlights."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        d = dims.width
        self.attention = nn.MultiheadAttention(d, dims.heads, dropout=dims.dropout, batch_first=True)
        self.residual = nn.Linear(d, d)
        self.affine = nn.Linear(d, 4 * d)

    def forward(self, liked: Tensor, there: Tensor) -> Tensor:
        """[B, 4, d] of the highlights [B, K, d] that are `there` [B, K]."""
        attended = self.attention(liked, liked, liked, key_padding_mask=~there, need_weights=False)[0]
        user = mean_token(attended, there) + self.residual(mean_token(liked, there))
        return cast(Tensor, self.affine(user).unflatten(-1, (4, -1)))


class AdaptiveHFCSN(nn.Module):
    """Convolutions with a skip, and T-AIN on both."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.dims = dims
        self.inputs = SegmentInputs(dims, personal=True)
        self.convolutions = nn.ModuleList(
            _PastConvolution(dims.width, dilation, causal=dims.causal) for dilation in _DILATIONS
        )
        self.history = _HistoryEncoder(dims)
        self.last_score, self.skip_score = (nn.Conv1d(dims.width, 1, 1) for _ in range(2))

    def forward(self, visual: Tensor, text: Tensor, streamer: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits [B, S]; see `architectures`."""
        x = self.inputs.segments(visual, text).transpose(1, 2)  # [B, d, S]
        there = torch.ones_like(x[:, :1]) if valid is None else valid.unsqueeze(1).to(x.dtype)  # [B, 1, S]
        stages = []
        for convolution in self.convolutions:
            x = convolution(x, there)
            stages.append(x)
        of_last, to_last, of_skip, to_skip = self.history(*self.inputs.liked(streamer)).unsqueeze(-1).unbind(dim=1)
        last = self.adapted(stages[-1], there, of_last, to_last)
        skip = self.adapted(stages[_SKIP - 1], there, of_skip, to_skip)
        return cast(Tensor, (self.last_score(last) + self.skip_score(skip)).squeeze(1))

    def adapted(self, x: Tensor, there: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """T-AIN of [B, d, S] with scale and shift [B, d, 1]."""
        return _normalise(x, there, self.dims.window, causal=self.dims.causal) * (1 + scale) + shift

    def training_losses(self, objective: Objective, batch: Batch) -> LossTerms:
        """Cross-entropy."""
        return point_alone(self(batch.visual, batch.text, batch.streamer, batch.segment_valid), batch)


def _normalise(x: Tensor, there: Tensor, window: int, *, causal: bool) -> Tensor:
    """[B, d, S] minus its mean, divided by its deviation, over the window that ends there or the whole sequence."""
    if causal:
        seen, known = (functional.pad(part, (window - 1, 0)).unfold(2, window, 1) for part in (x, there))
    else:
        seen, known = x.unsqueeze(2), there.unsqueeze(2)  # [B, d or 1, S or 1, n]
    count = known.sum(dim=-1).clamp(min=1.0)
    mean = (seen * known).sum(dim=-1) / count
    variance = ((seen - mean.unsqueeze(-1)).square() * known).sum(
        dim=-1
    ) / count  # not from the mean of squares, which loses digits
    return (x - mean) / (variance + _EPSILON).sqrt()
