"""The network's memory of a batch of streams: tokens and latents of the last n segments, nothing older.

They lie in rings, segment i in slot i mod n, so that a step writes one slot and moves nothing. Keys and values are not
kept, since attention can do without them (`WindowedAttention.forward_step`): the state is less than a quarter of their
size. The first layer's result for a segment is kept: all its latents are the streamer's vector, and it never reads
those tokens again.
"""

from dataclasses import dataclass, fields

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from kuaihl.models.dims import NetworkDims
from kuaihl.models.errors import ModelError

_STATE_FORMAT = 4


@dataclass
class StreamState:
    """State of B streams, which may differ in age. Its size never changes, however long the streams are."""

    tokens: Tensor  # [B, n, T, d], as `KuaiHL.embed` makes them
    outs: Tensor  # [B, h, n, d], the mean of each segment's tokens in the first layer's attention
    lses: Tensor  # [B, h, n], log of the sum of their exp(logit) there
    latents: Tensor  # [B, n, d], as the decoder's attention reads them
    streamer: Tensor  # [B] indices
    position: Tensor  # [B] int64: segments seen so far

    def inputs(self) -> tuple[Tensor, ...]:
        """The parts in the order in which `KuaiHL.forward_step` and every engine take them."""
        return self.tokens, self.outs, self.lses, self.latents, self.streamer, self.position

    def push(self, tokens: Tensor, out: Tensor, lse: Tensor, latents: Tensor) -> None:
        """Keep one more segment in place of the oldest: `tokens` [B, T, d], `out` [B, h, d], and so on."""
        rooms = torch.arange(len(self.position), device=self.position.device)
        slot = self.position % self.latents.shape[1]
        self.tokens[rooms, slot] = tokens
        self.outs[rooms, :, slot] = out
        self.lses[rooms, :, slot] = lse
        self.latents[rooms, slot] = latents
        self.position += 1

    def tensors(self) -> dict[str, Tensor]:
        """A copy of the state as named tensors, ready for safetensors."""
        parts = {part.name: getattr(self, part.name).detach().clone() for part in fields(self)}
        return parts | {"format": torch.tensor(_STATE_FORMAT)}

    @classmethod
    def from_tensors(cls, parts: dict[str, Tensor]) -> "StreamState":
        """The inverse of `tensors`. Raises ModelError for another format or a missing part."""
        names = [part.name for part in fields(cls)]
        found = int(parts.get("format", torch.tensor(0)))
        if found != _STATE_FORMAT:
            raise ModelError(
                f"stream state: format {found}, this version reads {_STATE_FORMAT}; start the stream anew without it"
            )
        missing = [name for name in names if name not in parts]
        if missing:
            raise ModelError(f"stream state: {', '.join(missing)} missing; start the stream anew without it")
        return cls(**{name: parts[name] for name in names})

    def to(self, device: torch.device | str) -> "StreamState":
        """A copy of the state on a device."""
        return StreamState.from_tensors({name: part.to(device) for name, part in self.tensors().items()})

    def to_bytes(self) -> bytes:
        """The state as one safetensors file."""
        return save(self.tensors())

    @classmethod
    def from_bytes(cls, data: bytes) -> "StreamState":
        """The inverse of `to_bytes`. Raises ModelError if `data` is not such a file."""
        return cls.from_tensors(read_tensors(data))


def start_streams(dims: NetworkDims, streamer: Tensor) -> StreamState:
    """The state of B streams before their first segment, on the device of `streamer` [B].

    Raises ModelError for a network that cannot follow a stream.
    """
    if not dims.causal:
        raise ModelError("network: made with a fully visible mask, so it cannot follow a stream")
    rooms = len(streamer)
    return StreamState(
        tokens=torch.zeros(rooms, dims.window, dims.tokens, dims.width, device=streamer.device),
        outs=torch.zeros(rooms, dims.heads, dims.window, dims.width, device=streamer.device),
        lses=torch.zeros(rooms, dims.heads, dims.window, device=streamer.device),
        latents=torch.zeros(rooms, dims.window, dims.width, device=streamer.device),
        streamer=streamer,
        position=torch.zeros(rooms, dtype=torch.int64, device=streamer.device),
    )


def ring_distance(position: Tensor, window: int) -> Tensor:
    """The distance [B, n] in segments of each slot of a ring before the newest segment, number `position` [B].

    It is n if a slot is empty, or holds the segment that is about to leave the window.
    """
    slots = torch.arange(window, device=position.device)
    distance = (position[:, None] - 1 - slots) % window + 1  # 1 … n
    return torch.where(distance <= position[:, None], distance, window)


def read_tensors(data: bytes) -> dict[str, Tensor]:
    """Named tensors of a safetensors file in memory. Raises ModelError if it is damaged."""
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"stream state is damaged ({error}); start the stream anew without it") from None
