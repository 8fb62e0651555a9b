"""TensorRT's Python packages, imported on demand: `tensorrt` and `tensorrt_rtx`, one API under two names."""

import importlib
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Literal

from kuaihl.models.errors import UsageError, reason_of

TensorRtKind = Literal["tensorrt", "tensorrt-rtx"]

_MODULES: dict[TensorRtKind, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
_INSTALL: dict[TensorRtKind, str] = {
    "tensorrt": "install the `tensorrt` package together with its libraries, from NVIDIA's own package index",
    "tensorrt-rtx": "pip install 'kuaihl[tensorrt-rtx]'",
}
_KEPT_COMPLAINTS = 20  # one fault can make TensorRT log without end


@dataclass
class Complaints:
    """Errors that TensorRT logged since the last clear; the first is the cause, the rest follow from it."""

    said: list[str] = field(default_factory=list)

    def add(self, message: str) -> None:
        if len(self.said) < _KEPT_COMPLAINTS:
            self.said.append(message)

    def clear(self) -> None:
        self.said.clear()

    def first_line(self) -> str:
        """The first complaint as one line."""
        return reason_of(self.said[0]) if self.said else "it gave no reason"


@dataclass(frozen=True)
class TensorRt:
    """An imported package."""

    kind: TensorRtKind
    api: Any  # the module; it ships no types
    version: str
    logger: Any  # an ILogger; TensorRT keeps the first one for the life of the process
    complaints: Complaints  # where the logger puts errors


@dataclass(frozen=True)
class Gpu:
    """A card of this machine."""

    name: str
    capability: str  # compute capability, such as "8.9"


@lru_cache
def load_tensorrt(kind: TensorRtKind) -> TensorRt:
    """Import a package. Raises UsageError if it or its libraries are not installed."""
    module = _MODULES[kind]
    if find_spec(module) is None:
        raise UsageError(f"{kind} is not installed; {_INSTALL[kind]}")
    try:
        api = importlib.import_module(module)
        version = str(api.__version__)
        complaints = Complaints()
        logger = _make_logger(api, complaints)
    except (ImportError, OSError, AttributeError) as error:
        raise UsageError(
            f"{kind} is installed without libraries that fit ({reason_of(error)}); {_INSTALL[kind]}"
        ) from error
    return TensorRt(kind, api, version, logger, complaints)


def _make_logger(api: Any, complaints: Complaints) -> Any:
    """A logger that keeps errors and prints nothing; TensorRT's own writes to standard error."""

    class Logger(api.ILogger):  # type: ignore[misc]  # the package ships no types
        def __init__(self) -> None:
            api.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (api.ILogger.ERROR, api.ILogger.INTERNAL_ERROR):
                complaints.add(message)

    return Logger()


def gpu_of(device: Any) -> Gpu | None:
    """The card behind a torch device; None for a CPU, and on a machine without an NVIDIA GPU."""
    import torch

    found = torch.device(device)
    if found.type != "cuda" or not torch.cuda.is_available():
        return None
    properties = torch.cuda.get_device_properties(found)
    return Gpu(properties.name, f"{properties.major}.{properties.minor}")
