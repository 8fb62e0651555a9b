"""Which of a bundle's TensorRT engines runs on this machine, and if none does, why and what mends it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kuaihl.engines.compiled import CompiledFacts, engine_files, read_facts
from kuaihl.engines.engine import GraphName, Precision, precision_of
from kuaihl.engines.tensorrt_package import Gpu, TensorRtKind, gpu_of, load_tensorrt
from kuaihl.models.errors import KuaihlError, ModelError, UsageError


@dataclass(frozen=True)
class Machine:
    """What an engine must have been built for."""

    kind: TensorRtKind
    version: str  # of TensorRT: an engine loads on the very version that built it
    gpu: Gpu


@dataclass(frozen=True)
class Unfit:
    """Why a bundle cannot run on TensorRT here, in one line."""

    reason: str
    built: bool  # engines are there and do not fit, which is worth telling; else nobody ever built one


def this_machine(kind: TensorRtKind, device: Any = "cuda") -> Machine:
    """Raises UsageError where `device` is no NVIDIA GPU, or the package is missing."""
    gpu = gpu_of(device)
    if gpu is None:
        there = "there is none here" if str(device).startswith("cuda") else f"--device {device} is none"
        raise UsageError(f"--engine {kind}: needs an NVIDIA GPU, and {there}; give --engine onnx or torch")
    return Machine(kind, load_tensorrt(kind).version, gpu)


def rebuild_command(bundle: Path, kind: TensorRtKind, precision: Precision, gpu: Gpu | None = None) -> str:
    """What builds the engines of a bundle for `gpu`, on any machine where the kind allows that."""
    command = f"kuaihl export {bundle} --to {kind} --precision {precision}"
    return f"{command} --compute-capability {gpu.capability}" if gpu and kind == "tensorrt-rtx" else command


def fitting_engine(bundle: Path, graph: GraphName, precision: Precision, machine: Machine) -> Path:
    """The engine of a graph for this machine; `precision` is that of the bundle as a whole.

    Raises ModelError that names both sides and the command that rebuilds, where none is there or none fits.
    """
    rebuild = rebuild_command(bundle, machine.kind, precision, machine.gpu)
    files = engine_files(bundle, graph, precision_of(graph, machine.kind, precision), machine.kind)
    if not files:
        raise ModelError(f"{bundle}: holds no {machine.kind} engine of its {graph} graph; build it: {rebuild}")
    built = [(file, read_facts(file)) for file in files]
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


def tensorrt_problem(
    bundle: Path,
    kind: TensorRtKind,
    precision: Precision,
    graphs: Sequence[GraphName],
    sources: Mapping[GraphName, str],
    device: Any = "cuda",
) -> Unfit | None:
    """Why TensorRT cannot run `graphs` of a bundle here; None where it can, as far as the facts beside engines tell.

    `sources` has the SHA-256 of each graph's weights. What is missing or damaged is not raised: it is the answer.
    """
    if not any(engine_files(bundle, graph, precision_of(graph, kind, precision), kind) for graph in graphs):
        return Unfit(f"{bundle}: holds no {kind} engines in {precision}", built=False)
    try:
        machine = this_machine(kind, device)
        for graph in graphs:
            file = fitting_engine(bundle, graph, precision, machine)
            if read_facts(file).source_sha256 != sources[graph]:
                rebuild = rebuild_command(bundle, kind, precision, machine.gpu)
                return Unfit(f"{file}: made from other weights than the bundle's; rebuild: {rebuild}", built=True)
    except KuaihlError as error:
        return Unfit(str(error), built=True)
    return None
