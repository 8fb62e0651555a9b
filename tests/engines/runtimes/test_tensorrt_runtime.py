"""TensorRT for RTX executing, held against torch: only where there is an NVIDIA GPU that it builds for."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from support.small_graphs import SOURCES, small_graph, write_onnx

from kuaihl.engines.export.onnx_export import random_inputs
from kuaihl.engines.export.tensorrt_build import builder_capabilities, compile_graph
from kuaihl.engines.runtimes.compiled import read_facts, write_compiled
from kuaihl.engines.runtimes.graphs import GRAPH_NAMES, Graph, GraphName
from kuaihl.engines.runtimes.runtime import Precision, Runtime
from kuaihl.engines.runtimes.tensorrt_fit import built_engines, fitting_engine, this_machine
from kuaihl.engines.runtimes.tensorrt_package import load_tensorrt
from kuaihl.engines.runtimes.tensorrt_runtime import KEPT, TensorRtRuntime, open_tensorrt
from kuaihl.engines.runtimes.torch_runtime import TorchRuntime
from kuaihl.models.errors import ModelError

for package in ("tensorrt_rtx", "onnx", "onnxscript"):
    pytest.importorskip(package, reason=f"{package} is not installed")

Test = TypeVar("Test", bound=Callable[..., None])

SIZES = {"rooms": 7, "frames": 3, "texts": 2, "length": 19}
TOLERANCE: dict[Precision, float] = {"fp32": 1e-4, "fp16": 5e-3}


def gpu_test(function: Test) -> Test:
    """Marks what executes; it skips with the reason where it cannot."""
    here = ".".join(map(str, torch.cuda.get_device_capability())) if torch.cuda.is_available() else None
    missing = here not in builder_capabilities(load_tensorrt("tensorrt-rtx"))
    reason = f"TensorRT for RTX does not build for {here}" if here else "needs an NVIDIA GPU, and there is none here"
    return pytest.mark.gpu(pytest.mark.skipif(missing, reason=reason)(function))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with every graph as an engine for this card."""
    folder = tmp_path_factory.mktemp("bundle")
    for precision in TOLERANCE:
        for name in GRAPH_NAMES:
            graph = small_graph(name)
            compile_graph(folder, graph, write_onnx(folder, graph, precision), "tensorrt-rtx", precision)
    return folder


def open_small(bundle: Path, name: GraphName, precision: Precision = "fp32") -> Runtime:
    return open_tensorrt(bundle, "tensorrt-rtx", precision)(name, SOURCES[name], never_built)


def engine_here(bundle: Path, name: GraphName) -> Path:
    """The fp32 engine of a graph for this machine."""
    files = built_engines(bundle, name, "fp32", "tensorrt-rtx", "mine")
    return fitting_engine(files, "fp32", this_machine("tensorrt-rtx"), "mine")


def never_built() -> Graph:
    raise AssertionError("an engine has its weights in it")


@gpu_test
@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("name", GRAPH_NAMES)
def test_it_computes_what_torch_computes(bundle: Path, name: GraphName, precision: Precision) -> None:
    graph = small_graph(name)
    engine, reference = open_small(bundle, name, precision), TorchRuntime(graph)
    inputs = random_inputs(graph, SIZES, seed=1)
    for ours, theirs in zip(engine.run(*inputs), reference.run(*inputs), strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.is_cuda
        torch.testing.assert_close(ours.cpu(), theirs, atol=TOLERANCE[precision], rtol=TOLERANCE[precision])


@gpu_test
@pytest.mark.parametrize("name", GRAPH_NAMES)
def test_a_replayed_cuda_graph_gives_what_the_first_run_gave(bundle: Path, name: GraphName) -> None:
    graph, engine = small_graph(name), open_small(bundle, name)
    first, other = (tuple(each.cuda() for each in random_inputs(graph, SIZES, seed=seed)) for seed in (1, 2))
    plain = TensorRtRuntime(
        engine_here(bundle, name).read_bytes(),
        (graph.input_names, graph.outputs),
        "tensorrt-rtx",
        "fp32",
        cuda_graphs=False,
    )
    expected = [[tensor.clone() for tensor in plain.run(*inputs)] for inputs in (first, other)]
    for turn in range(8):
        found = engine.run(*(first, other)[turn % 2])
        for ours, theirs in zip(found, expected[turn % 2], strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert isinstance(engine, TensorRtRuntime)
    assert len(engine.fixed) == 1
    assert not plain.fixed


@gpu_test
def test_shapes_that_change_are_captured_anew_and_few_are_kept(bundle: Path) -> None:
    graph, engine = small_graph("step"), open_small(bundle, "step")
    reference = TorchRuntime(graph)
    assert isinstance(engine, TensorRtRuntime)
    for rooms in [*range(1, KEPT + 3), 1, 2]:
        inputs = random_inputs(graph, {"rooms": rooms}, seed=rooms)
        for _ in range(4):
            found = engine.run(*inputs)[0]
            torch.testing.assert_close(found.cpu(), reference.run(*inputs)[0], atol=1e-4, rtol=1e-4)
    assert len(engine.fixed) == KEPT


@gpu_test
def test_it_waits_for_the_callers_stream_and_the_caller_for_it(bundle: Path) -> None:
    graph, engine = small_graph("step"), open_small(bundle, "step")
    inputs = tuple(tensor.cuda() for tensor in random_inputs(graph, {"rooms": 512}, seed=3))
    expected = engine.run(*inputs)[0].clone()
    with torch.cuda.stream(torch.cuda.Stream()):
        for _ in range(6):
            late = torch.zeros_like(inputs[0])
            torch.cuda._sleep(10_000_000)  # the copy comes long after the call was made
            late.copy_(inputs[0])
            found = engine.run(late, *inputs[1:])[0].clone()
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@gpu_test
def test_sizes_that_it_was_not_built_for_are_named(bundle: Path) -> None:
    engine = open_small(bundle, "step")
    inputs = random_inputs(small_graph("step"), {"rooms": 1025}, seed=1)
    with pytest.raises(ModelError, match="takes visual of 1 x 3 x 10 to 1024 x 3 x 10, and was given 1025 x 3 x 10"):
        engine.run(*inputs)
    good = random_inputs(small_graph("step"), {"rooms": 2}, seed=1)
    assert engine.run(*good)[0].shape == (2,)


@gpu_test
def test_inputs_of_other_types_are_cast(bundle: Path) -> None:
    graph, engine = small_graph("text"), open_small(bundle, "text")
    words, types, mask = random_inputs(graph, SIZES, seed=1)
    expected = engine.run(words, types, mask)[0].clone()
    found = engine.run(words.double(), types.int(), mask.long())[0]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


@gpu_test
def test_an_engine_of_another_graph_is_refused(bundle: Path) -> None:
    content = engine_here(bundle, "vision").read_bytes()
    text = small_graph("text")
    with pytest.raises(ModelError, match="its ports are images, visual, not words, types, mask, text"):
        TensorRtRuntime(content, (text.input_names, text.outputs), "tensorrt-rtx", "fp32")


@gpu_test
def test_a_damaged_engine_is_refused_before_tensorrt_sees_it(bundle: Path, tmp_path: Path) -> None:
    file = engine_here(bundle, "vision")
    copy = tmp_path / "engines" / file.name
    write_compiled(copy, file.read_bytes(), read_facts(file))
    copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match=r"damaged .*; compile it again$") as caught:
        open_small(tmp_path, "vision")
    assert caught.value.remedy is not None
    assert "compute_capability" in caught.value.remedy.settings
