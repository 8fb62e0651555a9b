"""A bundle's graphs, compiled: torch networks in, ONNX files and TensorRT engines beside the bundle out.

Every graph is exported, checked, and compared with torch on real input. A sample is scored once in torch, and each
graph is then compared on the tensors that passed through it.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from kuaihl.engines.encoders.profiles import check_text_width, load_encoders, profile_named
from kuaihl.engines.export.calibration import (
    CALIBRATION_SECONDS,
    recorded_sample,
    score_sample,
    written_sample,
    written_words,
)
from kuaihl.engines.export.onnx_export import Inputs, export_onnx, measure_parity
from kuaihl.engines.export.quantize import quantize
from kuaihl.engines.runtimes.compiled import (
    ENGINES_FOLDER,
    CompiledFacts,
    compiled_folder,
    onnx_file,
    read_facts,
    write_compiled,
)
from kuaihl.engines.runtimes.graphs import GRAPH_NAMES, Graph, GraphName, Step, window_graph
from kuaihl.engines.runtimes.runtime import Precision, Runtime, RuntimeKind, Target, precision_of
from kuaihl.engines.runtimes.torch_runtime import TorchRuntime
from kuaihl.engines.scoring.scorer import open_step
from kuaihl.models.bundle import Bundle
from kuaihl.models.errors import UsageError

if TYPE_CHECKING:
    import onnx

    from kuaihl.engines.runtimes.tensorrt_package import TensorRtKind

_WORDS = 48  # additional written texts, besides those of recordings
_MOST_COMPARED = 8  # the latest real runs, whose windows are full
_MADE_WITH = ("kuaihl", "torch", "onnx", "onnxscript", "onnxruntime")


@dataclass
class _Recorded:
    """A torch engine that records its inputs."""

    runtime: TorchRuntime
    kind: RuntimeKind = "torch"
    precision: Precision = "fp32"
    num_streams: int = 1
    runs: list[Inputs] = field(default_factory=list)

    def run(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        self.runs.append(tuple(tensor.clone() for tensor in inputs))
        return self.runtime.run(*inputs)


@dataclass(frozen=True)
class _ExportableGraph:
    """A graph, the SHA-256 of its weights, and inputs of real runs."""

    graph: Graph
    source: str
    real: Sequence[Inputs]


def _exportable_graphs(
    bundle: Bundle, samples: Sequence[str], *, threads: int | None = None, text_weights: str | None = None
) -> dict[GraphName, _ExportableGraph]:
    """All graphs of a bundle with their inputs from the `samples`: recordings, or written scenes if none are given.

    `text_weights` are for a bundle that was not trained on its profile's own. Raises SourceError for a sample,
    ModelError for weights, UsageError for a missing package.
    """
    found: dict[GraphName, tuple[Graph, str, _Recorded]] = {}

    def keep(graph: GraphName, source: str, build: Callable[[], Graph]) -> Runtime:
        built = build()
        found[graph] = (built, source, _Recorded(TorchRuntime(built)))
        return found[graph][2]

    encoders = load_encoders(
        profile_named(bundle.profile),
        device="cpu",
        threads=threads,
        asr="auto" if samples else "none",
        text_weights=text_weights,
        open_runtime=keep,
    )
    check_text_width(bundle, encoders.text)
    step = open_step(bundle, keep)
    shown = [part for source in samples for part in recorded_sample(source, encoders.transcriber, CALIBRATION_SECONDS)]
    score_sample(shown or written_sample(), bundle, encoders, step)
    if shown:  # some recordings contain few words
        encoders.text.encode(*map(list, zip(*written_words(_WORDS), strict=True)))
    graphs = {name: _ExportableGraph(graph, source, run.runs) for name, (graph, source, run) in found.items()}
    window = window_graph(cast(Step, graphs["step"].graph.module).network)
    return graphs | {
        "window": _ExportableGraph(window, bundle.head_sha256, _collect_windows(graphs["step"], bundle.dims.window))
    }


def _collect_windows(step: _ExportableGraph, length: int) -> list[Inputs]:
    """The look-back window at the end of a stream, from its steps' inputs, padded at the front if short."""
    place = step.graph.input_names.index
    read = [name for name in ("visual", "text", "signals") if name in step.graph.input_names]
    parts = [torch.cat([run[place(name)] for run in step.real[-length:]]) for name in read]
    missing = length - len(parts[0])
    padded = [torch.cat([part.new_zeros(missing, *part.shape[1:]), part]).unsqueeze(0) for part in parts]
    # The linear model has no streamer input.
    who = step.real[-1][place("streamer")] if "streamer" in step.graph.input_names else torch.zeros(1, dtype=torch.long)
    return [(*padded, who, (torch.arange(length) >= missing).unsqueeze(0))]


def export_graphs(
    bundle: Bundle,
    kind: RuntimeKind,
    precision: Precision,
    wanted: Sequence[GraphName],
    *,
    target: Target = "portable",
    samples: Sequence[str] = (),
    capabilities: Sequence[str] = (),
    threads: int | None = None,
    text_weights: str | None = None,
) -> Iterator[tuple[Path, CompiledFacts]]:
    """Write `wanted` graphs for a kind of engine into the bundle's compiled folder; yields each when it is written.

    `target` names the processors on which ONNX Runtime is to run int8. `capabilities` are the cards that TensorRT for
    RTX compiles for, by default this machine's own.
    Raises as `_exportable_graphs`, and ModelError if a graph does not match torch.
    """
    if kind in ("tensorrt", "tensorrt-rtx"):
        yield from _export_to_tensorrt(bundle, kind, precision, wanted, samples, capabilities, threads, text_weights)
        return
    folder = compiled_folder(bundle)
    graphs = _exportable_graphs(bundle, samples, threads=threads, text_weights=text_weights)
    for name in wanted:
        own = precision_of(name, kind, precision)
        yield _write_graph(onnx_file(folder, name, own, target), *_export_graph(graphs[name], own, target=target))


def _export_to_tensorrt(
    bundle: Bundle,
    kind: "TensorRtKind",
    precision: Precision,
    wanted: Sequence[GraphName],
    samples: Sequence[str],
    capabilities: Sequence[str],
    threads: int | None,
    text_weights: str | None,
) -> Iterator[tuple[Path, CompiledFacts]]:
    """ONNX first, then an engine of every graph for every card. Raises at once if the last step would fail."""
    from kuaihl.engines.export.tensorrt_build import cards_to_build_for, compile_graph

    cards = cards_to_build_for(kind, capabilities)
    folder = compiled_folder(bundle)
    graphs = _exportable_graphs(bundle, samples, threads=threads, text_weights=text_weights)
    for name in wanted:
        own = precision_of(name, kind, precision)
        # TensorRT's int8 input is slow on a CPU, so it does not replace ONNX Runtime's own file.
        place = folder / ENGINES_FOLDER / f"{name}-int8.onnx" if own == "int8" else onnx_file(folder, name, own)
        file, facts = _write_graph(place, *_export_graph(graphs[name], own, symmetric=True))
        yield file, facts
        for card in cards:
            engine = compile_graph(folder, graphs[name].graph, file, kind, own, card)
            yield engine, read_facts(engine)


def _export_graph(
    exportable: _ExportableGraph, precision: Precision, *, target: Target = "portable", symmetric: bool = False
) -> "tuple[onnx.ModelProto, CompiledFacts]":
    """One graph in one precision, checked and compared. `target` and `symmetric` as in `quantise`."""
    graph = exportable.graph
    model = export_onnx(graph, "fp32" if precision == "int8" else precision)
    if precision == "int8":
        model = quantize(model, exportable.real, target=target, symmetric=symmetric)
    return model, CompiledFacts(
        graph=graph.name,
        kind="onnx",
        precision=precision,
        sha256="",
        source_sha256=exportable.source,
        made_with={name: version(name) for name in _MADE_WITH},
        inputs=graph.input_names,
        outputs=graph.outputs,
        sizes={name: (sizes.least, sizes.usual, sizes.most) for name, sizes in graph.ranges.items()},
        target=target if precision == "int8" else "portable",
        parity=measure_parity(graph, model, precision, exportable.real[-_MOST_COMPARED:]),
    )


def _write_graph(file: Path, model: "onnx.ModelProto", facts: CompiledFacts) -> tuple[Path, CompiledFacts]:
    """Write an exported graph with its facts."""
    content = model.SerializeToString()
    facts = replace(facts, sha256=hashlib.sha256(content).hexdigest())
    write_compiled(file, content, facts)
    return file, facts


def wanted_graphs(names: Sequence[str]) -> tuple[GraphName, ...]:
    """Graphs by their names, all of them if none is named. Raises UsageError for an unknown name."""
    for name in names:
        if name not in GRAPH_NAMES:
            raise UsageError(f"there are {', '.join(GRAPH_NAMES)}", setting="graphs", value=name)
    return tuple(name for name in GRAPH_NAMES if not names or name in names)
