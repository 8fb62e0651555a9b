"""The two histograms: a bar is as high as rooms fall into it, and the threshold of the paper divides light and dark."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from kuaihl.engines.outputs.plot import CURVE, FAINT, HEIGHT, WIDTH
from kuaihl.engines.outputs.plot_rooms import STEP, VIEWERS, bar_edges, draw, plot_rooms
from kuaihl.models.errors import UsageError


def test_edges_are_even_on_a_logarithmic_axis_and_one_is_the_threshold() -> None:
    edges = bar_edges(np.array([60.0, 250.0]), 100)
    np.testing.assert_allclose(edges[1:] / edges[:-1], STEP)
    assert np.isclose(edges, 100).sum() == 1
    assert edges[0] <= 60 < edges[1]
    assert edges[-2] <= 250 < edges[-1]


@pytest.mark.parametrize("values", [[], [0.0], [5.0], [100.0], [400.0, 900.0]])
def test_there_are_edges_around_whatever_is_there(values: list[float]) -> None:
    edges = bar_edges(np.array(values), 100)
    assert len(edges) >= 2
    assert edges[0] <= 100 <= edges[-1] * (1 + 1e-9)
    assert all(edges[0] <= value < edges[-1] for value in values if value)


def test_bars_count_rooms_and_are_dark_above_the_threshold() -> None:
    axes = Figure().add_subplot()
    draw(axes, np.array([61.0, 62.0, 99.0, 101.0, 102.0, 103.0, 900.0]), 100, VIEWERS, "above 100 viewers")
    bars = axes.patches
    heights = dict.fromkeys((CURVE, FAINT), 0.0)
    for bar in bars:
        heights[to_hex(bar.get_facecolor())] += bar.get_height()  # type: ignore[attr-defined]
    assert heights == {CURVE: 4, FAINT: 3}
    assert axes.get_title(loc="right") == "57% above 100 viewers"


def test_it_writes_a_picture_even_where_no_room_has_views(tmp_path: Path) -> None:
    plot_rooms(np.array([0.5, 1.0, 2.0]), np.empty(0), tmp_path / "rooms.png", title="mine")
    with Image.open(tmp_path / "rooms.png") as image:
        assert image.size == (WIDTH, HEIGHT)
        dark = (np.asarray(image.convert("RGB")).astype(int) == [0x1F, 0x4E, 0x79]).all(axis=2)
    assert dark[:, : WIDTH // 2].sum() > 1000
    assert dark[:, WIDTH // 2 :].sum() == 0


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        plot_rooms(np.array([1.0]), np.array([100.0]), tmp_path / "nowhere" / "rooms.png")
