"""The command that measures on a card, run dry: small networks on the CPU, and a report of every part."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import REPOSITORY

COMMAND = [sys.executable, str(REPOSITORY / "benchmarks" / "gpu.py"), "--dry"]


@pytest.mark.slow
def test_a_dry_run_reports_every_part_without_a_card(tmp_path: Path) -> None:
    parts = ["head", "encoders", "training"]
    subprocess.run([*COMMAND, "--output", str(tmp_path), "--only", *parts], check=True, capture_output=True)
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    ran = {(row["part"], row["what"]): row for row in rows if row["seconds"] is not None}
    for part, what in (
        ("ceilings", "matrix product bf16"),
        ("head, small", "eager"),
        ("head, small", "torch.compile"),
        ("head, small", "ONNX Runtime, cpu"),
        ("vision, small", "eager fp16"),
        ("text, small", "eager fp32"),
        ("training step, small", "cpu, fp32"),
    ):
        assert ran[part, what]["seconds"] > 0, (part, what)
    assert all("TOO FAR" not in row["note"] for row in rows)
    assert all(row["note"].startswith("skipped: ") for row in rows if row["seconds"] is None)
    table = (tmp_path / "gpu.md").read_text()
    assert "| what | size | ms | floor, ms | times the floor | note |" in table
    assert table.count("\n| ") == len(rows) + table.count("### ")


def test_kuaihl_need_not_be_installed(tmp_path: Path) -> None:
    """`-S` leaves out what is installed; the links alone bring kuaihl and its command."""
    sys_path = f"import sys; sys.path.insert(0, {str(REPOSITORY / 'benchmarks')!r}); "
    code = "import gpu, pathlib; gpu.make_importable(pathlib.Path('.'), None); import kuaihl.models.dims, kuaihl_cli; "
    command = [sys.executable, "-S", "-c", sys_path + code + "print(kuaihl.models.dims.__file__)"]
    found = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()
    assert Path(found).resolve() == REPOSITORY / "models" / "dims.py"


def test_the_tests_for_a_card_are_found() -> None:
    sys.path.insert(0, str(REPOSITORY / "benchmarks"))
    from gpu import gpu_test_files

    names = {str(file.relative_to(REPOSITORY)) for file in gpu_test_files()}
    assert {"tests/models/test_on_gpu.py", "tests/engines/test_on_gpu.py"} <= names
    assert "tests/engines/runtimes/test_tensorrt_runtime.py" in names
