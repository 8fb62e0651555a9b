"""yt-dlp's heat map as labels: in time, in [0, 1], and told apart from what is none."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from kuaihl.engines.datasets.heatmap import read_heatmap
from kuaihl.models.errors import DataError


def recording(folder: Path, **info: object) -> Path:
    (folder / "video.info.json").write_text(json.dumps(info), encoding="utf-8")
    return folder / "video.mp4"


def spans(values: list[float], seconds: float) -> list[dict[str, float]]:
    return [
        {"start_time": seconds * place, "end_time": seconds * (place + 1), "value": value}
        for place, value in enumerate(values)
    ]


def test_a_segments_rate_is_the_mean_of_the_map_over_its_time(tmp_path: Path) -> None:
    heat = read_heatmap(recording(tmp_path, heatmap=spans([1.0, 0.5, 0.0, 0.25], 20.0)))
    starts, ends = np.array([0.0, 30.0, 60.0]), np.array([30.0, 60.0, 80.0])
    rates = heat.average_rates(starts, ends)
    np.testing.assert_allclose(rates, [(20 * 1.0 + 10 * 0.5) / 30, (10 * 0.5 + 20 * 0.0) / 30, 0.25], rtol=1e-6)
    assert rates.dtype == np.float32


def test_a_map_a_little_shorter_than_the_recording_goes_on_as_it_ends(tmp_path: Path) -> None:
    heat = read_heatmap(recording(tmp_path, heatmap=spans([0.0, 0.8], 45.0)))
    np.testing.assert_allclose(heat.average_rates(np.array([0.0, 60.0]), np.array([60.0, 95.0])), [0.2, 0.8], rtol=1e-6)
    with pytest.raises(DataError, match="two videos"):
        heat.average_rates(np.array([0.0, 60.0, 300.0]), np.array([60.0, 120.0, 400.0]))


def test_whose_it_is_and_when_it_began_are_read_too(tmp_path: Path) -> None:
    stamp = int(datetime(2025, 5, 17, 12, tzinfo=UTC).timestamp())
    heat = read_heatmap(
        recording(tmp_path, heatmap=spans([0.1], 9.0), channel_id="UC123", release_timestamp=stamp, timestamp=1)
    )
    assert heat.channel == "UC123"
    assert heat.start_time == datetime(2025, 5, 17, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("heatmap", "said"),
    [
        (None, "has no heatmap"),
        ([], "has no heatmap"),
        ("everywhere", "kind that is not known"),
        ([{"start": 0}], "kind that is not known"),
        (spans([0.5, 1.5], 20.0), "span 1"),
        (spans([0.5, float("nan")], 20.0), "span 1"),
        (spans([0.5, 0.5, 0.5], 20.0)[::2], "span 1"),
        (spans([0.5, 0.5], 20.0)[1:], "span 0"),
    ],
)
def test_what_is_no_heat_map_is_told(tmp_path: Path, heatmap: object, said: str) -> None:
    with pytest.raises(DataError, match=said) as told:
        read_heatmap(recording(tmp_path, heatmap=heatmap))
    assert "video.info.json" in str(told.value)


def test_a_missing_or_broken_info_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--write-info-json"):
        read_heatmap(tmp_path / "video.mp4")
    (tmp_path / "video.info.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        read_heatmap(tmp_path / "video.mp4")
