"""A bundle's graphs, compiled: torch networks in, ONNX files and TensorRT engines beside the bundle out.

Every graph is exported, checked, and compared with torch on what a sample of real input makes of it; the sample is
scored once in torch, and each graph is then compared on the very tensors that went through it.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kuaihl.engines.compiled import CompiledFacts, onnx_file, write_compiled
from kuaihl.engines.engine import GRAPH_NAMES, Engine, EngineKind, GraphName, Precision, precision_of
from kuaihl.engines.graphs import Graph, window_graph
from kuaihl.engines.onnx_export import Inputs, export_onnx, parity
from kuaihl.engines.profiles import load_encoders, profile_named
from kuaihl.engines.quantise import quantise
from kuaihl.engines.sample import recorded_sample, score_sample, written_sample
from kuaihl.engines.scorer import open_step
from kuaihl.engines.torch_engine import TorchEngine
from kuaihl.models.bundle import Bundle
from kuaihl.models.errors import UsageError

if TYPE_CHECKING:
    import onnx

MADE_WITH = ("kuaihl", "torch", "onnx", "onnxscript", "onnxruntime")


@dataclass
class Recorded:
    """A torch engine that keeps what went through it."""

    engine: TorchEngine
    kind: EngineKind = "torch"
    precision: Precision = "fp32"
    runs: list[Inputs] = field(default_factory=list)

    def run(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        self.runs.append(tuple(tensor.clone() for tensor in inputs))
        return self.engine.run(*inputs)


@dataclass(frozen=True)
class ExportableGraph:
    """A graph, the SHA-256 of its weights, and inputs of real runs."""

    graph: Graph
    source: str
    real: Sequence[Inputs]


def exportable_graphs(bundle: Bundle, sample: str | None, *, threads: int | None = None) -> dict[GraphName, ExportableGraph]:
    """All graphs of a bundle with what the `sample` recording makes of each; written scenes where there is none.

    Raises SourceError for the sample, ModelError for weights, UsageError for a package that is not here.
    """
    found: dict[GraphName, tuple[Graph, str, Recorded]] = {}

    def keep(name: GraphName, source: str, build: Callable[[], Graph]) -> Engine:
        graph = build()
        found[name] = (graph, source, Recorded(TorchEngine(graph)))
        return found[name][2]

    encoders = load_encoders(
        profile_named(bundle.profile),
        device="cpu",
        threads=threads,
        asr="auto" if sample is not None else "none",
        open_engine=keep,
    )
    step = open_step(bundle, keep)
    score_sample(recorded_sample(sample, encoders) if sample is not None else written_sample(), bundle, encoders, step)
    graphs = {name: ExportableGraph(graph, source, run.runs) for name, (graph, source, run) in found.items()}
    window = window_graph(bundle.streaming_network())
    return graphs | {"window": ExportableGraph(window, bundle.head_sha256, windows(graphs["step"].real, bundle.dims.window))}


def windows(steps: Sequence[Inputs], length: int) -> list[Inputs]:
    """The look-back window at the end of a stream, out of its steps' inputs; what is missing in front is padding."""
    visual, text = (torch.cat([inputs[part] for inputs in steps[-length:]]) for part in (0, 1))
    missing = length - len(visual)
    padded = [torch.cat([part.new_zeros(missing, *part.shape[1:]), part]).unsqueeze(0) for part in (visual, text)]
    return [(*padded, steps[-1][4], (torch.arange(length) >= missing).unsqueeze(0))]


def export_to_onnx(
    bundle: Bundle, graphs: dict[GraphName, ExportableGraph], precision: Precision, folder: Path, wanted: Sequence[GraphName]
) -> Iterator[tuple[Path, CompiledFacts]]:
    """Write `wanted` graphs for ONNX Runtime into the bundle at `folder`; yields each as it is there."""
    for name in wanted:
        own = precision_of(name, "onnx", precision)
        model, facts = exported(graphs[name], own)
        yield written(onnx_file(folder, name, own), model, facts)


def exported(
    exportable: ExportableGraph, precision: Precision, *, symmetric: bool = False
) -> "tuple[onnx.ModelProto, CompiledFacts]":
    """One graph in a precision, checked and compared. `symmetric` as in `quantise`."""
    graph = exportable.graph
    model = export_onnx(graph, "fp32" if precision == "int8" else precision)
    if precision == "int8":
        model = quantise(model, exportable.real, symmetric=symmetric)
    return model, CompiledFacts(
        graph=graph.name,
        kind="onnx",
        precision=precision,
        sha256="",
        source_sha256=exportable.source,
        made_with={name: version(name) for name in MADE_WITH},
        sizes={name: (sizes.least, sizes.usual, sizes.most) for name, sizes in graph.ranges.items()},
        parity=parity(graph, model, precision, exportable.real),
    )


def written(file: Path, model: "onnx.ModelProto", facts: CompiledFacts) -> tuple[Path, CompiledFacts]:
    from dataclasses import replace

    content = model.SerializeToString()
    facts = replace(facts, sha256=hashlib.sha256(content).hexdigest())
    write_compiled(file, content, facts)
    return file, facts


def wanted_graphs(names: Sequence[str]) -> tuple[GraphName, ...]:
    """Graphs by their names, all of them where none is named. Raises UsageError for a name that is none."""
    for name in names:
        if name not in GRAPH_NAMES:
            raise UsageError(f"--graphs {name}: there are {', '.join(GRAPH_NAMES)}")
    return tuple(name for name in GRAPH_NAMES if not names or name in names)
