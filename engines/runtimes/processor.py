"""The int8 abilities of this machine's processor: its name and the instructions by which kernels are chosen.

ONNX Runtime and torch choose their kernels by them. In kuaihl, only the choice of an int8 file does (`open_onnx`).
"""

import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CPU_FACTS = Path("/proc/cpuinfo")  # Linux only; elsewhere nothing is known or assumed


@dataclass(frozen=True)
class Processor:
    """A processor's name, and which of the relevant instructions it has."""

    name: str
    avx2: bool = False
    avx512: bool = False  # F, BW, DQ and VL: kernels need all four
    vnni: bool = False  # bytes multiplied and added in int32, 256 or 512 bits wide
    amx: bool = False  # int8 tiles

    @property
    def instructions(self) -> dict[str, bool]:
        """Whether it has each instruction, by display name."""
        return {"AVX2": self.avx2, "AVX-512": self.avx512, "VNNI": self.vnni, "AMX": self.amx}

    @property
    def gain_by_int8(self) -> str:
        """The time that int8 takes relative to fp32 in ONNX Runtime, from docs/benchmarks.md."""
        if self.vnni:
            return "about 2/5 of fp32's time for texts, 2/3 for pictures (3/5 if compiled for VNNI)"
        if self.avx2:
            return "about 3/5 of fp32's time for texts, 4/5 for pictures"
        return "not measured on such a processor"

    @property
    def description(self) -> str:
        """One line: the name, the instructions present, those missing."""
        there = [name for name, has in self.instructions.items() if has]
        missing = [name for name, has in self.instructions.items() if not has]
        return f"{self.name} ({', '.join(there) or 'none of these'}{'; no ' + ', '.join(missing) if missing else ''})"


@cache
def read_processor() -> Processor:
    """This machine's processor."""
    try:
        return parse_processor(CPU_FACTS.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return Processor(platform.processor() or "a processor of unknown kind")


def parse_processor(facts: str) -> Processor:
    """A processor from the text of `/proc/cpuinfo`; the first entry stands for all."""
    found: dict[str, str] = {}
    for line in facts.splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    flags = set(found.get("flags", "").split())
    avx512 = flags.issuperset(("avx512f", "avx512bw", "avx512dq", "avx512vl"))
    return Processor(
        name=found.get("model name") or platform.processor() or "a processor of unknown kind",
        avx2="avx2" in flags,
        avx512=avx512,
        vnni="avx_vnni" in flags or (avx512 and "avx512_vnni" in flags),
        amx="amx_int8" in flags,
    )
