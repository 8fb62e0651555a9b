"""Engines side by side: the time of each graph by batch size, and the distance of the scores from torch's."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kuaihl.engines.encoders.profiles import check_text_width, load_encoders, profile_named
from kuaihl.engines.export.calibration import SampleSegment, recorded_sample, score_sample, written_sample
from kuaihl.engines.export.onnx_export import random_inputs
from kuaihl.engines.runtimes.choice import make_opener
from kuaihl.engines.runtimes.compiled import NotBuiltError
from kuaihl.engines.runtimes.graphs import SCORING_GRAPHS, Graph, GraphName
from kuaihl.engines.runtimes.parallel import even_size, run_each
from kuaihl.engines.runtimes.runtime import PRECISIONS, TARGETS, Precision, Runtime, RuntimeKind, Target, runtime_label
from kuaihl.engines.scoring.scorer import open_step
from kuaihl.engines.speech.load import load_transcriber
from kuaihl.models.bundle import Bundle
from kuaihl.models.errors import KuaihlError
from kuaihl.models.evaluation.rank_correlation import kendall_tau_b

if TYPE_CHECKING:
    from kuaihl.engines.encoders.profiles import Encoders

BATCHES: dict[GraphName, tuple[int, ...]] = {"step": (1, 16, 256), "vision": (3, 24), "text": (1, 8)}
_BATCH_SIZE: dict[GraphName, str] = {"step": "rooms", "vision": "frames", "text": "texts"}
_TEXT_LENGTH = 128  # tokens of each timed text
_WARM_UP = 3
_ON_CPU: Mapping[RuntimeKind, tuple[Precision, ...]] = {"torch": ("fp32",), "onnx": ("fp32", "fp16", "int8")}
_ON_CUDA: Mapping[RuntimeKind, tuple[Precision, ...]] = {
    "torch": ("fp32", "fp16", "bf16"),
    "tensorrt": PRECISIONS,
    "tensorrt-rtx": PRECISIONS,
}


@dataclass(frozen=True)
class Contender:
    """An engine in one precision with a bundle's graphs loaded."""

    kind: RuntimeKind
    precision: Precision
    target: Target
    encoders: "Encoders"
    runtimes: dict[GraphName, Runtime]

    def calls(self, graph: GraphName, inputs: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
        """A batch as scoring runs it: as many frames and texts at once as this engine is fastest with."""
        whole = len(inputs[0])
        most = {"vision": self.encoders.vision.at_once, "text": self.encoders.text.at_once}.get(graph, whole)
        size = even_size(whole, most, self.runtimes[graph].num_streams)
        return [tuple(tensor[first : first + size] for tensor in inputs) for first in range(0, whole, size)]


@dataclass(frozen=True)
class Timing:
    """The speed of one graph in one engine; milliseconds per batch, items (rooms, frames, texts) per second."""

    kind: RuntimeKind
    asked: Precision  # of the engine as a whole
    target: Target  # for int8 in ONNX Runtime
    precision: Precision  # of this graph
    graph: GraphName
    batch: int
    p50: float
    p99: float
    throughput: float


@dataclass(frozen=True)
class Parity:
    """An engine's scores of a sample beside those of torch in fp32."""

    kind: RuntimeKind
    asked: Precision
    target: Target
    segments: int
    max_abs_difference: float
    tau: float  # Kendall's tau-b between the two sequences


def open_contenders(
    bundle: Bundle,
    *,
    device: str,
    threads: int | None,
    on_message: Callable[[KuaihlError], None],
    text_weights: str | None = None,
) -> tuple[list[Contender], dict[GraphName, Graph]]:
    """Every engine and precision that this machine and the bundle have, torch in fp32 first, and the graphs.

    `on_message` receives an error for each that exists but cannot run.
    """
    graphs: dict[GraphName, Graph] = {}
    found = []
    for kind, precisions in (_ON_CPU if device == "cpu" else _ON_CUDA).items():
        for precision in precisions:
            for target in _targets_of(kind, precision):
                try:
                    found.append(load(kind, precision, target, bundle, device, threads, graphs, text_weights))
                except NotBuiltError:
                    continue
                except KuaihlError as error:
                    if kind == "torch":
                        raise
                    on_message(error.within(runtime_label(kind, precision, target)))
    return found, graphs


def _targets_of(kind: RuntimeKind, precision: Precision) -> tuple[Target, ...]:
    """The processors that a kind of engine may have been exported for in a precision."""
    return TARGETS if (kind, precision) == ("onnx", "int8") else ("portable",)


def load(
    kind: RuntimeKind,
    precision: Precision,
    target: Target,
    bundle: Bundle,
    device: str,
    threads: int | None,
    graphs: dict[GraphName, Graph],
    text_weights: str | None = None,
) -> Contender:
    """One contender; graphs that torch builds are added to `graphs`."""
    open_runtime = make_opener(kind, precision, bundle, device, threads, target=target)
    engines: dict[GraphName, Runtime] = {}

    def keep(graph: GraphName, source: str, build: Callable[[], Graph]) -> Runtime:
        def note_graph() -> Graph:
            graphs[graph] = build()
            return graphs[graph]

        engines[graph] = open_runtime(graph, source, note_graph)
        return engines[graph]

    profile = profile_named(bundle.profile)
    encoders = load_encoders(
        profile, device=device, threads=threads, asr="none", text_weights=text_weights, open_runtime=keep
    )
    check_text_width(bundle, encoders.text)
    open_step(bundle, keep)
    return Contender(kind, precision, target, encoders, engines)


def measure_timings(
    found: Sequence[Contender], graphs: dict[GraphName, Graph], *, seconds: float, device: str
) -> Iterator[Timing]:
    """Time every graph at every batch size, `seconds` each; engines take turns, so that load affects all alike."""
    for name in SCORING_GRAPHS:
        for batch in BATCHES[name]:
            sizes = {_BATCH_SIZE[name]: batch, "length": _TEXT_LENGTH}
            inputs = tuple(tensor.to(device) for tensor in random_inputs(graphs[name], sizes, seed=0))
            runs = [(each.runtimes[name], each.calls(name, inputs)) for each in found]
            taken = _time_in_turns(runs, seconds, device)
            for each, spent in zip(found, taken, strict=True):
                p50 = statistics.median(spent)
                p99 = statistics.quantiles(spent, n=100)[98] if len(spent) > 1 else p50
                own = each.runtimes[name].precision
                yield Timing(
                    each.kind, each.precision, each.target, own, name, batch, p50 * 1e3, p99 * 1e3, batch / p50
                )


Run = tuple[Runtime, list[tuple[Tensor, ...]]]  # the calls that make up a batch


def _time_in_turns(runs: Sequence[Run], seconds: float, device: str) -> list[list[float]]:
    """Seconds per batch for every engine; each runs a few batches in turn until its time is up."""
    taken: list[list[float]] = [[] for _ in runs]
    for run in runs:
        for _ in range(_WARM_UP):
            _time_once(run, device)
    while any(sum(spent) < seconds for spent in taken):
        for run, spent in zip(runs, taken, strict=True):
            for _ in range(5):
                if sum(spent) < seconds:
                    spent.append(_time_once(run, device))
    return taken


def _time_once(run: Run, device: str) -> float:
    began = time.perf_counter()
    for _ in run_each(*run):
        pass
    if device != "cpu":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def real_sample(
    source: str | None, bundle: Bundle, *, segment_seconds: float | None, threads: int
) -> list[SampleSegment]:
    """Segments of a recording with their words, by default as long as the bundle's; without a source, drawn scenes."""
    if source is None:
        return written_sample()
    whisper = profile_named(bundle.profile).whisper
    transcriber = load_transcriber("auto", model=whisper, device="cpu", threads=threads)
    return recorded_sample(source, transcriber, segment_seconds or bundle.segment_seconds)


def compare_scores(found: Sequence[Contender], bundle: Bundle, sample: Sequence[SampleSegment]) -> list[Parity]:
    """Every contender's scores of the sample, compared with those of the first: torch in fp32."""
    scored = [score_sample(sample, bundle, each.encoders, each.runtimes["step"]) for each in found]
    return [
        Parity(
            each.kind,
            each.precision,
            each.target,
            len(scores),
            max(abs(ours - theirs) for ours, theirs in zip(scores, scored[0], strict=True)),
            float(kendall_tau_b(torch.tensor(scores).numpy(), torch.tensor(scored[0]).numpy())),
        )
        for each, scores in zip(found, scored, strict=True)
    ]
