"""The card's limits, measured: large matrix products in each precision, a copy within it, a copy to it."""

from collections.abc import Iterator

import torch

from card.measure import Ceilings, Row, Setting, release, time_call

_PART = "ceilings"
_DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def measure_ceilings(setting: Setting) -> tuple[Ceilings, list[Row]]:
    """The limits, and their rows."""
    side = 128 if setting.dry else 8192
    copied = 1 << (20 if setting.dry else 31)
    rates, rows = {}, []
    for precision, dtype in _DTYPES.items():
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        left, right = (torch.randn(side, side, device=setting.device, dtype=dtype) for _ in range(2))
        out = torch.empty_like(left)
        seconds = time_call(lambda a=left, b=right, out=out: torch.mm(a, b, out=out), setting, calls=4)
        rates[precision] = 2 * side**3 / seconds
        rows.append(
            Row(_PART, f"matrix product {precision}", side, seconds, note=f"{rates[precision] / 1e12:.1f} TF/s")
        )
    torch.set_float32_matmul_precision("highest")
    memory, upload = _copies(setting, copied)
    rows += [
        Row(_PART, "copy within the card", copied, 2 * copied / memory, note=f"{memory / 1e9:.0f} GB/s"),
        Row(_PART, "copy from pinned memory", copied // 8, copied / 8 / upload, note=f"{upload / 1e9:.1f} GB/s"),
    ]
    release()
    return Ceilings(rates, memory, upload), rows


def _copies(setting: Setting, copied: int) -> tuple[float, float]:
    """Bytes per second, read plus written, of a copy within the card; and of one to it."""
    source = torch.randint(0, 255, (copied,), dtype=torch.uint8, device=setting.device)
    target = torch.empty_like(source)
    inside = time_call(lambda: target.copy_(source), setting, calls=4)
    host = torch.randint(0, 255, (copied // 8,), dtype=torch.uint8)
    if setting.device.type == "cuda":
        host = host.pin_memory()
    into = time_call(lambda: target[: len(host)].copy_(host, non_blocking=True), setting)
    return 2 * copied / inside, len(host) / into


def describe_card(device: torch.device) -> Iterator[str]:
    """The card and the software, for the head of the report."""
    yield f"torch {torch.__version__}"
    if device.type == "cuda":
        facts = torch.cuda.get_device_properties(device)
        yield f"{facts.name}, compute capability {facts.major}.{facts.minor}, {facts.total_memory / 2**30:.0f} GiB"
        yield f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    yield f"{torch.get_num_threads()} CPU threads"
