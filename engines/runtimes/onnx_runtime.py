"""ONNX Runtime as an engine: an exported graph's bytes in, a session out, on a CPU or CUDA device."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kuaihl.engines.runtimes.compiled import (
    NotBuiltError,
    bundle_argument,
    compile_remedy,
    compiled_folder,
    onnx_file,
    read_compiled,
)
from kuaihl.engines.runtimes.graphs import GraphName
from kuaihl.engines.runtimes.processor import read_processor
from kuaihl.engines.runtimes.runtime import OpenRuntime, Precision, Runtime, RuntimeKind, Target, precision_of
from kuaihl.models.bundle import Bundle
from kuaihl.models.errors import ModelError, UsageError, reason_of

if TYPE_CHECKING:
    from kuaihl.engines.runtimes.graphs import Graph


# A fused sum and layer norm is slower on a CPU than the two in turn: by 29% for a BERT in int8, 11% in fp32.
_SLOW_ON_CPU = ("SkipLayerNormFusion",)
# Their runs go in parallel, one thread per run, not in turn on all threads; a step has all rooms in one call.
_SIDE_BY_SIDE: tuple[GraphName, ...] = ("vision", "text")


class OnnxRuntime:
    """One exported graph in an ONNX Runtime session. Tensors pass through host memory."""

    kind: RuntimeKind = "onnx"

    def __init__(
        self,
        content: bytes,
        name: str,
        precision: Precision = "fp32",
        *,
        device: str = "cpu",
        threads: int | None = None,
        num_streams: int = 1,
        exact: bool = False,
    ) -> None:
        """`name` is the file's name for messages; each stream gets its share of the `threads`.

        `exact` selects kernels that cannot saturate, whatever the weights: slower, and the same on every processor.
        Raises ModelError if ONNX Runtime cannot run the graph on `device`.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # its errors also come as exceptions
        options.intra_op_num_threads = max(1, (threads or torch.get_num_threads()) // num_streams)
        # A spinning thread may hold the core that the thread it waits for needs: up to 8 ms for a step of 1 ms.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if exact:
            options.add_session_config_entry("session.x64quantprecision", "1")
        try:
            self.session = onnxruntime.InferenceSession(
                content,
                options,
                providers=choose_providers(device),
                disabled_optimizers=list(_SLOW_ON_CPU) if device == "cpu" else None,
                enable_fallback=0,  # it prints on standard output, and tries a CPU that nobody asked for
            )
        except UsageError:
            raise
        except Exception as error:  # ONNX Runtime has one exception per status, and no common base
            raise ModelError(f"{name}: ONNX Runtime cannot run it on {device} ({reason_of(error)})") from error
        self.precision: Precision = precision
        self.num_streams = num_streams
        self.name = name
        self.inputs = [port.name for port in self.session.get_inputs()]

    def run(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        given = {name: tensor.cpu().numpy() for name, tensor in zip(self.inputs, inputs, strict=True)}
        try:
            found = self.session.run(None, given)
        except Exception as error:
            raise ModelError(f"{self.name}: ONNX Runtime failed ({reason_of(error)})") from error
        return tuple(torch.from_numpy(array) for array in found)


def choose_providers(device: str) -> list[str | tuple[str, dict[str, str]]]:
    """ONNX Runtime's name for a device. Raises UsageError if its build lacks it."""
    import onnxruntime

    kind, _, index = device.partition(":")
    if kind == "cpu":
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise UsageError(
            "this ONNX Runtime is built for CPUs; choose engine torch, or see docs/engines.md",
            setting="device",
            value=device,
        )
    return [("CUDAExecutionProvider", {"device_id": index or "0"}), "CPUExecutionProvider"]


def open_onnx(
    bundle: Bundle,
    precision: Precision = "fp32",
    *,
    device: str = "cpu",
    threads: int | None = None,
    target: Target = "portable",
) -> OpenRuntime:
    """The opener of a bundle's exported graphs; those in int8 are the ones exported for `target`.

    It raises ModelError if a graph is missing, damaged, of other weights, or built for another kind of processor.
    """

    def open_runtime(graph: GraphName, source: str, build: "Callable[[], Graph]") -> Runtime:
        own = precision_of(graph, "onnx", precision)
        file = onnx_file(compiled_folder(bundle), graph, own, target)
        rebuild = compile_remedy(bundle_argument(bundle), "onnx", precision, target)
        if not file.is_file():
            raise NotBuiltError(f"{file}: not exported yet", remedy=replace(rebuild, words="compile it"))
        content, facts = read_compiled(file, source, rebuild)
        if facts.graph != graph or facts.precision != own:
            raise ModelError(f"{file}: its facts say {facts.graph} in {facts.precision}", remedy=rebuild)
        if own == "int8" and facts.target == "vnni" and device == "cpu" and not read_processor().vnni:
            portable = compile_remedy(bundle_argument(bundle), "onnx", precision, words="compile it without VNNI")
            raise ModelError(
                f"{file}: made for processors with VNNI, and {read_processor().name} lacks it", remedy=portable
            )
        beside = device == "cpu" and graph in _SIDE_BY_SIDE
        num_streams = (threads or torch.get_num_threads()) if beside else 1
        return OnnxRuntime(content, str(file), own, device=device, threads=threads, num_streams=num_streams)

    return open_runtime
