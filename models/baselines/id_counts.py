"""The ID-based method of the paper's supplement (section II): sparse features of each segment in, its LVTR out.

The supplement lists the inputs (streamer, live and timestamp IDs, eight counts per segment), says that LVTR is
regressed, and names no network. So this is the plainest: every input is a row of a table, and a perceptron follows.
Nothing here reads words or pictures. A score depends on the counts of the present segment and of the look-back window
alone.

A live ID that training did not see is row 0. Every room that is scored after training has one, as all 3,000 test rooms
of KLive do. So training hides the ID of half of the windows, and scoring hides all.
"""

from typing import cast

import torch
from torch import Tensor, nn

from kuaihl.models.batch import Batch
from kuaihl.models.data.segment_counts import FIRST_COUNT, ROOM, SEGMENT, SEGMENT_COUNTS, UNKNOWN_ROOM
from kuaihl.models.dims import NetworkDims
from kuaihl.models.errors import ModelError
from kuaihl.models.losses.objective import LossTerms, Objective, point_alone
from kuaihl.models.network.kuaihl import streamer_source, streamer_vector

_BUCKETS_PER_OCTAVE = 2  # counts that differ by a factor of 1.4 have different buckets
_BUCKETS = 64  # 0 if nobody counted; the last begins at 2^31, the end of int32
_ROOM_DROPOUT = 0.5  # our choice, not the paper's


class IdCounts(nn.Module):
    """Tables of IDs and counts, and a perceptron over who and when, the present, and the past."""

    reads_counts = True

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.dims = dims
        d = dims.width
        self.streamer = streamer_source(dims)
        self.room = nn.Embedding(dims.rooms + 1, d)
        self.time = nn.Embedding(_BUCKETS, d)
        self.counts = nn.Embedding(len(SEGMENT_COUNTS) * _BUCKETS, d)
        self.head = nn.Sequential(nn.LayerNorm(3 * d), nn.Linear(3 * d, d), nn.GELU(), nn.Linear(d, 1))

    def forward(
        self, visual: Tensor, text: Tensor, streamer: Tensor, valid: Tensor | None = None, sparse: Tensor | None = None
    ) -> Tensor:
        """Logits [B, S] from `streamer` [B] and `sparse` [B, S, 10] (`sparse_rows`). Raises ModelError without it."""
        if sparse is None:
            raise ModelError("id-counts reads counts per segment, and none were given")
        u = streamer_vector(self.dims, self.streamer, streamer, training=self.training)  # [B, d]
        who = (u + self.room(self.shown_rooms(sparse[:, -1, ROOM]))).unsqueeze(1)  # [B, 1, d]
        ids = who + self.time(bucket(sparse[..., SEGMENT]))  # [B, S, d]
        offsets = _BUCKETS * torch.arange(len(SEGMENT_COUNTS), device=sparse.device)
        present = self.counts(bucket(sparse[..., FIRST_COUNT:]) + offsets).sum(dim=2)  # [B, S, d]
        past = windowed_mean(present, valid, self.dims.window)
        return cast(Tensor, self.head(torch.cat([ids, present, past], dim=-1)).squeeze(-1))

    def shown_rooms(self, rooms: Tensor) -> Tensor:
        """The live IDs [B] that the network may know, with others as UNKNOWN_ROOM."""
        if not self.dims.use_id:
            return torch.full_like(rooms, UNKNOWN_ROOM)
        if not self.training:
            return rooms
        return rooms.masked_fill(torch.rand(rooms.shape, device=rooms.device) < _ROOM_DROPOUT, UNKNOWN_ROOM)

    def training_losses(self, objective: Objective, batch: Batch) -> LossTerms:
        """Cross-entropy against the LVTR (eq. 8)."""
        return point_alone(
            self(batch.visual, batch.text, batch.streamer, batch.segment_valid, batch.sparse),
            batch,
        )


def bucket(counts: Tensor) -> Tensor:
    """The row of a table for each count: 0 if nobody counted, else one step per factor of √2 of count + 1."""
    steps = _BUCKETS_PER_OCTAVE * torch.log2(counts.clamp(min=0).double() + 1)
    return torch.where(counts < 0, 0, steps.long() + 1).clamp(max=_BUCKETS - 1)


def windowed_mean(x: Tensor, valid: Tensor | None, window: int) -> Tensor:
    """The mean over each segment and up to `window` − 1 before it; x is [B, S, d], valid [B, S] or None."""
    there = torch.ones(x.shape[:2], device=x.device) if valid is None else valid.to(x.dtype)
    sums = torch.cumsum(torch.cat([x * there.unsqueeze(-1), there.unsqueeze(-1)], dim=-1), dim=1)
    before = torch.zeros_like(sums)
    before[:, window:] = sums[:, :-window]
    within = sums - before
    return within[..., :-1] / within[..., -1:].clamp(min=1)
