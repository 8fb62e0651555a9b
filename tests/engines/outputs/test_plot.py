"""The picture shows the curve where it belongs and the highlights where they are."""

import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from kuaihl.engines.outputs.plot import HEIGHT, WIDTH, plot_scores
from kuaihl.engines.types import Event, Highlight, ScoredSegment
from kuaihl.models.errors import UsageError


def stream(length: int = 40) -> list[ScoredSegment]:
    return [
        ScoredSegment(
            index, index * 30.0, index * 30.0 + 30, index * 30.0 + 30, index * 30.0 + 60,
            0.8 if index in (19, 20) else 0.4, "", 0, False, 0.0,
        )
        for index in range(length)
    ]  # fmt: skip


def pixels(path: Path) -> NDArray[np.int_]:
    with Image.open(path) as image:
        assert image.size == (WIDTH, HEIGHT)
        return np.asarray(image.convert("RGB")).astype(int)


def orange_share(picture: NDArray[np.int_]) -> float:
    """Share of the columns of the axes that are shaded orange, a fifth of the way up."""
    row = picture[HEIGHT * 7 // 10]
    return float(np.mean(row[:, 0] - row[:, 2] > 25))


def test_highlights_are_shaded_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "scores.png"
    plot_scores(stream(), [Highlight(600.0, 660.0, 0.8, (20, 21))], path)
    picture = pixels(path)
    row = picture[HEIGHT * 7 // 10]
    shaded = np.flatnonzero(row[:, 0] - row[:, 2] > 25)
    assert len(shaded) and shaded[-1] - shaded[0] < 100
    # 600 of 1200 s is the middle of the axes, which begin some 70 and end some 50 pixels from the borders.
    assert 0.49 * WIDTH < shaded[0] < 0.53 * WIDTH
    plot_scores(stream(), [], path)
    assert orange_share(pixels(path)) == 0.0


def test_the_first_segment_has_no_curve_for_nobody_predicted_it(tmp_path: Path) -> None:
    path = tmp_path / "scores.png"
    plot_scores(stream(4), [], path)
    row = pixels(path)[HEIGHT * 8 // 10]
    filled = np.flatnonzero((row[:, 2] - row[:, 0] > 5) & (row[:, 0] < 250))
    assert 0.2 * WIDTH < filled[0] < 0.32 * WIDTH


def test_interest_is_a_second_line_over_its_own_segment(tmp_path: Path) -> None:
    path = tmp_path / "scores.png"
    both = [replace(one, interest=0.9 if one.segment == 20 else 0.4) for one in stream()]
    plot_scores(both, [], path)
    picture = pixels(path)[60:420]  # without the legend
    red = np.flatnonzero((picture[..., 0] - picture[..., 2] > 100).any(axis=0))
    assert red[-1] - red[0] > 0.85 * WIDTH, "the first and the last segment have an interest"
    high = np.flatnonzero((picture[: HEIGHT // 5, :, 0] - picture[: HEIGHT // 5, :, 2] > 100).any(axis=0))
    # 600 to 630 of 1200 s, as in the test above.
    assert 0.49 * WIDTH < high[0] <= high[-1] < 0.55 * WIDTH
    plot_scores(stream(), [], path)
    assert not (pixels(path)[..., 0] - pixels(path)[..., 2] > 100).any()


def test_missing_media_is_hatched(tmp_path: Path) -> None:
    gap = stream()
    gap[10] = replace(gap[10], gap=True, events=(Event("gap", 300.0, "missing"),))
    plot_scores(stream(), [], tmp_path / "whole.png")
    plot_scores(gap, [], tmp_path / "gap.png")
    changed = np.flatnonzero(
        np.any(pixels(tmp_path / "whole.png")[100:400] != pixels(tmp_path / "gap.png")[100:400], (0, 2))
    )
    assert len(changed) and 0.25 * WIDTH < changed[0] <= changed[-1] < 0.30 * WIDTH


@pytest.mark.parametrize("length", [0, 1, 2, 3, 3000])
def test_streams_of_any_length_can_be_drawn(tmp_path: Path, length: int) -> None:
    plot_scores(stream(length), [], tmp_path / "scores.png")
    pixels(tmp_path / "scores.png")


def test_a_hostile_title_is_drawn_as_it_is(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_scores(stream(), [], tmp_path / "scores.png", title="$\\frac{ {_^ 直播间 <b>")
    pixels(tmp_path / "scores.png")


def test_a_place_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        plot_scores(stream(), [], tmp_path / "nowhere" / "scores.png")


def test_nothing_of_matplotlib_is_imported_until_a_picture_is_drawn() -> None:
    import subprocess

    code = "import sys, kuaihl.engines.outputs.plot; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
