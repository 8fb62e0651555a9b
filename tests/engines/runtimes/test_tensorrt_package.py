"""TensorRT's packages: there, not there, and there without their libraries."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import kuaihl.engines
from kuaihl.engines.runtimes.tensorrt_package import Complaints, gpu_of, load_tensorrt
from kuaihl.models.errors import UsageError

ASK = """
from kuaihl.engines.runtimes.tensorrt_package import load_tensorrt
from kuaihl.models.errors import UsageError
try:
    load_tensorrt("tensorrt-rtx")
except UsageError as error:
    print(error)
"""


def ask_beside(folder: Path) -> str:
    """What loading says in a Python that has kuaihl, and beside it what lies in `folder`, alone."""
    (folder / "kuaihl").symlink_to(Path(kuaihl.engines.__path__[0]).parent)
    command = [sys.executable, "-S", "-c", ASK]
    found = subprocess.run(command, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=True)
    return found.stdout.strip()


def test_a_missing_package_says_how_to_install_it(tmp_path: Path) -> None:
    assert ask_beside(tmp_path) == "tensorrt-rtx is not installed; pip install 'kuaihl[tensorrt-rtx]'"


def test_a_package_without_its_libraries_says_so_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    for name in ("tensorrt_rtx", "tensorrt_rtx_bindings"):  # and not tensorrt_rtx_libs
        spec = find_spec(name)
        assert spec and spec.origin
        shutil.copytree(Path(spec.origin).parent, tmp_path / name)
    said = ask_beside(tmp_path)
    assert said.startswith("tensorrt-rtx is installed without libraries that fit (libtensorrt")
    assert said.endswith("; pip install 'kuaihl[tensorrt-rtx]'")
    assert "\n" not in said


@pytest.mark.skipif(find_spec("tensorrt") is not None, reason="the full tensorrt is installed here")
def test_the_full_package_is_said_to_come_from_nvidias_own_index() -> None:
    with pytest.raises(UsageError, match=r"tensorrt is not installed; .* from NVIDIA's own package index$"):
        load_tensorrt("tensorrt")


def test_a_package_is_loaded_once_with_its_version() -> None:
    module = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    found = load_tensorrt("tensorrt-rtx")
    assert found.version == module.__version__
    assert load_tensorrt("tensorrt-rtx") is found


def test_the_first_complaint_is_kept_as_one_line() -> None:
    complaints = Complaints()
    assert complaints.first_line() == "it gave no reason"
    for number in range(1000):
        complaints.add(f"cause\n  {number}")
    assert complaints.first_line() == "cause 0"
    assert len(complaints.said) < 100
    complaints.clear()
    complaints.add("x" * 10_000)
    assert len(complaints.first_line()) <= 300


def test_a_cpu_is_no_gpu() -> None:
    assert gpu_of("cpu") is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_machine_without_a_gpu_has_none() -> None:
    assert gpu_of("cuda") is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU, and there is none here")
def test_a_gpu_has_a_name_and_a_capability() -> None:
    gpu = gpu_of("cuda")
    assert gpu and gpu.name
    assert gpu.capability == ".".join(map(str, torch.cuda.get_device_capability()))
