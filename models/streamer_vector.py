"""u, the vector of who is on air, from a table of streamers."""

from typing import cast

import torch
from torch import Tensor, nn

from kuaihl.models.network_dims import UNKNOWN_STREAMER, NetworkDims


def streamer_source(dims: NetworkDims) -> nn.Module:
    """What u is read from: a table whose row 0 is the unknown streamer."""
    return nn.Embedding(dims.streamers + 1 if dims.use_id else 1, dims.width)


def streamer_vector(dims: NetworkDims, source: nn.Module, streamer: Tensor, *, training: bool) -> Tensor:
    """u [B, d] before its norm. `streamer` is [B] indices; a network without id takes anything that is B long.

    In training an id becomes "unknown" with probability `dims.id_dropout`, so that row 0 is trained, too.
    """
    if not dims.use_id:
        if streamer.dim() > 1:  # histories
            streamer = streamer[:, 0, 0].long()
        streamer = torch.full_like(streamer, UNKNOWN_STREAMER)
    elif training and dims.id_dropout > 0:
        hidden = torch.rand(streamer.shape, device=streamer.device) < dims.id_dropout
        streamer = streamer.masked_fill(hidden, UNKNOWN_STREAMER)
    return cast(Tensor, source(streamer))
