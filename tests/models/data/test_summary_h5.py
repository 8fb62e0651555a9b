"""TVSum and SumMe as the community stores them, checked array against array."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from kuaihl.models.data.summary_h5 import read_splits, read_summaries, summary_keys
from kuaihl.models.errors import DataError

FRAMES = 100


def video(seed: int) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    picks = np.arange(0, FRAMES, 15)
    return {
        "features": draw.normal(size=(len(picks), 1024)).astype(np.float32),
        "gtscore": draw.random(len(picks)).astype(np.float32),
        "gtsummary": draw.integers(0, 2, len(picks)).astype(np.float32),
        "user_summary": draw.integers(0, 2, (20, FRAMES)).astype(np.float32),
        "change_points": np.array([[0, 39], [40, 99]], np.int32),
        "n_frame_per_seg": np.array([40, 60], np.int32),
        "n_frames": np.array(FRAMES),
        "n_steps": np.array(len(picks)),
        "picks": picks.astype(np.int32),
        "video_name": "Air_Force_One",
    }


def h5_file(folder: Path, videos: dict[str, dict[str, Any]]) -> Path:
    path = folder / "eccv16_dataset_summe_google_pool5.h5"
    with h5py.File(path, "w") as file:
        for key, arrays in videos.items():
            for name, array in arrays.items():
                file.create_dataset(f"{key}/{name}", data=array)
    return path


def splits_file(folder: Path, splits: object) -> Path:
    (folder / "splits.json").write_text(json.dumps(splits))
    return folder / "splits.json"


def test_videos_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    written = {f"video_{number}": video(number) for number in (10, 2, 1)}
    path = h5_file(tmp_path, written)
    assert summary_keys(path) == ("video_1", "video_2", "video_10")
    for found in read_summaries(path):
        expected = written[found.key]
        for name in ("features", "gtscore", "user_summary", "change_points", "picks"):
            np.testing.assert_array_equal(getattr(found, name), expected[name])
        assert (found.n_frames, found.name) == (FRAMES, "Air_Force_One")
    assert [found.key for found in read_summaries(path, ["video_10"])] == ["video_10"]


def test_scores_of_sampled_frames_hold_until_the_next(tmp_path: Path) -> None:
    (one,) = read_summaries(h5_file(tmp_path, {"video_1": video(1)}))
    scores = one.to_frames(np.arange(7.0))
    np.testing.assert_array_equal(scores, np.arange(FRAMES) // 15)


def test_the_published_splits_are_read_whatever_stands_before_their_keys(tmp_path: Path) -> None:
    keys = [f"video_{number}" for number in range(1, 6)]
    path = splits_file(
        tmp_path,
        [
            {
                "train_keys": [f"../data/eccv16_dataset_tvsum_google_pool5.h5/{key}" for key in keys if key != test],
                "test_keys": [test],
            }
            for test in keys
        ],
    )
    splits = read_splits(path, keys)
    assert [split.test for split in splits] == [(key,) for key in keys]
    assert all({*split.train, *split.test} == set(keys) for split in splits)


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"train_keys": []}, "no list of"),
        ([{"train_keys": ["video_1"]}], "no list of"),
        ([{"train_keys": [1], "test_keys": ["video_1"]}], "no list of"),
        ([{"train_keys": ["video_1"], "test_keys": ["video_9"]}], "video_9 is no video"),
        ([{"train_keys": ["video_1"], "test_keys": ["x/video_1"]}], "what it trains on"),
        ([{"train_keys": ["video_1"], "test_keys": []}], "tests on nothing"),
    ],
)
def test_splits_that_cannot_be_are_told(tmp_path: Path, splits: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_splits(splits_file(tmp_path, splits), ["video_1", "video_2"])


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("picks", np.arange(6), "picks do not rise"),
        ("picks", np.arange(0, 105, 15)[::-1].copy(), "picks do not rise"),
        ("picks", np.arange(0, 140, 20), "picks do not rise"),
        ("gtscore", np.full(7, 1.5), "gtscore is not 7 numbers"),
        ("gtscore", np.ones(8), "gtscore is not 7 numbers"),
        ("user_summary", np.ones((20, 99)), "user_summary is not of 100 frames"),
        ("user_summary", np.ones(100), "user_summary has shape"),
        ("change_points", np.array([[40, 20]]), "change_points"),
        ("change_points", np.array([[0, 1000]]), "change_points"),
        ("features", np.full((7, 1024), np.nan), "features hold NaN"),
        ("features", np.ones(7), "features has shape"),
    ],
)
def test_arrays_that_do_not_fit_together_are_named(tmp_path: Path, name: str, wrong: Any, said: str) -> None:
    path = h5_file(tmp_path, {"video_1": video(1), "video_2": video(2) | {name: wrong}})
    assert len(read_summaries(path, ["video_1"])) == 1
    with pytest.raises(DataError, match="video_2") as told:
        read_summaries(path)
    assert said in str(told.value)


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    without = {name: array for name, array in video(1).items() if name != "user_summary"}
    path = h5_file(tmp_path, {"video_1": without})
    with pytest.raises(DataError, match="video_1: has no user_summary"):
        read_summaries(path)
    with pytest.raises(DataError, match="has no video_7"):
        read_summaries(path, ["video_7"])
    (tmp_path / "other.h5").write_text("not HDF5")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        read_summaries(tmp_path / "other.h5")
