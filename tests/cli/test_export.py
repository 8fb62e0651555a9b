"""`kuaihl export` and `kuaihl bench` as a user runs them, and the demo broadcast scored by what was exported."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.paths import REPOSITORY

from kuaihl.engines.export.bench import BATCHES, Parity, Timing
from kuaihl.engines.runtimes.graphs import GRAPH_NAMES, SCORING_GRAPHS
from kuaihl.models.bundle import load_bundle
from kuaihl.models.errors import UsageError
from kuaihl_cli.commands.bench import HEADINGS, print_rows
from kuaihl_cli.commands.export import copy_of

DEMO = REPOSITORY / "examples" / "demo.flv"
COMMENTS = REPOSITORY / "examples" / "demo.comments.xml"

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")


def kuaihl(*arguments: str | Path, cache: Path, timeout: float = 280) -> subprocess.CompletedProcess[str]:
    """Run the command with a cache of its own, in one thread: two wait for each other where a machine is busy."""
    command = [sys.executable, "-m", "kuaihl_cli", *map(str, arguments)]
    environment = os.environ | {"KUAIHL_CACHE": str(cache), "KUAIHL_THREADS": "1", "KUAIHL_DEVICE": "cpu"}
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment)


def assert_one_line(result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("kuaihl: error: ")
    for word in words:
        assert word in line


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """The edge bundle, exported to ONNX."""
    folder = tmp_path_factory.mktemp("exported") / "edge"
    result = kuaihl("export", "edge", "--to", "onnx", "--output", folder, "-q", cache=cache)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    return folder


@pytest.fixture
def damaged(bundle: Path, tmp_path: Path) -> Path:
    """A copy of the bundle with one byte of its step changed."""
    copy = shutil.copytree(bundle, tmp_path / "damaged", copy_function=os.link)
    file = copy / "onnx" / "step-fp32.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.unlink()
    file.write_bytes(content)
    return copy


def facts_of(file: Path) -> dict[str, Any]:
    """What stands beside a compiled file, which is whole."""
    facts = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert isinstance(facts, dict)
    assert facts["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    return facts


@pytest.mark.slow
def test_every_graph_is_exported_with_its_facts(bundle: Path) -> None:
    assert {path.name for path in (bundle / "onnx").iterdir()} == {
        f"{name}-fp32.{suffix}" for name in GRAPH_NAMES for suffix in ("onnx", "json")
    }
    head = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))["head_sha256"]
    for name in GRAPH_NAMES:
        facts = facts_of(bundle / "onnx" / f"{name}-fp32.onnx")
        assert (facts["graph"], facts["kind"], facts["precision"]) == (name, "onnx", "fp32")
        assert (facts["source_sha256"] == head) == (name in ("step", "window"))
        assert {"kuaihl", "torch", "onnx", "onnxruntime"} <= facts["made_with"].keys()
        if name in ("step", "window"):
            assert facts["parity"]["max_abs_difference"] <= 1e-4
        else:
            assert facts["parity"]["least_cosine"] >= 0.9999


@pytest.mark.slow
def test_the_demo_has_the_same_highlights_in_onnx_as_in_torch(bundle: Path, cache: Path, tmp_path: Path) -> None:
    documents, scores = {}, {}
    for engine in ("torch", "onnx"):
        output = tmp_path / engine
        options: list[str | Path] = [
            "--comments",
            COMMENTS,
            "--model",
            bundle,
            "--engine",
            engine,
            "--asr",
            "none",
            "-q",
        ]
        result = kuaihl("score", DEMO, "-o", output, *options, cache=cache)
        assert (result.returncode, result.stderr) == (0, "")
        documents[engine] = json.loads((output / "highlights.json").read_text(encoding="utf-8"))
        lines = (output / "scores.jsonl").read_text(encoding="utf-8").splitlines()
        scores[engine] = [json.loads(line)["score"] for line in lines]
        assert documents[engine]["settings"]["engine"] == engine
        assert documents[engine]["settings"]["precision"] == "fp32"
    schema = json.loads((REPOSITORY / "docs" / "highlights.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(documents["onnx"], schema)
    assert len(scores["onnx"]) == 9
    assert scores["onnx"] == pytest.approx(scores["torch"], abs=1e-4)
    ours, theirs = (documents[engine]["highlights"] for engine in ("onnx", "torch"))
    assert ours, "the demo has a highlight that nobody should miss"
    for one, other in zip(ours, theirs, strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=1e-4)
        assert {**one, "score": None} == {**other, "score": None}


@pytest.mark.slow
def test_a_damaged_step_ends_with_4_where_onnx_was_asked_for(
    damaged: Path, cache: Path, tiny_flv: Path, tmp_path: Path
) -> None:
    options: list[str | Path] = ["--model", damaged, "--engine", "onnx", "--asr", "none"]
    result = kuaihl("score", tiny_flv, "-o", tmp_path / "out", *options, cache=cache)
    assert_one_line(result, 4, "step-fp32.onnx: damaged", f"; compile it again: kuaihl export {damaged} --to onnx")


@pytest.mark.slow
def test_auto_goes_on_in_torch_past_a_damaged_step_and_says_so(
    damaged: Path, cache: Path, tiny_flv: Path, tmp_path: Path
) -> None:
    result = kuaihl("score", tiny_flv, "-o", tmp_path / "out", "--model", damaged, "--asr", "none", cache=cache)
    assert result.returncode == 0, result.stderr
    told = [line for line in result.stderr.splitlines() if "cannot run" in line]
    assert len(told) == 1
    assert told[0].startswith("onnx fp32 cannot run step, torch fp32 does: ")
    assert "step-fp32.onnx: damaged" in told[0]
    settings = json.loads((tmp_path / "out" / "highlights.json").read_text(encoding="utf-8"))["settings"]
    assert settings["engine"] == "torch"


@pytest.mark.slow
def test_bench_times_every_engine_and_holds_its_scores_against_torch(
    bundle: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = kuaihl("bench", bundle, "--seconds", "0.05", "--json", cache=cache)
    assert (result.returncode, result.stderr) == (0, "")
    document = json.loads(result.stdout)
    assert (document["bundle"], document["device"], document["threads"]) == ("edge", "cpu", 1)
    assert set(document["processor"]) == {"name", "AVX2", "AVX-512", "VNNI", "AMX"}
    timed = [Timing(**each) for each in document["timings"]]
    compared = [Parity(**each) for each in document["parity"]]
    assert {(each.kind, each.precision, each.graph, each.batch) for each in timed} == {
        (kind, "fp32", graph, batch)
        for kind in ("torch", "onnx")
        for graph in SCORING_GRAPHS
        for batch in BATCHES[graph]
    }
    assert all(0 < each.p50 <= each.p99 and each.throughput > 0 for each in timed)
    assert [each.kind for each in compared] == ["torch", "onnx"]
    assert all(each.max_abs_difference <= 1e-4 and each.tau >= 0.999 for each in compared)
    assert compared[0].max_abs_difference == 0
    # The same as a table, which is tab-separated where standard output is no terminal.
    print_rows(timed, compared, "edge on cpu")
    heading, *rows = [tuple(line.split("\t")) for line in capsys.readouterr().out.splitlines()]
    assert heading == HEADINGS
    assert [row[:3] for row in rows] == [(each.graph, str(each.batch), f"{each.kind} fp32") for each in timed]
    assert {len(row) for row in rows} == {len(HEADINGS)}


@pytest.mark.slow
def test_every_graph_compiles_for_a_card_that_is_not_here_and_says_what_it_was_built_from(
    bundle: Path, cache: Path
) -> None:
    rtx = pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")
    options = ["--to", "tensorrt-rtx", "--precision", "fp16", "--compute-capability", "8.9"]
    result = kuaihl("export", bundle, *options, cache=cache)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    files = {
        name: bundle / "engines" / f"{name}-sm89-tensorrt-rtx-{rtx.__version__}-fp16.engine" for name in GRAPH_NAMES
    }
    assert {path.stem for path in (bundle / "engines").iterdir()} == {file.stem for file in files.values()}
    for name, file in files.items():
        facts, origin = facts_of(file), facts_of(bundle / "onnx" / f"{name}-fp16.onnx")
        assert (facts["graph"], facts["kind"], facts["precision"]) == (name, "tensorrt-rtx", "fp16")
        assert (facts["compute_capability"], facts["tensorrt"]) == ("8.9", rtx.__version__)
        assert (facts["onnx_sha256"], facts["source_sha256"]) == (origin["sha256"], origin["source_sha256"])
    assert facts_of(bundle / "onnx" / "step-fp16.onnx")["parity"]["max_abs_difference"] <= 5e-3
    assert result.stderr.splitlines()[-1] == f"wrote {bundle}/"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "onnx", "--precision", "int8"], ["--sample"]),
        (["--to", "onnx", "--graphs", "step,nonsense"], ["--graphs nonsense", "step, window, vision, text"]),
        (["--to", "onnx", "--compute-capability", "8.9"], ["--compute-capability", "tensorrt-rtx"]),
        (["--to", "onnx", "--target", "vnni"], ["--target vnni", "--precision int8"]),
        (["--to", "coreml"], ["coreml", "kuaihl export --help"]),
        ([], ["--to", "kuaihl export --help"]),
    ],
)
def test_options_that_cannot_be_end_with_2_before_a_model_is_loaded(
    cache: Path, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    result = kuaihl("export", "edge", *arguments, "-o", tmp_path / "new", cache=cache, timeout=30)
    assert_one_line(result, 2, *words)
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(importlib.util.find_spec("tensorrt") is not None, reason="tensorrt is installed")
def test_tensorrt_without_its_package_ends_with_2(cache: Path) -> None:
    result = kuaihl("export", "edge", "--to", "tensorrt", cache=cache, timeout=30)
    assert_one_line(result, 2, "tensorrt is not installed")


def test_a_capability_that_tensorrt_lacks_is_refused_with_those_it_has(cache: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")
    options = ["--to", "tensorrt-rtx", "--compute-capability", "9.0"]
    assert_one_line(kuaihl("export", "edge", *options, cache=cache, timeout=30), 2, "9.0", "8.6, 8.9, 12.0")


def test_a_folder_that_holds_something_is_not_written_over(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    result = kuaihl("export", "edge", "--to", "onnx", "--output", tmp_path, cache=cache, timeout=30)
    assert_one_line(result, 2, str(tmp_path), "--output")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("command", [["export", "nowhere", "--to", "onnx"], ["bench", "nowhere"]])
def test_a_bundle_that_is_not_there_ends_with_4(cache: Path, command: list[str]) -> None:
    assert_one_line(kuaihl(*command, cache=cache, timeout=30), 4, "nowhere", "bundle")


def test_a_copy_that_was_killed_in_the_middle_is_gone_on_with(tmp_path: Path) -> None:
    """What a kill leaves: nothing, a head alone, or the bundle with some of its graphs."""
    source, output = load_bundle("edge"), tmp_path / "copy"
    output.mkdir()
    (output / ".0a1b2c.part").write_bytes(b"half a head")
    assert copy_of(source, output).path == output
    (output / "bundle.json").unlink()
    copy_of(source, output)
    (output / "onnx").mkdir()
    copy_of(source, output)
    assert load_bundle(output).head_sha256 == source.head_sha256


@pytest.mark.parametrize("found", ["notes.txt", "bundle.json"])
def test_a_copy_never_goes_into_a_folder_of_something_else(tmp_path: Path, found: str) -> None:
    (tmp_path / found).write_text("precious")
    with pytest.raises(UsageError, match="there already"):
        copy_of(load_bundle("edge"), tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(found, "precious")]
