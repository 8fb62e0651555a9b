"""The choice of the computing device and of the number of CPU threads."""

import os

from kuaihl.models.errors import UsageError


def choose_device(device: str) -> str:
    """cpu, cuda, cuda:N or mps for the user's setting. Raises UsageError for a device that this machine lacks."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "mps":
        if not torch.backends.mps.is_available():
            raise UsageError("this torch sees no Apple GPU; give auto or cpu", setting="device", value=device)
        return device
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda") or (index and not (kind == "cuda" and index.isdecimal())):
        raise UsageError("give auto, cpu, cuda, cuda:N or mps", setting="device", value=device)
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UsageError(f"there are {count} CUDA devices here; give auto or cpu", setting="device", value=device)
    return device


def set_threads(threads: int | None) -> int:
    """Let torch use that many CPU threads, by default as many as this process may run on; returns the number."""
    import torch

    count = threads or len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))
    torch.set_num_threads(count)
    return count


def keep_threads() -> int:
    """Let the calling thread keep torch's present number of CPU threads, whatever is set for others later."""
    import torch

    return torch.get_num_threads()  # a thread takes the number over when it first asks
