"""Which of a bundle's TensorRT engines runs on this machine, and if none does, why and what mends it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kuaihl.engines.runtimes.compiled import CompiledFacts, NotBuiltError, engine_files, export_command, read_facts
from kuaihl.engines.runtimes.graphs import GraphName
from kuaihl.engines.runtimes.runtime import Precision, precision_of
from kuaihl.engines.runtimes.tensorrt_package import Gpu, TensorRtKind, gpu_of, load_tensorrt
from kuaihl.models.errors import ModelError, UsageError


@dataclass(frozen=True)
class Machine:
    """What an engine must have been built for."""

    kind: TensorRtKind
    version: str  # of TensorRT: an engine loads on the very version that built it
    gpu: Gpu


def this_machine(kind: TensorRtKind, device: Any = "cuda") -> Machine:
    """Raises UsageError where `device` is no NVIDIA GPU, or the package is missing."""
    gpu = gpu_of(device)
    if gpu is None:
        there = "there is none here" if str(device).startswith("cuda") else f"--device {device} is none"
        raise UsageError(f"--engine {kind}: needs an NVIDIA GPU, and {there}; give --engine onnx or torch")
    return Machine(kind, load_tensorrt(kind).version, gpu)


def rebuild_command(bundle: str, kind: TensorRtKind, precision: Precision, gpu: Gpu | None = None) -> str:
    """What builds the engines of a bundle, by its name, for `gpu`, on any machine where the kind allows that."""
    command = export_command(bundle, kind, precision)
    return f"{command} --compute-capability {gpu.capability}" if gpu and kind == "tensorrt-rtx" else command


def built_engines(folder: Path, graph: GraphName, precision: Precision, kind: TensorRtKind, bundle: str) -> list[Path]:
    """A bundle's engines of a graph in its compiled `folder`, for whatever machine.

    `precision` is that of the bundle as a whole. Raises NotBuiltError, with the command that builds them, for none.
    """
    files = engine_files(folder, graph, precision_of(graph, kind, precision), kind)
    if not files:
        command = rebuild_command(bundle, kind, precision)
        raise NotBuiltError(f"{folder}: holds no {kind} engine of the {graph} graph; build it: {command}")
    return files


def fitting_engine(files: Sequence[Path], precision: Precision, machine: Machine, bundle: str) -> Path:
    """The one among a graph's engines that runs on this machine.

    Raises ModelError that names both sides and the command that rebuilds, where none fits.
    """
    rebuild = rebuild_command(bundle, machine.kind, precision, machine.gpu)
    built = [(file, read_facts(file, rebuild)) for file in files]
    for file, facts in built:
        if (facts.compute_capability, facts.tensorrt) == (machine.gpu.capability, machine.version):
            return file
    # The nearest one is told of: of the same card, if there is one.
    file, facts = min(built, key=lambda each: each[1].compute_capability != machine.gpu.capability)
    raise ModelError(
        f"{file}: built for {target_of(facts)} by {facts.kind} {facts.tensorrt}; this machine has {machine.gpu.name} "
        f"(compute capability {machine.gpu.capability}) and {machine.kind} {machine.version}; rebuild: {rebuild}"
    )


def target_of(facts: CompiledFacts) -> str:
    capability = f"compute capability {facts.compute_capability}"
    return f"{facts.gpu} ({capability})" if facts.gpu else capability
