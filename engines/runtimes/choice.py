"""Which engine runs a bundle: the one that was asked for, or the best that this machine and the bundle have.

`auto` takes TensorRT before torch on a GPU and ONNX Runtime before torch on a CPU, graph by graph: what was never
compiled is passed over in silence, what was compiled and does not fit is told and passed over.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kuaihl.engines.runtimes.compiled import NotBuiltError, bundle_argument, compiled_folder
from kuaihl.engines.runtimes.graphs import GraphName
from kuaihl.engines.runtimes.runtime import (
    ENGINE_KINDS,
    PRECISIONS,
    Engine,
    EngineKind,
    OpenEngine,
    Precision,
    Target,
    engine_label,
    kind_named,
)
from kuaihl.models.errors import KuaihlError, ModelError, UsageError

if TYPE_CHECKING:
    from kuaihl.engines.runtimes.graphs import Graph
    from kuaihl.models.bundle import Bundle

AUTO = "auto"
Say = Callable[[KuaihlError], None]


def choose_engine(
    engine: str, precision: str, bundle: "Bundle", *, device: str, threads: int | None, say: Say
) -> OpenEngine:
    """What opens a bundle's graphs on `device` (cpu, cuda or cuda:N) as the user asked; `say` hears why of a fallback.

    Raises UsageError for names that are none. What it returns raises ModelError or UsageError where a graph cannot run.
    """
    if engine not in (AUTO, *ENGINE_KINDS):
        raise UsageError(f"give {AUTO} or one of {', '.join(ENGINE_KINDS)}", setting="engine", value=engine)
    if precision not in (AUTO, *PRECISIONS):
        raise UsageError(f"give {AUTO} or one of {', '.join(PRECISIONS)}", setting="precision", value=precision)
    if engine != AUTO:
        return first_of(candidates(kind_named(engine), precision, bundle, device, threads), say)
    kinds: Sequence[EngineKind] = ("onnx", "torch") if device == "cpu" else ("tensorrt", "tensorrt-rtx", "torch")
    if precision == "int8":
        kinds = [kind for kind in kinds if kind != "torch"]  # which has no int8
    return first_of([each for kind in kinds for each in candidates(kind, precision, bundle, device, threads)], say)


def candidates(
    kind: EngineKind, precision: str, bundle: "Bundle", device: str, threads: int | None
) -> list[tuple[str, OpenEngine]]:
    """One kind of engine in every precision that will do, the preferred one first, with its name for people."""
    wanted = [each for each in PRECISIONS if precision in (AUTO, each)]
    if precision == AUTO:  # the same scores on a CPU; on a GPU, half precision where it was compiled
        wanted = ["fp16", "fp32"] if kind in ("tensorrt", "tensorrt-rtx") else ["fp32"]
    found = [(engine_label(kind, each), opener(kind, each, bundle, device, threads)) for each in wanted]
    if kind == "onnx" and "int8" in wanted:  # quicker where it runs, so it comes first
        found.insert(
            0, (engine_label(kind, "int8", "vnni"), opener(kind, "int8", bundle, device, threads, target="vnni"))
        )
    return found


def opener(
    kind: EngineKind,
    precision: Precision,
    bundle: "Bundle",
    device: str,
    threads: int | None,
    *,
    target: Target = "portable",
) -> OpenEngine:
    """One kind of engine in one precision."""
    if kind == "torch":
        from kuaihl.engines.runtimes.torch_runtime import open_torch

        return open_torch(device, precision)
    if kind == "onnx":
        from kuaihl.engines.runtimes.onnx_runtime import open_onnx

        return open_onnx(bundle, precision, device=device, threads=threads, target=target)
    from kuaihl.engines.runtimes.tensorrt_runtime import open_tensorrt

    return open_tensorrt(compiled_folder(bundle), kind, precision, device, bundle=bundle_argument(bundle))


def first_of(openers: Sequence[tuple[str, OpenEngine]], say: Say) -> OpenEngine:
    """Opens each graph in the first engine that can run it, and says why where an earlier one should have.

    If none can, what was made and does not fit is the error, rather than what was never made.
    """

    def open_engine(graph: GraphName, source: str, build: "Callable[[], Graph]") -> Engine:
        refused: list[tuple[str, ModelError | UsageError]] = []
        missing: NotBuiltError | None = None
        for name, attempt in openers:
            try:
                opened = attempt(graph, source, build)
            except NotBuiltError as error:
                missing = error
            except (ModelError, UsageError) as error:
                refused.append((name, error))
            else:
                for other, reason in refused:
                    say(reason.within(f"{other} cannot run {graph}, {name} does"))
                return opened
        if refused:
            raise refused[-1][1]
        assert missing is not None
        raise missing

    return open_engine
