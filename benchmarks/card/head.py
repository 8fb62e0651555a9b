"""The head's streaming step for many rooms per call: eager, compiled, as a CUDA graph, and in the other engines."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from card.measure import (
    Ceilings,
    Row,
    Setting,
    Work,
    bytes_of,
    capture,
    count_operations,
    floor_of,
    release,
    skipped,
    time_call,
)
from kuaihl.engines.export.onnx_export import export_onnx, random_inputs
from kuaihl.engines.export.tensorrt_build import compile_graph
from kuaihl.engines.runtimes.compiled import CompiledFacts, onnx_file, write_compiled
from kuaihl.engines.runtimes.graphs import step_graph
from kuaihl.engines.runtimes.onnx_runtime import OnnxRuntime
from kuaihl.engines.runtimes.tensorrt_package import load_tensorrt
from kuaihl.engines.runtimes.tensorrt_runtime import open_tensorrt
from kuaihl.models.dims import EDGE_DIMS, PAPER_DIMS, NetworkDims
from kuaihl.models.network.kuaihl import KuaiHL
from kuaihl.models.network.stream_state import StreamState
from kuaihl.models.signals import SIGNALS_WIDTH

AS_SHIPPED = replace(EDGE_DIMS, signals=SIGNALS_WIDTH, interest=True)
SMALL = NetworkDims(
    visual_width=10,
    text_width=6,
    patches=3,
    width=16,
    heads=2,
    layers=2,
    window=5,
    signals=SIGNALS_WIDTH,
    interest=True,
)
_ROOMS = (1, 4, 16, 64, 256, 1024, 4096)
_PAPER_ROOMS = (1, 64, 1024)
_COMPILED_ROOMS = (1, 64, 4096)  # a compilation takes seconds per shape
_ENGINE_ROOMS = (1, 64, 1024)  # engines are built for no more
_TOLERANCE = 1e-4  # of a score


class Rooms:
    """A step's inputs for many rooms whose windows are full, and a way back to this very state."""

    def __init__(self, network: KuaiHL, rooms: int, device: torch.device) -> None:
        dims, draw = network.dims, torch.Generator(device).manual_seed(0)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=draw, device=device)

        self.network = network
        self.visual, self.text = drawn(rooms, dims.patches, dims.visual_width), drawn(rooms, dims.text_width)
        self.signals = drawn(rooms, dims.signals) if dims.signals else None
        self.state: StreamState = network.start(torch.zeros(rooms, dtype=torch.int64, device=device))
        self.first = tuple(drawn(*part.shape) for part in self.state.inputs()[:4])
        self.restart()

    def restart(self) -> None:
        """Back to the first state, in place, so that a captured graph sees it."""
        for part, first in zip(self.state.inputs(), self.first, strict=False):
            part.copy_(first)
        self.state.position.fill_(2 * self.network.dims.window)

    def step(self) -> Tensor:
        """Scores [B] by `KuaiHL.step`."""
        return self.network.step(self.state, self.visual, self.text, self.signals).score

    def step_with(self, forward: Callable[..., Any]) -> Tensor:
        """Scores [B] by another form of `forward_step`."""
        (score, _), kept = forward(self.visual, self.text, self.signals, *self.state.inputs())
        self.state.push(*kept)
        return score

    def work(self) -> Work:
        """A step's operations; and its bytes: weights, the newest segment and the state read, a segment written."""
        read = bytes_of([self.visual, self.text, self.signals, *self.state.inputs()])
        window = self.network.dims.window
        written = bytes_of([self.state.tokens, self.state.outs, self.state.latents]) // window
        return Work(count_operations(self.step), bytes_of(self.network.parameters()) + read + written)


@torch.no_grad()
def head_rows(setting: Setting, ceilings: Ceilings) -> Iterator[Row]:
    """Every contender at every number of rooms."""
    if setting.dry:
        networks = [("head, small", SMALL, (1, 4), (4,))]
    else:
        networks = [("head, edge", AS_SHIPPED, _ROOMS, _COMPILED_ROOMS), ("head, paper", PAPER_DIMS, _PAPER_ROOMS, ())]
    for part, dims, numbers, compiled in networks:
        torch.manual_seed(0)
        network = KuaiHL(dims).eval().to(setting.device)
        for number in numbers:
            yield from _torch_rows(part, network, number, setting, ceilings, compile_it=number in compiled)
            release()
        if dims.interest:
            few = tuple(number for number in numbers if number in (_ENGINE_ROOMS if not setting.dry else numbers))
            yield from _engine_rows(part, network.cpu(), few, setting)


def _torch_rows(
    part: str, network: KuaiHL, number: int, setting: Setting, ceilings: Ceilings, *, compile_it: bool
) -> Iterator[Row]:
    """The step in torch, in each of its forms, checked against the eager one."""
    rooms = Rooms(network, number, setting.device)
    work = rooms.work()
    rooms.restart()
    expected = rooms.step().clone()
    cuda = setting.device.type == "cuda"

    def row(what: str, make: Callable[[], Callable[[], Tensor]], precision: str = "fp32") -> Row:
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        try:
            call = make()
            rooms.restart()
            apart = float((call() - expected).abs().max())
            seconds = time_call(call, setting)
        except Exception as error:  # a contender that fails must not end the others
            return skipped(part, what, number, error)
        finally:
            torch.set_float32_matmul_precision("highest")
        right = f"{apart:.0e} from eager" + ("" if apart < _TOLERANCE or precision == "tf32" else ", TOO FAR")
        return Row(part, what, number, seconds, floor_of(work, ceilings, precision), right)

    yield row("eager", lambda: rooms.step)
    if cuda:
        yield row("CUDA graph", lambda: capture(rooms.step))
        yield row("CUDA graph, tf32", lambda: capture(rooms.step), "tf32")
    if compile_it:
        torch._dynamo.reset()
        forward = torch.compile(network.forward_step, dynamic=False, backend="eager" if setting.dry else "inductor")
        yield row("torch.compile", lambda: lambda: rooms.step_with(forward))
        if cuda:
            yield row("torch.compile, CUDA graph", lambda: capture(lambda: rooms.step_with(forward)))


def _engine_rows(part: str, network: KuaiHL, numbers: Sequence[int], setting: Setting) -> Iterator[Row]:
    """ONNX Runtime and TensorRT by whichever package is there; `network` lies on the CPU."""
    graph = step_graph(network)
    try:
        content = export_onnx(graph, "fp32").SerializeToString()
    except Exception as error:
        yield skipped(part, "ONNX Runtime and TensorRT", 0, error)
        return
    for device in dict.fromkeys(("cpu", str(setting.device))):
        what = f"ONNX Runtime, {device}"
        try:
            engine = OnnxRuntime(content, "step", device=device)
            for number in numbers:
                inputs = random_inputs(graph, {"rooms": number}, seed=0)
                yield Row(part, what, number, time_call(lambda inputs=inputs, run=engine.run: run(*inputs), setting))
        except Exception as error:
            yield skipped(part, what, 0, error)
    for kind in ("tensorrt", "tensorrt-rtx"):
        try:
            load_tensorrt(kind)
            with tempfile.TemporaryDirectory() as name:
                source = hashlib.sha256(content).hexdigest()
                sizes = {size: (each.least, each.usual, each.most) for size, each in graph.ranges.items()}
                facts = CompiledFacts(
                    "step", "onnx", "fp32", source, source, {"torch": torch.__version__},
                    graph.input_names, graph.outputs, sizes,
                )  # fmt: skip
                file = onnx_file(Path(name), "step", "fp32")
                write_compiled(file, content, facts)
                compile_graph(Path(name), graph, file, kind, "fp32")
                engine = open_tensorrt(Path(name), kind)("step", source, lambda: graph)
                for number in numbers:
                    inputs = tuple(each.to(setting.device) for each in random_inputs(graph, {"rooms": number}, seed=0))
                    taken = time_call(lambda inputs=inputs, run=engine.run: run(*inputs), setting)
                    yield Row(part, kind, number, taken)
        except Exception as error:
            yield skipped(part, kind, 0, error)
