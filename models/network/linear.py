"""The linear model, from no paper: both answers are sums over pictures, words and signals of the last few segments.

Each segment adds to the answer after it and to those after the next L − 1. So a stream keeps only the sums that are
still to be added: `LinearState.pending`. The weights are fitted in closed form (`linear_fit`), not by gradients.
"""

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from kuaihl.models.dims import NetworkDims
from kuaihl.models.errors import ModelError
from kuaihl.models.network.kuaihl import Outputs

_LAGS = 4  # L, segments that an answer depends on: two minutes
_COMPONENTS = 64  # of pictures, and as many of words, to which weights are fitted
FARTHEST = 5.0  # deviations, to which features are clipped, so that pictures unlike the training data break nothing
_STATE_FORMAT = 1


@dataclass
class LinearState:
    """State of B streams, which may differ in age."""

    pending: Tensor  # [B, L, Q], additions of past segments to the logits of the coming L segments; the last is 0

    def inputs(self) -> tuple[Tensor, ...]:
        """The state as `LaggedLinear.forward_step` and every engine take it."""
        return (self.pending,)

    def push(self, pending: Tensor) -> None:
        """Go on to the next segment."""
        self.pending = pending

    def tensors(self) -> dict[str, Tensor]:
        """A copy of the state as named tensors, ready for safetensors."""
        return {"pending": self.pending.detach().clone(), "format": torch.tensor(_STATE_FORMAT)}

    @classmethod
    def from_tensors(cls, parts: dict[str, Tensor]) -> "LinearState":
        """The inverse of `tensors`. Raises ModelError for another format."""
        found = int(parts.get("format", torch.tensor(0)))
        if found != _STATE_FORMAT:
            raise ModelError(
                f"stream state: format {found}, this version reads {_STATE_FORMAT}; start the stream anew without it"
            )
        return cls(parts["pending"])

    def to(self, device: torch.device | str) -> "LinearState":
        """A copy of the state on a device."""
        return LinearState(self.pending.detach().clone().to(device))


class _Reader(nn.Module):
    """Features [..., k] -> what they add to the logits at each lag [..., L, Q]; a row of zeros, no input, adds 0."""

    def __init__(self, width: int, lags: int, answers: int) -> None:
        super().__init__()
        self.shape = (lags, answers)
        self.register_buffer("mean", torch.zeros(width))  # of the training data
        self.register_buffer("scale", torch.ones(width))  # 1 / deviation; 0 for a column that never changes
        self.mean: Tensor
        self.scale: Tensor
        self.weight = nn.Parameter(torch.zeros(width, lags * answers))

    def forward(self, features: Tensor) -> Tensor:
        there = (features != 0).any(dim=-1, keepdim=True)
        scores = ((features - self.mean) * self.scale).clamp(-FARTHEST, FARTHEST)
        added = torch.where(there, scores @ self.weight, 0.0)
        return added.reshape(*added.shape[:-1], *self.shape)


class LaggedLinear(nn.Module):
    """B rooms, S segments, P patches, k columns of signals, L lags, Q answers: score and, if asked for, interest."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.dims = dims
        self.answers = 2 if dims.interest else 1
        if dims.use_visual:
            self.visual = _Reader(dims.visual_width, dims.window, self.answers)
        if dims.use_text:
            self.text = _Reader(dims.text_width, dims.window, self.answers)
        if dims.signals:
            self.signals = _Reader(dims.signals, dims.window, self.answers)
        self.bias = nn.Parameter(torch.zeros(self.answers))

    def forward(
        self,
        visual: Tensor,
        text: Tensor,
        streamer: Tensor,
        valid: Tensor | None = None,
        signals: Tensor | None = None,
    ) -> Tensor:
        """Logits [B, S] of the next segments; arguments as `KuaiHL.forward`. The streamer is not read."""
        return self.outputs(visual, text, streamer, valid, signals).score

    def outputs(
        self,
        visual: Tensor,
        text: Tensor,
        streamer: Tensor,
        valid: Tensor | None = None,
        signals: Tensor | None = None,
    ) -> Outputs:
        """Logits [B, S] of both questions."""
        added = self.contributions(visual, text, signals)  # [B, S, L, Q]
        if valid is not None:
            added = added * valid[..., None, None]
        length = added.shape[1]
        lagged = [functional.pad(added[:, :, lag], (0, 0, lag, 0))[:, :length] for lag in range(self.dims.window)]
        return self.split(torch.stack(lagged).sum(dim=0) + self.bias)

    def contributions(self, visual: Tensor, text: Tensor, signals: Tensor | None) -> Tensor:
        """Each segment's additions to the logits at each lag, [..., L, Q]; pictures are the mean of their patches."""
        parts = []
        if self.dims.use_visual:
            parts.append(self.visual(visual.mean(dim=-2)))
        if self.dims.use_text:
            parts.append(self.text(text))
        if self.dims.signals:
            if signals is None:
                raise ValueError("the model reads signals and was given none")
            parts.append(self.signals(signals))
        return cast(Tensor, sum(parts[1:], parts[0]))

    def split(self, logits: Tensor) -> Outputs:
        """[..., Q] as score and interest."""
        return Outputs(logits[..., 0], logits[..., 1] if self.dims.interest else None)

    def start(self, streamer: Tensor) -> LinearState:
        """The state of B streams before their first segment; `streamer` [B] as in `KuaiHL.start`."""
        return start_linear(self.dims, streamer)

    def step(self, state: LinearState, visual: Tensor, text: Tensor, signals: Tensor | None = None) -> Outputs:
        """Scores [B] in (0, 1) after one more segment; `state` moves on. Arguments as `KuaiHL.step`."""
        scores, kept = self.forward_step(visual, text, signals, *state.inputs())
        state.push(*kept)
        return scores

    def forward_step(
        self, visual: Tensor, text: Tensor, signals: Tensor | None, pending: Tensor
    ) -> tuple[Outputs, tuple[Tensor]]:
        """A step as a function of tensors alone: the newest segment and the state in, scores and the state out."""
        total = pending + self.contributions(visual, text, signals)  # [B, L, Q]
        scores = self.split(torch.sigmoid(total[:, 0] + self.bias))
        return scores, (functional.pad(total[:, 1:], (0, 0, 0, 1)),)


def linear_dims(dims: NetworkDims, components: int | None = None, lags: int | None = None) -> NetworkDims:
    """A network's dims turned into the linear model's: `window` is L, `width` the components; it reads no id."""
    return replace(
        dims,
        width=components or _COMPONENTS,
        window=lags or _LAGS,
        heads=1,
        layers=1,
        streamers=0,
        use_id=False,
        dropout=0.0,
        id_dropout=0.0,
    )


def start_linear(dims: NetworkDims, streamer: Tensor) -> LinearState:
    """The state of B streams before their first segment, on the device of `streamer` [B]."""
    answers = 2 if dims.interest else 1
    return LinearState(torch.zeros(len(streamer), dims.window, answers, device=streamer.device))
