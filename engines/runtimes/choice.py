"""Choosing the engine that runs a bundle: the one asked for, or the best that this machine and the bundle have.

`auto` prefers TensorRT to torch on a GPU and ONNX Runtime to torch on a CPU, graph by graph. It silently skips
engines that were never compiled, and reports those that were compiled but do not fit.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kuaihl.engines.runtimes.compiled import NotBuiltError, bundle_argument, compiled_folder
from kuaihl.engines.runtimes.graphs import GraphName
from kuaihl.engines.runtimes.runtime import (
    PRECISIONS,
    RUNTIME_KINDS,
    OpenRuntime,
    Precision,
    Runtime,
    RuntimeKind,
    Target,
    kind_named,
    runtime_label,
)
from kuaihl.models.errors import KuaihlError, ModelError, UsageError

if TYPE_CHECKING:
    from kuaihl.engines.runtimes.graphs import Graph
    from kuaihl.models.bundle import Bundle

_AUTO = "auto"
OnMessage = Callable[[KuaihlError], None]


def choose_runtime(
    engine: str, precision: str, bundle: "Bundle", *, device: str, threads: int | None, on_message: OnMessage
) -> OpenRuntime:
    """The opener of a bundle's graphs on `device` (cpu, cuda or cuda:N), as the user asked.

    `on_message` receives the reason for each fallback. Raises UsageError for an unknown engine or precision. The opener
    raises ModelError or UsageError if a graph cannot run.
    """
    if engine not in (_AUTO, *RUNTIME_KINDS):
        raise UsageError(f"give {_AUTO} or one of {', '.join(RUNTIME_KINDS)}", setting="engine", value=engine)
    if precision not in (_AUTO, *PRECISIONS):
        raise UsageError(f"give {_AUTO} or one of {', '.join(PRECISIONS)}", setting="precision", value=precision)
    if engine != _AUTO:
        return _open_first(_list_candidates(kind_named(engine), precision, bundle, device, threads), on_message)
    kinds: Sequence[RuntimeKind] = ("onnx", "torch") if device == "cpu" else ("tensorrt", "tensorrt-rtx", "torch")
    if precision == "int8":
        kinds = [kind for kind in kinds if kind != "torch"]  # torch has no int8
    return _open_first(
        [each for kind in kinds for each in _list_candidates(kind, precision, bundle, device, threads)], on_message
    )


def _list_candidates(
    kind: RuntimeKind, precision: str, bundle: "Bundle", device: str, threads: int | None
) -> list[tuple[str, OpenRuntime]]:
    """One kind of engine in every acceptable precision, the preferred one first, with its display name."""
    wanted = [each for each in PRECISIONS if precision in (_AUTO, each)]
    if precision == _AUTO:  # the same scores on a CPU; on a GPU, half precision if it was compiled
        wanted = ["fp16", "fp32"] if kind in ("tensorrt", "tensorrt-rtx") else ["fp32"]
    found = [(runtime_label(kind, each), make_opener(kind, each, bundle, device, threads)) for each in wanted]
    if kind == "onnx" and "int8" in wanted:  # faster if it runs, so it comes first
        found.insert(
            0, (runtime_label(kind, "int8", "vnni"), make_opener(kind, "int8", bundle, device, threads, target="vnni"))
        )
    return found


def make_opener(
    kind: RuntimeKind,
    precision: Precision,
    bundle: "Bundle",
    device: str,
    threads: int | None,
    *,
    target: Target = "portable",
) -> OpenRuntime:
    """The opener for one kind of engine in one precision."""
    if kind == "torch":
        from kuaihl.engines.runtimes.torch_runtime import open_torch

        return open_torch(device, precision)
    if kind == "onnx":
        from kuaihl.engines.runtimes.onnx_runtime import open_onnx

        return open_onnx(bundle, precision, device=device, threads=threads, target=target)
    from kuaihl.engines.runtimes.tensorrt_runtime import open_tensorrt

    return open_tensorrt(compiled_folder(bundle), kind, precision, device, bundle=bundle_argument(bundle))


def _open_first(openers: Sequence[tuple[str, OpenRuntime]], on_message: OnMessage) -> OpenRuntime:
    """An opener that takes the first engine able to run each graph, and reports why earlier ones could not.

    If no engine can, the error is about one that was built and does not fit, rather than one that was never built.
    """

    def open_runtime(graph: GraphName, source: str, build: "Callable[[], Graph]") -> Runtime:
        refused: dict[str, ModelError | UsageError] = {}
        missing: NotBuiltError | None = None
        try:
            for name, attempt in openers:
                try:
                    opened = attempt(graph, source, build)
                except NotBuiltError as error:
                    missing = error
                except (ModelError, UsageError) as error:
                    refused[name] = error
                else:
                    for other in refused:
                        on_message(refused[other].within(f"{other} cannot run {graph}, {name} does"))
                    return opened
            if refused:
                raise refused.popitem()[1]
            assert missing is not None
            raise missing
        finally:
            del refused, missing  # or they and this frame would keep each other alive

    return open_runtime
