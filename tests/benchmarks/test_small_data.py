"""What a few rooms are worth: a bundle's taus over held-out rooms, for both questions."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

from small_data import taus_of
from support.small_dataset import small_dataset

from kuaihl.models.bundle import save_bundle
from kuaihl.models.data.klive import open_klive
from kuaihl.models.dims import NetworkDims
from kuaihl.models.facts import LabelFacts
from kuaihl.models.network.kuaihl import KuaiHL


@pytest.mark.parametrize("interest", [False, True])
def test_a_network_without_the_second_output_is_asked_both_questions_of_its_score(
    tmp_path: Path, interest: bool
) -> None:
    torch.manual_seed(0)
    dims = NetworkDims(visual_width=10, text_width=6, patches=3, width=16, heads=2, window=5, interest=interest)
    facts = {"profile": "edge", "encoders": (), "label": LabelFacts(), "licence_weights": "", "licence_data": ""}
    save_bundle(tmp_path / "bundle", KuaiHL(dims), **facts)  # type: ignore[arg-type]
    found = taus_of(str(tmp_path / "bundle"), open_klive(small_dataset(tmp_path / "set", train=1)))
    assert [len(found[question]) for question in ("next", "present")] == [5, 5]  # 3 rooms of validation, 2 of test
    assert all(np.isfinite(taus).all() and (taus != 0).any() for taus in found.values())
