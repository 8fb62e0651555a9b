"""The server that plays a recording in real time to the rooms of benchmarks/serving.py."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from support.paths import EXAMPLES, REPOSITORY


@pytest.fixture(scope="module")
def paced() -> ModuleType:
    path = REPOSITORY / "benchmarks" / "serving_rooms" / "paced.py"
    spec = importlib.util.spec_from_file_location("paced", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_parcels_are_the_recording_in_order_and_due_by_its_clock(paced: ModuleType) -> None:
    flv = Path(EXAMPLES / "demo.flv").read_bytes()
    head, parcels = paced.cut(flv)
    assert head + b"".join(data for _, data in parcels) == flv
    dues = [due for due, _ in parcels]
    assert dues[0] == 0.0 and dues == sorted(dues)
    assert dues[-1] == pytest.approx(270, abs=1.0)
