"""A picture in another aspect: its middle, or all of it over a blurred copy."""

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from kuaihl.engines.highlights.clip_style import FitName
from kuaihl.engines.highlights.framing import Framing, Painter, Shape, frame_size

WIDTH, HEIGHT = 320, 180


def picture() -> av.VideoFrame:
    """Dark to the left, grey in the middle third, bright to the right; the upper half has a white line."""
    grey = np.repeat(np.array([[40, 120, 200]], np.uint8), HEIGHT, 0).repeat([107, 106, 107], 1)
    grey[20:24] = 235
    planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    planes[:HEIGHT] = grey
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.pts, frame.time_base = 7, Fraction(1, 25)
    return frame


def paint(framing: Framing, shape: Shape | None = None) -> NDArray[Any]:
    first = picture()
    painter = Painter(shape or Shape(WIDTH, HEIGHT), first, framing)
    (painted,) = [*painter.paint(first), *painter.paint(None)]
    assert painted.pts is not None and painted.time_base is not None
    assert painted.pts * painted.time_base == Fraction(7, 25)
    assert (painted.width, painted.height) == painter.size and painted.format.name == "yuv420p"
    grey: NDArray[Any] = painted.to_ndarray()[: painted.height]
    return grey


@pytest.mark.parametrize(
    ("shape", "aspect", "fit", "size"),
    [
        (Shape(1920, 1080), (9, 16), "crop", (608, 1080)),
        (Shape(1920, 1080), (9, 16), "blur", (1080, 1920)),
        (Shape(1280, 720), (9, 16), "blur", (720, 1280)),
        (Shape(1280, 720), (1, 1), "crop", (720, 720)),
        (Shape(1080, 1920), (16, 9), "crop", (1080, 608)),
        (Shape(1080, 1920), (9, 16), "crop", (1080, 1920)),
        (Shape(720, 576, Fraction(64, 45)), (16, 9), "crop", (1024, 576)),
        (Shape(1920, 1080, turns=1), (9, 16), "crop", (1080, 1920)),
        (Shape(637, 359), (4, 5), "crop", (288, 360)),
        (Shape(637, 359), (21, 9), "blur", (636, 272)),
    ],
)
def test_sizes_are_even_and_keep_the_pictures_own(
    shape: Shape, aspect: tuple[int, int], fit: FitName, size: tuple[int, int]
) -> None:
    assert frame_size(shape, Framing(aspect, fit)) == size


def test_a_crop_is_the_middle_of_the_picture() -> None:
    cropped = paint(Framing((9, 16), "crop"))
    assert cropped.shape == (180, 102)
    assert np.array_equal(cropped, picture().to_ndarray()[:HEIGHT, 109:211])


def test_a_blurred_canvas_has_the_whole_picture_in_its_middle() -> None:
    canvas = paint(Framing((9, 16), "blur"))
    assert canvas.shape == (320, 180)
    height = 102  # 180 wide: the picture at 9/16 of its size
    inside = canvas[(320 - height) // 2 : (320 + height) // 2]
    assert abs(inside[60:-2, 5].astype(int) - 40).max() < 4 and abs(inside[60:-2, -5].astype(int) - 200).max() < 4
    assert inside[9:15, 30:150].max(axis=0).min() > 180, "the white line"
    beside = np.concatenate([canvas[:105], canvas[215:]]).astype(int)
    assert abs(np.diff(beside, axis=0)).max() < 10 and abs(np.diff(beside, axis=1)).max() < 10, "no edge is left"
    assert beside.std() > 5, "but a copy"


def test_pixels_that_are_not_square_become_so() -> None:
    assert paint(Framing(), Shape(WIDTH, HEIGHT, Fraction(4, 3))).shape == (180, 426)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_picture_is_turned_upright(turns: int) -> None:
    turned = np.rot90(picture().to_ndarray()[:HEIGHT], turns)
    assert np.array_equal(paint(Framing(), Shape(WIDTH, HEIGHT, turns=turns)), turned)


def test_a_picture_that_changes_its_size_is_brought_to_the_first_ones() -> None:
    painter = Painter(Shape(WIDTH, HEIGHT), picture(), Framing((1, 1), "crop"))
    smaller = picture().reformat(160, 90)
    smaller.pts, smaller.time_base = 9, Fraction(1, 25)
    painted = [*painter.paint(picture()), *painter.paint(smaller), *painter.paint(None)]
    assert [(one.width, one.height, one.pts) for one in painted] == [(180, 180, 7), (180, 180, 9)]
