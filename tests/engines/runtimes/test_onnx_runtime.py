"""Exported graphs of a bundle in ONNX Runtime: opened where they fit, refused in one line where they do not."""

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.small_bundle import make_bundle, segments
from support.small_graphs import SOURCES, small_graph, write_onnx

from kuaihl.engines.export.onnx_export import export_onnx, random_inputs
from kuaihl.engines.runtimes.choice import choose_runtime
from kuaihl.engines.runtimes.compiled import (
    CompiledFacts,
    NotBuiltError,
    bundle_argument,
    compile_remedy,
    compiled_folder,
    facts_file,
    onnx_file,
    write_compiled,
)
from kuaihl.engines.runtimes.graphs import GraphName, step_graph
from kuaihl.engines.runtimes.onnx_runtime import OnnxRuntime, choose_providers, open_onnx
from kuaihl.engines.runtimes.processor import read_processor
from kuaihl.engines.runtimes.runtime import Precision, Runtime, Target, precision_of
from kuaihl.engines.runtimes.torch_runtime import TorchRuntime
from kuaihl.engines.scoring.scorer import StreamingScorer, open_step
from kuaihl.models.bundle import Bundle, load_bundle
from kuaihl.models.errors import KuaihlError, ModelError, Remedy, UsageError
from kuaihl_cli.terminal.errors import remedy_words

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The step of the bundle that `bundle` makes."""
    network = make_bundle(tmp_path_factory.mktemp("first") / "bundle", seed=0).streaming_network()
    return bytes(export_onnx(step_graph(network), "fp32").SerializeToString())


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "bundle", seed=0)


@pytest.fixture
def file(bundle: Bundle, exported: bytes) -> Path:
    """The bundle's exported step, with its facts."""
    return write_step(bundle, exported)


def write_step(bundle: Bundle, content: bytes) -> Path:
    facts = CompiledFacts(
        graph="step",
        kind="onnx",
        precision="fp32",
        sha256=hashlib.sha256(content).hexdigest(),
        source_sha256=bundle.head_sha256,
        made_with={"torch": torch.__version__},
        inputs=(),
        outputs=(),
        sizes={"rooms": (1, 64, 1024)},
    )
    path = onnx_file(compiled_folder(bundle), "step", "fp32")
    write_compiled(path, content, facts)
    return path


def damage(file: Path) -> None:
    """Another value in one byte, as a failing disk leaves it."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def refused(bundle: Bundle, precision: Precision = "fp32") -> str:
    """The one line with which `open_onnx` refuses the bundle's step."""
    with pytest.raises(ModelError) as caught:
        open_step(bundle, open_onnx(bundle, precision))
    assert "\n" not in str(caught.value)
    if str(caught.value).endswith("; compile it again"):
        assert caught.value.remedy == rebuild(bundle)
    return str(caught.value)


def rebuild(bundle: Bundle) -> Remedy:
    return Remedy("compile it again", {"to": "onnx"}, "export", (str(bundle.path),))


def test_an_exported_step_scores_as_torch_does(bundle: Bundle, file: Path) -> None:
    engine = open_step(bundle, open_onnx(bundle))
    assert (engine.kind, engine.precision) == ("onnx", "fp32")
    graph = step_graph(bundle.streaming_network())
    inputs = random_inputs(graph, {"rooms": 4}, seed=0)
    for ours, theirs in zip(engine.run(*inputs), TorchRuntime(graph).run(*inputs), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    scored, expected = (
        [one.score for one in StreamingScorer(bundle, step, streamer="ann").scores(segments(12))]
        for step in (engine, None)
    )
    assert scored == pytest.approx(expected, abs=1e-5)


def test_a_graph_that_was_not_exported_says_what_exports_it(bundle: Bundle) -> None:
    with pytest.raises(NotBuiltError) as caught:
        open_step(bundle, open_onnx(bundle))
    missing = onnx_file(bundle.path, "step", "fp32")
    assert str(caught.value) == f"{missing}: not exported yet; compile it"
    assert caught.value.remedy == replace(rebuild(bundle), words="compile it")


def test_a_damaged_byte_is_told_by_both_hashes_and_what_mends_it(bundle: Bundle, file: Path) -> None:
    was = hashlib.sha256(file.read_bytes()).hexdigest()
    damage(file)
    now = hashlib.sha256(file.read_bytes()).hexdigest()
    assert refused(bundle) == (
        f"{file}: damaged (SHA-256 is {now[:12]}, was {was[:12]} when written); compile it again"
    )


def test_a_file_that_was_cut_short_is_damaged(bundle: Bundle, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:1000])
    assert "damaged" in refused(bundle)


def test_a_graph_of_other_weights_names_both(bundle: Bundle, file: Path, tmp_path: Path) -> None:
    trained_again = make_bundle(tmp_path / "again", seed=1)
    target = onnx_file(trained_again.path, "step", "fp32")
    target.parent.mkdir()
    for each in (file, facts_file(file)):
        (target.parent / each.name).write_bytes(each.read_bytes())
    assert refused(trained_again) == (
        f"{target}: made from weights {bundle.head_sha256[:12]}, the bundle's are {trained_again.head_sha256[:12]}; "
        "compile it again"
    )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "",
        lambda text: '{"format": 3}',
        lambda text: json.dumps(json.loads(text) | {"sha256": 5}),
        lambda text: json.dumps(json.loads(text) | {"source_sha256": None}),
    ],
    ids=["cut short", "a list", "empty", "without facts", "a number for a hash", "no hash"],
)
def test_facts_that_are_none_are_refused_in_one_line(bundle: Bundle, file: Path, spoil: Callable[[str], str]) -> None:
    beside = facts_file(file)
    beside.write_text(spoil(beside.read_text()))
    assert refused(bundle) == f"{beside}: does not hold a compiled file's facts; compile it again"


def test_facts_of_another_format_are_refused(bundle: Bundle, file: Path) -> None:
    beside = facts_file(file)
    beside.write_text(json.dumps(json.loads(beside.read_text()) | {"format": 1}))
    assert refused(bundle) == (f"{file}: exported in format 1, this version of kuaihl reads 3; compile it again")


def test_a_file_without_facts_is_not_finished(bundle: Bundle, file: Path) -> None:
    facts_file(file).unlink()
    assert refused(bundle).startswith(f"{facts_file(file)}: cannot be read")


def test_a_file_of_another_graph_is_refused_by_its_facts(bundle: Bundle, file: Path) -> None:
    beside = facts_file(file)
    beside.write_text(json.dumps(json.loads(beside.read_text()) | {"graph": "window"}))
    assert refused(bundle) == f"{file}: its facts say window in fp32; compile it again"


def test_what_is_no_onnx_is_refused_by_onnx_runtime(bundle: Bundle) -> None:
    file = write_step(bundle, b"no ONNX at all")
    said = refused(bundle)
    assert said.startswith(f"{file}: ONNX Runtime cannot run it on cpu (")


def test_a_damaged_graph_is_refused_in_one_line_and_prints_nothing(
    exported: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime would report some failures on standard output."""
    chance, refused = random.Random(0), 0
    for _ in range(150):
        damaged = bytearray(exported)
        for _ in range(4):
            damaged[chance.randrange(len(damaged) // 4)] = chance.randrange(256)  # names and nodes come first
        try:
            OnnxRuntime(bytes(damaged), "a.onnx", threads=1)
        except ModelError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 20
    assert capfd.readouterr().out == ""


def test_inputs_that_do_not_fit_are_an_error_of_one_line(exported: bytes) -> None:
    engine = OnnxRuntime(exported, "step.onnx")
    with pytest.raises(ModelError, match=r"^step\.onnx: ONNX Runtime failed \(") as caught:
        engine.run(*(torch.zeros(1) for _ in engine.inputs))
    assert "\n" not in str(caught.value)


def test_a_device_that_onnx_runtime_was_not_built_for_is_refused(bundle: Bundle, file: Path) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime is built for CUDA")
    for device in ("cuda", "cuda:1"):
        with pytest.raises(UsageError, match=rf"^device '{device}': this ONNX Runtime is built for CPUs"):
            open_step(bundle, open_onnx(bundle, device=device))
    assert choose_providers("cpu") == ["CPUExecutionProvider"]


def opened(bundle: Bundle, engine: str, precision: str = "auto") -> tuple[Runtime, list[KuaihlError]]:
    """The bundle's step as `engine` and `precision` choose it on a CPU, and what was said."""
    said: list[KuaihlError] = []
    choice = choose_runtime(engine, precision, bundle, device="cpu", threads=1, on_message=said.append)
    return open_step(bundle, choice), said


def test_auto_takes_onnx_where_it_was_exported(bundle: Bundle, file: Path) -> None:
    engine, said = opened(bundle, "auto")
    assert (engine.kind, engine.precision, said) == ("onnx", "fp32", [])


def test_auto_takes_torch_in_silence_where_nothing_was_exported(bundle: Bundle) -> None:
    engine, said = opened(bundle, "auto")
    assert (engine.kind, engine.precision, said) == ("torch", "fp32", [])


def test_auto_goes_on_with_torch_and_says_so_where_a_file_is_damaged(bundle: Bundle, file: Path) -> None:
    damage(file)
    engine, (said,) = opened(bundle, "auto")
    assert engine.kind == "torch"
    assert str(said).startswith(f"onnx fp32 cannot run step, torch fp32 does: {file}: damaged")
    assert said.remedy == rebuild(bundle)


def test_an_engine_that_was_asked_for_is_never_replaced(bundle: Bundle, file: Path) -> None:
    assert opened(bundle, "torch")[0].kind == "torch"
    damage(file)
    with pytest.raises(ModelError, match="damaged"):
        opened(bundle, "onnx")
    with pytest.raises(NotBuiltError, match=r"compile it$") as caught:
        opened(bundle, "onnx", "fp16")
    assert caught.value.remedy is not None
    assert caught.value.remedy.settings == {"to": "onnx", "precision": "fp16"}


def test_auto_never_takes_torch_for_int8(bundle: Bundle) -> None:
    with pytest.raises(NotBuiltError, match=r"compile it$") as caught:
        opened(bundle, "auto", "int8")
    assert caught.value.remedy is not None
    assert caught.value.remedy.settings == {"to": "onnx", "precision": "int8", "sample": "RECORDING"}
    with pytest.raises(UsageError, match=r"^precision 'int8': torch does not run it; choose engine onnx"):
        opened(bundle, "torch", "int8")


@pytest.fixture
def without_vnni(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on a processor of 2013."""
    facts = tmp_path / "cpuinfo"
    facts.write_text("model name\t: Core i7-4770\nflags\t\t: fpu avx fma avx2\n")
    monkeypatch.setattr("kuaihl.engines.runtimes.processor.CPU_FACTS", facts)
    read_processor.cache_clear()
    yield
    read_processor.cache_clear()


def write_text(bundle: Bundle, target: Target, *, named: bool = True) -> Path:
    """A text graph in "int8" for a target; `named` is False for a file of before targets were told apart."""
    content = export_onnx(small_graph("text"), "fp32").SerializeToString()
    facts = CompiledFacts(
        graph="text",
        kind="onnx",
        precision="int8",
        sha256=hashlib.sha256(content).hexdigest(),
        source_sha256=SOURCES["text"],
        made_with={},
        inputs=(),
        outputs=(),
        sizes={},
        target=target,
    )
    file = onnx_file(compiled_folder(bundle), "text", "int8", target)
    write_compiled(file, content, facts)
    if not named:
        found = json.loads(facts_file(file).read_text())
        del found["target"]
        facts_file(file).write_text(json.dumps(found))
    return file


def open_text(bundle: Bundle, engine: str) -> tuple[Runtime, list[KuaihlError]]:
    """The text graph in int8, and what was said of a fallback."""
    said: list[KuaihlError] = []
    chosen = choose_runtime(engine, "int8", bundle, device="cpu", threads=1, on_message=said.append)
    return chosen("text", SOURCES["text"], lambda: small_graph("text")), said


@pytest.mark.parametrize("engine", ["auto", "onnx"])
@pytest.mark.usefixtures("without_vnni")
def test_a_file_for_vnni_is_refused_by_name_without_it(bundle: Bundle, engine: str) -> None:
    file = write_text(bundle, "vnni")
    with pytest.raises(ModelError) as raised:
        open_text(bundle, engine)
    assert str(raised.value) == (
        f"{file}: made for processors with VNNI, and Core i7-4770 lacks it; compile it without VNNI"
    )
    assert raised.value.remedy is not None
    assert remedy_words(raised.value.remedy).endswith(
        f": kuaihl export {bundle.path} --to onnx --precision int8 --sample RECORDING"
    )


@pytest.mark.usefixtures("without_vnni")
def test_a_file_for_vnni_is_passed_over_with_a_line(bundle: Bundle) -> None:
    vnni, portable = write_text(bundle, "vnni"), write_text(bundle, "portable")
    opened, said = open_text(bundle, "auto")
    assert isinstance(opened, OnnxRuntime)
    assert opened.name == str(portable)
    assert len(said) == 1
    assert str(said[0]).startswith(
        f"onnx int8 for VNNI cannot run text, onnx int8 does: {vnni}: made for processors with"
    )


@pytest.mark.usefixtures("without_vnni")
def test_int8_of_before_targets_were_told_apart_needs_vnni(bundle: Bundle) -> None:
    file = write_text(bundle, "portable", named=False)
    with pytest.raises(ModelError, match="made for processors with VNNI"):
        open_text(bundle, "onnx")
    assert file.name == "text-int8.onnx"


def test_a_file_for_vnni_comes_first_with_it(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text("model name\t: Core i5-12400\nflags\t\t: fpu avx avx2 avx_vnni\n")
    monkeypatch.setattr("kuaihl.engines.runtimes.processor.CPU_FACTS", facts)
    read_processor.cache_clear()
    vnni, portable = write_text(bundle, "vnni"), write_text(bundle, "portable")
    try:
        opened, said = open_text(bundle, "auto")
        assert isinstance(opened, OnnxRuntime)
        assert (opened.name, said) == (str(vnni), [])
    finally:
        read_processor.cache_clear()
    assert portable.name == "text-int8.onnx"


def test_int8_leaves_the_head_in_floats(bundle: Bundle, file: Path) -> None:
    engine, _ = opened(bundle, "onnx", "int8")
    assert (engine.kind, engine.precision) == ("onnx", "fp32")
    expected: dict[GraphName, Precision] = {"step": "fp32", "window": "fp32", "vision": "int8", "text": "int8"}
    assert {name: precision_of(name, "onnx", "int8") for name in expected} == expected


@pytest.mark.parametrize(
    ("engine", "precision", "words"),
    [
        ("openvino", "auto", r"^engine 'openvino': give auto or one of torch, onnx, tensorrt, tensorrt-rtx$"),
        ("auto", "fp8", r"^precision 'fp8': give auto or one of fp32, fp16, bf16, int8$"),
        ("onnx", "FP16", r"^precision 'FP16': give auto or one of"),
    ],
)
def test_names_that_are_none_are_refused_with_those_there_are(
    bundle: Bundle, engine: str, precision: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        opened(bundle, engine, precision)


def test_files_are_compiled_into_a_bundle_of_ones_own(bundle: Bundle) -> None:
    assert compiled_folder(bundle) == bundle.path
    assert bundle_argument(bundle) == str(bundle.path)


def test_files_of_a_built_in_bundle_are_compiled_into_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUAIHL_CACHE", str(tmp_path / "cache"))
    edge = load_bundle("edge")
    assert compiled_folder(edge) == tmp_path / "cache" / "compiled" / f"edge-{edge.head_sha256[:12]}"
    assert bundle_argument(edge) == "edge"
    assert compiled_folder(replace(edge, path=tmp_path / "copy")) == tmp_path / "copy"


def test_what_compiles_a_bundle_says_what_is_not_the_default() -> None:
    assert remedy_words(compile_remedy("mine", "onnx", "fp32")) == "compile it again: kuaihl export mine --to onnx"
    assert remedy_words(compile_remedy("mine", "tensorrt", "bf16")).endswith("mine --to tensorrt --precision bf16")
    assert remedy_words(compile_remedy("mine", "onnx", "int8")).endswith("--precision int8 --sample RECORDING")
    said = remedy_words(compile_remedy("mine", "onnx", "int8", "vnni"))
    assert said.endswith("--precision int8 --target vnni --sample RECORDING")


def test_a_folder_that_cannot_be_written_to_is_one_line(bundle: Bundle, exported: bytes) -> None:
    (bundle.path / "onnx").write_text("in the way")
    with pytest.raises(ModelError, match=r"step-fp32\.onnx: cannot be written \(.*elsewhere$") as caught:
        write_step(bundle, exported)
    assert caught.value.remedy is not None
    assert caught.value.remedy.settings == {"output": "DIR"}


def test_encoders_run_side_by_side_and_a_step_on_all_threads(bundle: Bundle, file: Path) -> None:
    write_onnx(bundle.path, small_graph("vision"))
    opened = open_onnx(bundle, threads=3)
    assert opened("vision", SOURCES["vision"], lambda: small_graph("vision")).num_streams == 3
    assert open_step(bundle, opened).num_streams == 1
