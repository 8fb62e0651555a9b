"""The device of tests marked `gpu`: a card, or the CPU if KUAIHL_TEST_DEVICE says so, to run their logic anywhere."""

import os
from collections.abc import Callable
from typing import TypeVar

import pytest
import torch

DEVICE = os.environ.get("KUAIHL_TEST_DEVICE", "cuda")
ON_CARD = DEVICE != "cpu"

Test = TypeVar("Test", bound=Callable[..., None])


def gpu_test(function: Test) -> Test:
    """Mark a test `gpu`; it skips with the reason if there is no card."""
    missing = ON_CARD and not torch.cuda.is_available()
    return pytest.mark.gpu(pytest.mark.skipif(missing, reason="needs an NVIDIA GPU, and there is none here")(function))
