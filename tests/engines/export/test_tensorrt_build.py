"""ONNX graphs compiled by TensorRT for RTX, which takes no GPU; what it makes is loaded where there is one."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.small_graphs import SOURCES, small_graph, write_onnx

from kuaihl.engines.export.tensorrt_build import build_engine, builder_capabilities, compile_graph, profile_of
from kuaihl.engines.runtimes.compiled import compile_remedy, facts_file, read_facts
from kuaihl.engines.runtimes.graphs import GRAPH_NAMES, GraphName, ShapeRange
from kuaihl.engines.runtimes.runtime import Precision
from kuaihl.engines.runtimes.tensorrt_package import load_tensorrt
from kuaihl.engines.runtimes.tensorrt_runtime import deserialise
from kuaihl.models.errors import ModelError, UsageError

for package in ("tensorrt_rtx", "onnx", "onnxscript"):
    pytest.importorskip(package, reason=f"{package} is not installed")

ADA, TURING = "8.9", "7.5"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with every graph as ONNX."""
    folder = tmp_path_factory.mktemp("bundle")
    for name in GRAPH_NAMES:
        write_onnx(folder, small_graph(name))
    write_onnx(folder, small_graph("step"), "fp16")
    write_onnx(folder, small_graph("vision"), "bf16")
    return folder


def onnx_of(bundle: Path, name: GraphName, precision: Precision = "fp32") -> Path:
    return bundle / "onnx" / f"{name}-{precision}.onnx"


@pytest.mark.parametrize("name", GRAPH_NAMES)
def test_every_graph_compiles_without_a_gpu(bundle: Path, name: GraphName) -> None:
    engine = build_engine("tensorrt-rtx", onnx_of(bundle, name).read_bytes(), profile_of(small_graph(name)), [ADA])
    if not torch.cuda.is_available():
        # It is whole, as far as TensorRT looks before it wants a GPU.
        with pytest.raises(ModelError, match=r"cannot load it: .*CUDA driver"):
            deserialise(load_tensorrt("tensorrt-rtx"), engine, "here")


@pytest.mark.parametrize("capability", ["7.5", "8.0", "8.6", "8.9", "12.0", "12.1"])
def test_a_graph_compiles_for_every_card_from_turing_to_blackwell(bundle: Path, capability: str) -> None:
    profile = profile_of(small_graph("step"))
    assert build_engine("tensorrt-rtx", onnx_of(bundle, "step", "fp16").read_bytes(), profile, [capability])


def test_a_graph_compiles_for_several_cards_at_once(bundle: Path) -> None:
    onnx, profile = onnx_of(bundle, "step", "fp16").read_bytes(), profile_of(small_graph("step"))
    assert build_engine("tensorrt-rtx", onnx, profile, ["8.6", "8.9"])


def test_a_profile_has_the_sizes_of_the_graph_for_every_input() -> None:
    graph = replace(small_graph("text"), ranges={"texts": ShapeRange(1, 8, 64), "length": ShapeRange(4, 128, 200)})
    assert profile_of(graph) == {
        "token_embeddings": ((1, 4, 32), (8, 128, 32), (64, 200, 32)),
        "types": ((1, 4), (8, 128), (64, 200)),
        "mask": ((1, 4), (8, 128), (64, 200)),
    }


def test_a_capability_that_the_builder_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(UsageError, match=r"does not build for compute capability 9\.0; it has 7\.5, 8\.0, .*12\.0"):
        build_engine("tensorrt-rtx", b"", {}, [ADA, "9.0"])


def test_capabilities_are_those_that_the_package_names() -> None:
    assert {"7.5", "8.6", "8.9", "12.0"} <= set(builder_capabilities(load_tensorrt("tensorrt-rtx")))


def test_what_a_card_cannot_compute_is_an_error_of_one_line(bundle: Path) -> None:
    onnx, profile = onnx_of(bundle, "step").read_bytes(), profile_of(small_graph("step"))
    with pytest.raises(ModelError, match=r"cannot compile the graph: .*FP32 GEMM is not supported") as caught:
        build_engine("tensorrt-rtx", onnx, profile, [TURING])
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="datatypes: b16"):
        build_engine(
            "tensorrt-rtx",
            onnx_of(bundle, "vision", "bf16").read_bytes(),
            profile_of(small_graph("vision")),
            [TURING],
        )


@pytest.mark.parametrize("damage", [lambda onnx: b"no ONNX at all", lambda onnx: onnx[: len(onnx) // 2]])
def test_a_damaged_onnx_file_is_an_error_of_one_line(bundle: Path, damage: Callable[[bytes], bytes]) -> None:
    onnx = damage(onnx_of(bundle, "step").read_bytes())
    with pytest.raises(ModelError, match="cannot read the ONNX graph") as caught:
        build_engine("tensorrt-rtx", onnx, profile_of(small_graph("step")), [ADA])
    assert "\n" not in str(caught.value)


def test_an_onnx_file_of_another_graph_is_refused_by_its_inputs(bundle: Path) -> None:
    with pytest.raises(ModelError, match="takes images, and not token_embeddings, types, mask"):
        build_engine("tensorrt-rtx", onnx_of(bundle, "vision").read_bytes(), profile_of(small_graph("text")), [ADA])


def test_sizes_that_the_onnx_file_does_not_have_are_an_error(bundle: Path) -> None:
    wrong = {"images": ((1, 3, 64, 64), (3, 3, 64, 64), (48, 3, 64, 64))}
    with pytest.raises(ModelError, match=r"cannot compile the graph: .*mismatch"):
        build_engine("tensorrt-rtx", onnx_of(bundle, "vision").read_bytes(), wrong, [ADA])


def test_compiling_prints_nothing(bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    profile = profile_of(small_graph("text"))
    onnx = write_onnx(bundle, small_graph("text"), "fp16").read_bytes()
    capfd.readouterr()
    build_engine("tensorrt-rtx", onnx, profile, [ADA])  # its compiler warns of a constant that rounds
    with pytest.raises(ModelError):
        build_engine("tensorrt-rtx", b"no ONNX", profile, [ADA])
    assert capfd.readouterr() == ("", "")


def test_an_engine_lies_in_the_bundle_with_its_facts(bundle: Path) -> None:
    onnx = onnx_of(bundle, "step")
    graph = small_graph("step")
    file = compile_graph(bundle, graph, onnx, "tensorrt-rtx", "fp32", "8.6")
    version = load_tensorrt("tensorrt-rtx").version
    assert file == bundle / "engines" / f"step-sm86-tensorrt-rtx-{version}-fp32.engine"
    facts = read_facts(file)
    assert facts.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert facts.onnx_sha256 == hashlib.sha256(onnx.read_bytes()).hexdigest()
    assert facts.source_sha256 == SOURCES["step"]
    assert (facts.graph, facts.kind, facts.precision) == ("step", "tensorrt-rtx", "fp32")
    assert (facts.compute_capability, facts.tensorrt) == ("8.6", version)
    assert facts.sizes == {"rooms": (1, 64, 1024)}
    assert (facts.inputs, facts.outputs) == (tuple(port.name for port in graph.inputs), graph.outputs)


def test_an_onnx_file_that_is_not_what_its_facts_say_is_not_compiled(tmp_path: Path) -> None:
    onnx = write_onnx(tmp_path, small_graph("vision"))
    onnx.write_bytes(onnx.read_bytes()[:-1] + b"\0")
    with pytest.raises(ModelError, match=r"vision-fp32\.onnx: damaged .*; compile it again$") as caught:
        compile_graph(tmp_path, small_graph("vision"), onnx, "tensorrt-rtx", "fp32", ADA)
    assert caught.value.remedy == compile_remedy(str(tmp_path), "onnx", "fp32")
    facts_file(onnx).unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        compile_graph(tmp_path, small_graph("vision"), onnx, "tensorrt-rtx", "fp32", ADA)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_a_capability_must_be_named(bundle: Path) -> None:
    with pytest.raises(
        UsageError, match=r"^to 'tensorrt-rtx': there is no NVIDIA GPU here .*compute capability"
    ) as caught:
        compile_graph(bundle, small_graph("step"), onnx_of(bundle, "step"), "tensorrt-rtx", "fp32")
    assert caught.value.remedy is not None
    assert caught.value.remedy.settings == {"compute_capability": "8.9"}


def test_a_damaged_engine_is_an_error_of_one_line(bundle: Path) -> None:
    engine = build_engine(
        "tensorrt-rtx", onnx_of(bundle, "vision").read_bytes(), profile_of(small_graph("vision")), [ADA]
    )
    # TensorRT reads the head of an engine before it looks for a GPU.
    for damaged in (b"", b"no engine", engine[:1000], engine[:-5000], bytes(100) + engine[100:]):
        with pytest.raises(ModelError, match=r"^step\.engine: tensorrt-rtx [0-9.]+ cannot load it: ") as caught:
            deserialise(load_tensorrt("tensorrt-rtx"), damaged, "step.engine")
        assert "\n" not in str(caught.value)
        assert "CUDA" not in str(caught.value)
