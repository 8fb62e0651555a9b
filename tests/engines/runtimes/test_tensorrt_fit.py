"""Which engine a machine takes, and what is said where none fits: facts of real cards in files, nothing executed."""

import hashlib
from pathlib import Path

import pytest
import torch
from support.small_graphs import SOURCES, small_graph

from kuaihl.engines.runtimes.compiled import (
    CompiledFacts,
    NotBuiltError,
    compile_remedy,
    engine_file,
    facts_file,
    write_compiled,
)
from kuaihl.engines.runtimes.graphs import GraphName
from kuaihl.engines.runtimes.runtime import Precision
from kuaihl.engines.runtimes.tensorrt_fit import Machine, built_engines, fitting_engine, this_machine
from kuaihl.engines.runtimes.tensorrt_package import Gpu, TensorRtKind
from kuaihl.engines.runtimes.tensorrt_runtime import open_tensorrt
from kuaihl.models.errors import ModelError, UsageError
from kuaihl_cli.terminal.errors import remedy_words

RTX = Machine("tensorrt-rtx", "1.7.1.116", Gpu("NVIDIA GeForce RTX 4090", "8.9"))
HOPPER = Machine("tensorrt", "10.13.3.9", Gpu("NVIDIA H100 80GB HBM3", "9.0"))


def fitting(folder: Path, graph: GraphName, precision: Precision, machine: Machine) -> Path:
    """The engine that `machine` takes of the bundle "mine", compiled in `folder`."""
    files = built_engines(folder, graph, precision, machine.kind, "mine")
    return fitting_engine(files, precision, machine, "mine")


def write_engine(
    bundle: Path,
    graph: GraphName = "step",
    *,
    kind: TensorRtKind = "tensorrt-rtx",
    precision: Precision = "fp16",
    gpu: str = "",
    capability: str = "8.9",
    version: str = "1.7.1.116",
) -> Path:
    """A file that says it is such an engine."""
    content = b"an engine"
    facts = CompiledFacts(
        graph=graph,
        kind=kind,
        precision=precision,
        sha256=hashlib.sha256(content).hexdigest(),
        source_sha256=SOURCES[graph],
        made_with={kind: version},
        inputs=(),
        outputs=(),
        sizes={"rooms": (1, 64, 1024)},
        gpu=gpu,
        compute_capability=capability,
        tensorrt=version,
    )
    file = engine_file(bundle, graph, precision, kind, capability, version)
    write_compiled(file, content, facts)
    return file


def test_the_engine_of_this_card_and_version_is_taken(tmp_path: Path) -> None:
    for capability, version in (("8.6", "1.7.1.116"), ("8.9", "1.6.0.9"), ("12.0", "1.7.1.116")):
        write_engine(tmp_path, capability=capability, version=version)
    right = write_engine(tmp_path)
    assert fitting(tmp_path, "step", "fp16", RTX) == right


def test_int8_is_for_the_vision_backbone_and_fp16_for_the_rest(tmp_path: Path) -> None:
    vision, step = write_engine(tmp_path, "vision", precision="int8"), write_engine(tmp_path, "step", precision="fp16")
    assert fitting(tmp_path, "vision", "int8", RTX) == vision
    assert fitting(tmp_path, "step", "int8", RTX) == step


def test_an_engine_of_another_card_names_both_sides(tmp_path: Path) -> None:
    file = write_engine(tmp_path, kind="tensorrt", gpu="NVIDIA A10", capability="8.6", version="10.13.3.9")
    with pytest.raises(ModelError) as caught:
        fitting(tmp_path, "step", "fp16", HOPPER)
    assert str(caught.value) == (
        f"{file}: built for NVIDIA A10 (compute capability 8.6) by tensorrt 10.13.3.9; this machine has "
        "NVIDIA H100 80GB HBM3 (compute capability 9.0) and tensorrt 10.13.3.9; "
        "compile it again"
    )
    assert caught.value.remedy == compile_remedy("mine", "tensorrt", "fp16")


def test_an_engine_of_another_version_names_both_and_what_builds_it_on_any_machine(tmp_path: Path) -> None:
    write_engine(tmp_path, capability="8.6")
    file = write_engine(tmp_path, version="1.6.0.9")  # of this card: nearer than the one of another
    with pytest.raises(ModelError) as caught:
        fitting(tmp_path, "step", "fp16", RTX)
    assert str(caught.value) == (
        f"{file}: built for compute capability 8.9 by tensorrt-rtx 1.6.0.9; this machine has "
        "NVIDIA GeForce RTX 4090 (compute capability 8.9) and tensorrt-rtx 1.7.1.116; "
        "compile it again"
    )
    assert caught.value.remedy is not None
    assert remedy_words(caught.value.remedy).endswith(
        ": kuaihl export mine --to tensorrt-rtx --precision fp16 --compute-capability 8.9"
    )


def test_a_bundle_without_engines_says_what_builds_them(tmp_path: Path) -> None:
    write_engine(tmp_path, kind="tensorrt")
    unfinished = write_engine(tmp_path)
    facts_file(unfinished).unlink()
    with pytest.raises(NotBuiltError) as caught:
        fitting(tmp_path, "step", "fp16", RTX)
    assert str(caught.value) == (f"{tmp_path}: holds no tensorrt-rtx engine of the step graph; compile it")
    assert remedy_words(caught.value.remedy) == ("compile it: kuaihl export mine --to tensorrt-rtx --precision fp16")


def test_damaged_facts_are_an_error_that_names_them(tmp_path: Path) -> None:
    beside = facts_file(write_engine(tmp_path))
    beside.write_text("{}")
    with pytest.raises(ModelError, match=r"\.json: does not hold a compiled file's facts"):
        fitting(tmp_path, "step", "fp16", RTX)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_opening_without_a_gpu_is_refused_in_one_line(tmp_path: Path) -> None:
    write_engine(tmp_path)
    open_runtime = open_tensorrt(tmp_path, "tensorrt-rtx", "fp16")
    with pytest.raises(UsageError, match="needs an NVIDIA GPU, and there is none here"):
        open_runtime("step", SOURCES["step"], lambda: small_graph("step"))


def test_a_cpu_asked_for_is_named() -> None:
    with pytest.raises(UsageError, match=r"^engine 'tensorrt-rtx': needs an NVIDIA GPU, and the device cpu is none"):
        this_machine("tensorrt-rtx", "cpu")
