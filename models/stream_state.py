"""All that the network remembers of a batch of streams: keys and values of the last n segments, nothing older.

A step takes one state and makes the next; states are never changed in place, so an old one may be kept or replayed.
"""

from dataclasses import dataclass

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, device, tensor

from kuaihl.models.errors import ModelError

STATE_FORMAT = 1


@dataclass(frozen=True)
class StreamState:
    """State of B streams; the newest segment stands last. Its size never changes, however long the stream."""

    tokens: tuple[Tensor, ...]  # a perceiver layer each: keys and values [B, 1 + n*T, 2d], the streamer's first
    latents: Tensor  # keys and values for the decoder, [B, n, 2d]
    streamer: Tensor  # [B, d]
    valid: Tensor  # [B, n] bool: which of the n hold a segment
    position: int = 0  # segments seen so far

    def tensors(self) -> dict[str, Tensor]:
        """The state as named tensors, ready for safetensors."""
        parts = {f"tokens.{depth}": memory for depth, memory in enumerate(self.tokens)}
        parts |= {"latents": self.latents, "streamer": self.streamer, "valid": self.valid}
        parts = {name: part.detach().contiguous() for name, part in parts.items()}
        return parts | {"format": tensor(STATE_FORMAT), "position": tensor(self.position)}

    @classmethod
    def from_tensors(cls, parts: dict[str, Tensor]) -> "StreamState":
        """The inverse of `tensors`. Raises ModelError for another format or a missing part."""
        missing = [
            name for name in ("format", "position", "tokens.0", "latents", "streamer", "valid") if name not in parts
        ]
        if missing:
            raise ModelError(f"stream state: {', '.join(missing)} missing; start the stream anew without it")
        if int(parts["format"]) != STATE_FORMAT:
            raise ModelError(
                f"stream state: format {int(parts['format'])}, this version reads {STATE_FORMAT}; start the stream anew"
            )
        layers = sum(name.startswith("tokens.") for name in parts)
        return cls(
            tokens=tuple(parts[f"tokens.{depth}"] for depth in range(layers)),
            latents=parts["latents"],
            streamer=parts["streamer"],
            valid=parts["valid"],
            position=int(parts["position"]),
        )

    def to(self, device: device | str) -> "StreamState":
        """The state on another device."""
        return StreamState.from_tensors({name: part.to(device) for name, part in self.tensors().items()})

    def to_bytes(self) -> bytes:
        """The state as one safetensors file."""
        return save(self.tensors())

    @classmethod
    def from_bytes(cls, data: bytes) -> "StreamState":
        """The inverse of `to_bytes`. Raises ModelError if `data` is not such a file."""
        return cls.from_tensors(read_tensors(data))


def read_tensors(data: bytes) -> dict[str, Tensor]:
    """Named tensors of a safetensors file in memory. Raises ModelError if it is damaged."""
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"stream state is damaged ({error}); start the stream anew without it") from None
