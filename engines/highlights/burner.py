"""Captions drawn into pictures. FFmpeg's own filter for it needs libass, which PyAV's wheels are built without."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.highlights.captions import Caption, font_size
from kuaihl.engines.highlights.framing import PIXELS
from kuaihl.models.errors import UsageError

if TYPE_CHECKING:
    from av import VideoFrame

# Files of fonts: the first that has all letters of a caption is taken. Any other of the machine comes after them.
_FONTS = (
    *("notosans-regular", "notosanscjk-regular", "notosanscjksc-regular", "sourcehansanssc-regular", "arial"),
    *("liberationsans-regular", "dejavusans", "pingfang", "msyh", "wqy-microhei", "wqy-zenhei"),
)
_SLANTED = re.compile("bold|italic|oblique|black|light|thin|condensed|mono", re.IGNORECASE)
_MARGIN = 1 / 16  # of the height, below the captions, and of the width beside them
_LINE = 1.25  # of a letter's height


@dataclass
class Burner:
    """Draws the captions of a clip, white with a black edge, at the bottom; times on the run's clock, in order."""

    captions: Sequence[Caption]
    at: int = 0
    drawn: "tuple[int, _Patch] | None" = field(default=None, repr=False)

    def draw(self, frame: "VideoFrame", time: float) -> "VideoFrame":
        """The yuv420p frame with the caption of its time, if there is one."""
        import av

        while self.at < len(self.captions) and self.captions[self.at].end <= time:
            self.at += 1
        if self.at == len(self.captions) or self.captions[self.at].start > time:
            return frame
        if self.drawn is None or self.drawn[0] != self.at:
            self.drawn = self.at, _render(self.captions[self.at].text, frame.width, frame.height)
        pixels: Any = frame.to_ndarray()
        self.drawn[1].blend(pixels)
        burnt = av.VideoFrame.from_ndarray(pixels, format=PIXELS)
        burnt.pts, burnt.time_base = frame.pts, frame.time_base
        burnt.color_range, burnt.colorspace = frame.color_range, frame.colorspace
        burnt.color_primaries, burnt.color_trc = frame.color_primaries, frame.color_trc
        return burnt


@dataclass(frozen=True)
class _Patch:
    """A caption as brightness and opacity over a picture's last rows, from an even row on."""

    top: int
    luma: NDArray[np.float32]  # [rows, width], as stored, 16 to 235
    opacity: NDArray[np.float32]  # [rows, width], 0 to 1

    def blend(self, pixels: NDArray[np.uint8]) -> None:
        """Draw it into a yuv420p picture, [height * 3 / 2, width]."""
        height, width = pixels.shape[0] * 2 // 3, pixels.shape[1]
        rows = slice(self.top, self.top + len(self.luma))
        _mix(pixels[rows], self.luma, self.opacity)
        quarter = self.opacity.reshape(len(self.opacity) // 2, 2, width // 2, 2).mean(axis=(1, 3))
        colours = pixels[height:].reshape(2, height // 2, width // 2)  # a view: both planes follow each other
        for plane in colours:
            _mix(plane[rows.start // 2 : rows.stop // 2], np.float32(128.0), quarter)


def _mix(pixels: NDArray[np.uint8], colour: Any, opacity: NDArray[np.float32]) -> None:
    pixels[:] = np.rint(pixels + (colour - pixels) * opacity).astype(np.uint8)


def check_fonts(captions: Sequence[Caption]) -> None:
    """Raise UsageError if this machine has no font for the letters of a caption."""
    for one in captions:
        _font_for(one.text)


def _render(text: str, width: int, height: int) -> _Patch:
    from PIL import Image, ImageDraw, ImageFont

    letter = font_size(width, height)
    text = _drawable(text)
    font = ImageFont.truetype(_font_for(text), letter)
    edge = max(1, letter // 12)
    lines = _wrap(text, font, width * (1 - 2 * _MARGIN))
    step, foot = round(letter * _LINE), round(height * _MARGIN)
    top = max(0, height - foot - step * len(lines) - 2 * edge) // 2 * 2
    size = width, height - top
    grey, opacity = Image.new("L", size, 16), Image.new("L", size, 0)
    for row, line in enumerate(lines):
        place = (width // 2, edge + step * row)
        ImageDraw.Draw(opacity).text(place, line, 255, font, anchor="ma", stroke_width=edge, stroke_fill=255)
        ImageDraw.Draw(grey).text(place, line, 235, font, anchor="ma")
    return _Patch(top, np.asarray(grey, np.float32), np.asarray(opacity, np.float32) / np.float32(255))


def _wrap(text: str, font: Any, width: float) -> list[str]:
    """Lines of a text, none wider than the pixels given if a letter fits: between words, or between letters."""
    lines, line = list[str](), ""
    for word in text.split(" "):
        joined = f"{line} {word}".strip()
        if font.getlength(joined) <= width:
            line = joined
            continue
        lines += [line] if line else []
        line = ""
        for letter in word:
            if line and font.getlength(line + letter) > width:
                lines.append(line)
                line = ""
            line += letter
    return [*lines, line] if line else lines


def _drawable(text: str) -> str:
    """A text without what no font for text has: emoji and what joins them."""
    kept = "".join(one for one in text if unicodedata.category(one) != "So" and one not in "\u200d\ufe0e\ufe0f")
    return " ".join("".join(one for one in kept if not 0x1F3FB <= ord(one) <= 0x1F3FF).split())


def _font_for(text: str) -> str:
    """The file of a font that has all letters of a text. Raises UsageError if there is none."""
    needed = {one for one in _drawable(text) if not one.isspace()}
    for path in _fonts():
        if needed <= _letters(path):
            return path
    lacking = "".join(sorted(needed - set().union(*map(_letters, _fonts()))))[:20] or text[:20]
    raise UsageError(
        f"no font of this machine can draw '{lacking}'; install one for the language, such as Noto Sans CJK",
        setting="captions",
        value="burn",
    )


@cache
def _fonts() -> tuple[str, ...]:
    """Files of the machine's fonts, those for captions first."""
    import matplotlib
    from matplotlib.font_manager import findSystemFonts

    own = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"  # on any machine
    upright = [path for path in map(Path, findSystemFonts()) if not _SLANTED.search(path.stem)]
    ranks = {name: rank for rank, name in enumerate(_FONTS)}
    upright.sort(key=lambda path: (ranks.get(path.stem.lower(), len(ranks)), str(path)))
    return tuple(map(str, [*upright, own]))


@cache
def _letters(path: str) -> frozenset[str]:
    """The characters that a font has; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()
