"""Finding the TensorRT engine of a bundle that runs on this machine; if none does, the reason and the remedy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kuaihl.engines.runtimes.compiled import CompiledFacts, NotBuiltError, compile_remedy, engine_files, read_facts
from kuaihl.engines.runtimes.graphs import GraphName
from kuaihl.engines.runtimes.runtime import Precision, precision_of
from kuaihl.engines.runtimes.tensorrt_package import Gpu, TensorRtKind, gpu_of, load_tensorrt
from kuaihl.models.errors import ModelError, Remedy, UsageError


@dataclass(frozen=True)
class Machine:
    """The machine that an engine must have been built for."""

    kind: TensorRtKind
    version: str  # of TensorRT: an engine loads only on the version that built it
    gpu: Gpu


def this_machine(kind: TensorRtKind, device: Any = "cuda") -> Machine:
    """This machine with its card. Raises UsageError if `device` is not an NVIDIA GPU or the package is missing."""
    gpu = gpu_of(device)
    if gpu is None:
        there = "there is none here" if str(device).startswith("cuda") else f"the device {device} is none"
        raise UsageError(f"needs an NVIDIA GPU, and {there}; choose engine onnx or torch", setting="engine", value=kind)
    return Machine(kind, load_tensorrt(kind).version, gpu)


def rebuild_remedy(bundle: str, kind: TensorRtKind, precision: Precision, gpu: Gpu | None = None) -> Remedy:
    """The command that builds a bundle's engines; it names `gpu` if the kind can build on any machine."""
    remedy = compile_remedy(bundle, kind, precision)
    if gpu is None or kind != "tensorrt-rtx":
        return remedy
    return replace(remedy, settings={**remedy.settings, "compute_capability": gpu.capability})


def built_engines(folder: Path, graph: GraphName, precision: Precision, kind: TensorRtKind, bundle: str) -> list[Path]:
    """A bundle's engines of a graph in its compiled `folder`, for any machine.

    `precision` is that of the bundle as a whole. Raises NotBuiltError with the command that builds them if there are
    none.
    """
    files = engine_files(folder, graph, precision_of(graph, kind, precision), kind)
    if not files:
        remedy = replace(rebuild_remedy(bundle, kind, precision), words="compile it")
        raise NotBuiltError(f"{folder}: holds no {kind} engine of the {graph} graph", remedy=remedy)
    return files


def fitting_engine(files: Sequence[Path], precision: Precision, machine: Machine, bundle: str) -> Path:
    """The engine of a graph that runs on this machine.

    Raises ModelError if none fits; it names both sides and carries the remedy.
    """
    rebuild = rebuild_remedy(bundle, machine.kind, precision, machine.gpu)
    built = [(file, read_facts(file, rebuild)) for file in files]
    for file, facts in built:
        if (facts.compute_capability, facts.tensorrt) == (machine.gpu.capability, machine.version):
            return file
    # Report the nearest engine: one for the same card, if there is one.
    file, facts = min(built, key=lambda each: each[1].compute_capability != machine.gpu.capability)
    raise ModelError(
        f"{file}: built for {_target_of(facts)} by {facts.kind} {facts.tensorrt}; this machine has {machine.gpu.name} "
        f"(compute capability {machine.gpu.capability}) and {machine.kind} {machine.version}",
        remedy=rebuild,
    )


def _target_of(facts: CompiledFacts) -> str:
    capability = f"compute capability {facts.compute_capability}"
    return f"{facts.gpu} ({capability})" if facts.gpu else capability
