"""The state of a stream between two segments, for either model: started, or read back from a file's tensors."""

from torch import Tensor

from kuaihl.models.dims import NetworkDims
from kuaihl.models.network.linear import LinearState, start_linear
from kuaihl.models.network.stream_state import StreamState, start_streams

StreamMemory = StreamState | LinearState


def start_memory(architecture: str, dims: NetworkDims, streamer: Tensor) -> StreamMemory:
    """The memory of B streams before their first segment. Raises ModelError as `start_streams` does."""
    return start_linear(dims, streamer) if architecture == "linear" else start_streams(dims, streamer)


def memory_from(parts: dict[str, Tensor]) -> StreamMemory:
    """The inverse of a memory's `tensors`. Raises ModelError if `parts` are not those of a memory."""
    return LinearState.from_tensors(parts) if "pending" in parts else StreamState.from_tensors(parts)
