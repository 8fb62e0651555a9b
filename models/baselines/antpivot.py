"""AntPivot: Zhao et al., Livestream Highlight Detection via Hierarchical Attention Mechanism, 2022; compact.

It follows the authors' code (ContentTech/AntPivot) and reads text alone. Time is divided into chunks, as many as each
has segments. A first gate makes a chunk's pivot. Pivots attend to one another and go back into their chunk as a token,
and a second gate moves them on; this takes several rounds. The loss is cross-entropy on both gates and on a boundary
head. Dynamic programming (`antpivot_spans`) cuts spans only and changes no score.

Differences: the stream is the look-back window, divided again for each segment into chunks from its last segment back.
So no cut is fixed, and the original's second pass, shifted by half a chunk, has nothing to do. Pivots see only those of
earlier chunks. A segment's one text vector stands for a sentence. There are no speaker and no spectrogram, as in the
authors' config `only_sent`. Gates compare a segment with its chunk, and not with the whole stream by a recurrent
encoder. Labels are rates, and those above their sample's mean make the spans for the boundary head.
"""

from dataclasses import replace
from math import isqrt
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from kuaihl.models.baselines.antpivot_spans import cut_spans, find_boundaries
from kuaihl.models.baselines.context_block import ContextBlock
from kuaihl.models.baselines.segment_inputs import SegmentInputs
from kuaihl.models.batch import Batch
from kuaihl.models.dims import NetworkDims
from kuaihl.models.errors import ModelError
from kuaihl.models.losses.objective import LossTerms, Objective
from kuaihl.models.losses.point import point_loss
from kuaihl.models.network.attention import feed_forward
from kuaihl.models.network.history_tokens import mean_token

_ROUNDS = 2  # three in the original; with two a score depends on 2n - 1 segments at most, as KuaiHL's does
_BOUNDARY, _INSIDE = 1.0, 0.5  # weights of the losses, as in the original
_HIDDEN = -1e4


class _PivotBlock(nn.Module):
    """Self-attention and feed-forward of a chunk with its pivot; [N, T, d] to [N, T, d], `there` [N, T]."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dims.width)
        self.attention = nn.MultiheadAttention(dims.width, dims.heads, dropout=dims.dropout, batch_first=True)
        self.feed_forward = feed_forward(dims.width, dims.feed_forward, dims.dropout)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        normed = self.norm(x)
        x = x + self.attention(normed, normed, normed, key_padding_mask=~there, need_weights=False)[0]
        return cast(Tensor, x + self.feed_forward(x))


class AntPivot(nn.Module):
    """Segments to pivots, pivots among one another, and back among their segments."""

    def __init__(self, dims: NetworkDims) -> None:
        """Raises ModelError if there is no text to read."""
        super().__init__()
        if not dims.use_text:
            raise ModelError("antpivot reads text alone, and here is none")
        self.dims, d = dims, dims.width
        self.chunk = isqrt(dims.window)  # 20 segments are five chunks of four
        self.ahead = 0 if dims.causal else self.chunk // 2  # segments of a chunk after the one it belongs to
        self.inputs = SegmentInputs(replace(dims, use_visual=False), personal=False)
        self.place = nn.Parameter(torch.randn(self.chunk, d) * d**-0.5)
        self.first_gate, self.second_gate = _gate(d), _gate(d)
        chunks = replace(dims, window=dims.window // self.chunk)
        self.among = nn.ModuleList(ContextBlock(chunks) for _ in range(_ROUNDS))
        self.inside = nn.ModuleList(_PivotBlock(dims) for _ in range(_ROUNDS))
        self.boundary = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, d), nn.GELU(), nn.Linear(d, 1))

    def forward(self, visual: Tensor, text: Tensor, streamer: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits [B, S]; see `architectures`."""
        first, second, _ = self.heads(visual, text, valid)
        return join_gates(first, second)

    def spans(self, visual: Tensor, text: Tensor) -> list[list[tuple[int, int]]]:
        """Highlights of each room as first and last segment, by the original's dynamic programming."""
        first, second, boundary = self.heads(visual, text, None)
        inside = torch.sigmoid(join_gates(first, second)).tolist()
        return [cut_spans(*row) for row in zip(torch.sigmoid(boundary).tolist(), inside, strict=True)]

    def heads(self, visual: Tensor, text: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [B, S] of the first gate, the second gate and the boundary head."""
        x = self.inputs.segments(visual, text)  # [B, S, d]
        rooms, segments, _ = x.shape
        there = torch.ones(rooms, segments, dtype=torch.bool, device=x.device) if valid is None else valid
        x = x * there.unsqueeze(-1)
        known = self.chunks(there.unsqueeze(-1)).squeeze(-1)  # [B*S, c]: each segment's own chunk
        alive = known.any(dim=1).view(rooms, segments)
        block = self.chunks(x)
        weight = first = self.gate(self.first_gate, block, mean_token(block, known))
        pivot = _gather_tokens(block, weight, known)  # [B*S, d]
        gates = []
        for among, inside in zip(self.among, self.inside, strict=True):
            pivot = self.attend_apart(among, pivot.view(rooms, segments, -1), alive).flatten(0, 1)
            tokens = torch.cat([pivot.unsqueeze(1), self.chunks(x) + self.place], dim=1)
            tokens = inside(tokens, functional.pad(known, (1, 0), value=True))
            pivot, block = tokens[:, 0], tokens[:, 1:]
            weight = self.gate(self.second_gate, block, pivot)
            pivot = pivot + _gather_tokens(block, weight, known)
            x = block[:, self.own].view(rooms, segments, -1) * there.unsqueeze(-1)
            gates.append(weight[:, self.own])
        second = torch.stack(gates).mean(dim=0).view(rooms, segments)
        return first[:, self.own].view(rooms, segments), second, self.boundary(x).squeeze(-1)

    @property
    def own(self) -> int:
        """A segment's place in its own chunk."""
        return self.chunk - 1 - self.ahead

    def chunks(self, x: Tensor) -> Tensor:
        """Each segment's chunk [B*S, c, d] of [B, S, d]; zeros before the first segment and after the last."""
        padded = functional.pad(x, (0, 0, self.own, self.ahead))
        return padded.unfold(1, self.chunk, 1).transpose(2, 3).flatten(0, 1)

    def attend_apart(self, among: nn.Module, pivot: Tensor, alive: Tensor) -> Tensor:
        """Attention among pivots [B, S, d] that lie whole chunks apart: those of one division of a window."""
        rooms, segments, d = pivot.shape
        fill = -segments % self.chunk

        def divide(x: Tensor) -> Tensor:  # [B, S, k] -> [B*c, S/c, k]
            padded = functional.pad(x, (0, 0, 0, fill))
            return padded.view(rooms, -1, self.chunk, x.shape[-1]).transpose(1, 2).flatten(0, 1)

        found = among(divide(pivot), divide(alive.unsqueeze(-1)).squeeze(-1))
        return cast(Tensor, found.view(rooms, self.chunk, -1, d).transpose(1, 2).flatten(1, 2)[:, :segments])

    @staticmethod
    def gate(layers: nn.Module, block: Tensor, around: Tensor) -> Tensor:
        """Logits [N, c] that segments [N, c, d] are in a highlight, compared with what is `around` [N, d]."""
        return cast(Tensor, layers(torch.cat([block, around.unsqueeze(1).expand_as(block)], dim=-1)).squeeze(-1))

    def training_losses(self, objective: Objective, batch: Batch) -> LossTerms:
        """Cross-entropy of both gates with the label, and of the boundary head with the ends of spans."""
        first, second, boundary = self.heads(batch.visual, batch.text, batch.segment_valid)
        counted = batch.label_valid & batch.segment_valid
        point = (point_loss(first, batch.labels, counted) + point_loss(second, batch.labels, counted)) / 2
        ends = point_loss(boundary, *find_boundaries(batch.labels, counted))
        nothing = first.float().sum() * 0.0
        return LossTerms(
            _INSIDE * point + _BOUNDARY * ends, point, nothing, nothing, nothing, join_gates(first, second)
        )


def _gate(width: int) -> nn.Sequential:
    """The layers of one gate."""
    return nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, 1))


def _gather_tokens(block: Tensor, weight: Tensor, known: Tensor) -> Tensor:
    """[M, d]: tokens [M, c, d] weighed by the softmax of their gates [M, c]; zeros if a chunk has no tokens."""
    shares = weight.masked_fill(~known, _HIDDEN).softmax(dim=-1) * known
    return (block * shares.unsqueeze(-1)).sum(dim=1)


def join_gates(first: Tensor, second: Tensor) -> Tensor:
    """The logit of the geometric mean of both gates' probabilities, as the original joins them."""
    log = (functional.logsigmoid(first.float()) + functional.logsigmoid(second.float())) / 2
    return log - torch.log(-torch.expm1(log.clamp(max=-1e-6)))
