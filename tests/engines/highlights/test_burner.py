"""Captions in the picture: at the bottom, at their time, white with a black edge."""

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from kuaihl.engines.highlights.burner import Burner, check_fonts
from kuaihl.engines.highlights.captions import Caption
from kuaihl.models.errors import UsageError

WIDTH, HEIGHT = 320, 180
LINES = [Caption(1.0, 2.0, "what a goal"), Caption(2.0, 3.0, "again and again and again and again and again and again")]


def grey_frame() -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.full((HEIGHT * 3 // 2, WIDTH), 90, np.uint8), format="yuv420p")
    frame.pts, frame.time_base = 3, Fraction(1, 25)
    return frame


def drawn(burner: Burner, time: float) -> NDArray[Any]:
    frame = burner.draw(grey_frame(), time)
    assert (frame.pts, frame.time_base) == (3, Fraction(1, 25))
    pixels: NDArray[Any] = frame.to_ndarray()
    return pixels


def rows_of_text(pixels: NDArray[Any]) -> NDArray[Any]:
    return np.flatnonzero((pixels[:HEIGHT] > 200).any(axis=1))


def test_a_caption_is_there_at_its_time_alone() -> None:
    burner = Burner(LINES)
    seen = [len(rows_of_text(drawn(burner, time))) for time in (0.0, 0.99, 1.0, 1.99, 2.0, 2.99, 3.0, 9.0)]
    assert [rows > 0 for rows in seen] == [False, False, True, True, True, True, False, False]
    assert seen[4] > seen[2], "the second one needs more lines"


def test_it_lies_in_the_lower_middle_with_a_dark_edge_and_leaves_the_rest() -> None:
    pixels = drawn(Burner(LINES), 1.5)
    rows = rows_of_text(pixels)
    assert rows.min() > HEIGHT * 0.7 and rows.max() < HEIGHT * 0.95
    columns = np.flatnonzero((pixels[:HEIGHT] > 200).any(axis=0))
    assert abs((columns.min() + columns.max()) / 2 - WIDTH / 2) < 4
    assert pixels[rows.min() - 1 : rows.max() + 2, :].min() < 30, "the edge"
    assert (pixels[: int(HEIGHT * 0.7)] == 90).all()
    colours = pixels[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    assert (colours[:, : HEIGHT // 3] == 90).all() and (colours == 128).any(), "letters have no colour"


def test_no_line_is_wider_than_the_picture() -> None:
    for text in ("w" * 200, "word " * 14, "W"):
        pixels = drawn(Burner([Caption(0.0, 1.0, text)]), 0.5)
        columns = np.flatnonzero((pixels[:HEIGHT] > 200).any(axis=0))
        assert columns.min() >= WIDTH // 20 - 2 and columns.max() <= WIDTH - WIDTH // 20 + 2


def test_emoji_alone_draw_nothing_and_raise_nothing() -> None:
    assert (drawn(Burner([Caption(0.0, 1.0, "😀 👩‍👩‍👧")]), 0.5) == 90).all()


def test_letters_that_no_font_has_are_named() -> None:
    check_fonts([Caption(0.0, 1.0, "what a goal 😀"), Caption(1.0, 2.0, "Что за гол")])
    with pytest.raises(UsageError, match=r"no font of this machine can draw '\U00012000'") as refused:
        check_fonts([Caption(0.0, 1.0, "a \U00012000")])  # cuneiform
    assert (refused.value.setting, refused.value.value) == ("captions", "burn")
