"""Scenes drawn for the simulator: a topic, an amount of motion and a style in, pictures of an invented broadcast out.

A style fixes palette, layout and figures, as a streamer's overlay does; motion adds sparks, flashes and tilt.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kuaihl.engines.types import RgbImage
from kuaihl.models.simulation.terms import TOPICS

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

_WIDTH, _HEIGHT = 512, 288
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Style:
    """The look of one invented channel."""

    dark: Colour
    ground: Colour
    main: Colour
    accent: Colour
    skin: Colour
    hair: Colour
    camera_left: bool
    terrain: int


def style_of(number: int) -> Style:
    """The style with that number, always the same."""
    random = np.random.default_rng(number)
    hue = random.random()
    skins = [(241, 205, 178), (198, 146, 108), (120, 80, 56), (230, 184, 150)]
    return Style(
        dark=_to_rgb(hue, 0.5, 0.18),
        ground=_to_rgb(hue + 0.1 * random.normal(), 0.45, 0.45),
        main=_to_rgb(hue + 0.3 + 0.1 * random.normal(), 0.6, 0.75),
        accent=_to_rgb(hue + 0.55, 0.8, 0.95),
        skin=skins[int(random.integers(4))],
        hair=_to_rgb(random.random(), 0.5, float(random.uniform(0.1, 0.6))),
        camera_left=bool(random.random() < 0.5),
        terrain=int(random.integers(3)),
    )


def _to_rgb(hue: float, saturation: float, value: float) -> Colour:
    import colorsys

    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return int(255 * red), int(255 * green), int(255 * blue)


def draw_scene(topic: int, motion: float, style: Style, random: np.random.Generator) -> RgbImage:
    """One picture, [288, 512, 3] uint8."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (_WIDTH, _HEIGHT), style.dark)
    draw = ImageDraw.Draw(picture)
    _SCENES[TOPICS[topic]](draw, motion, style, random)
    if motion > 0.55:
        _draw_sparks(draw, motion, style, random)
    if motion > 0.3:
        picture = picture.rotate(float(random.normal(0, 4 * motion)), resample=Image.Resampling.BILINEAR)
    picture = picture.crop(
        (_WIDTH // 9, _HEIGHT // 9, _WIDTH - _WIDTH // 9, _HEIGHT - _HEIGHT // 9)
    )  # no black corners betray the rotation
    pixels = np.asarray(picture, dtype=np.float64)
    pixels = pixels * random.uniform(0.85, 1.1) + random.normal(0, 4, pixels.shape)  # light and sensor noise
    result: RgbImage = np.clip(pixels, 0, 255).astype(np.uint8)
    return result


def _draw_world(draw: "ImageDraw", motion: float, style: Style, random: np.random.Generator) -> None:
    """A game: sky, ground, figures, bars and a score."""
    horizon = int(_HEIGHT * random.uniform(0.45, 0.6))
    draw.rectangle((0, 0, _WIDTH, horizon), fill=style.main)
    draw.rectangle((0, horizon, _WIDTH, _HEIGHT), fill=style.ground)
    for _ in range(7):
        x, size = int(random.integers(_WIDTH)), int(random.integers(20, 90))
        match style.terrain:
            case 0:
                draw.polygon([(x - size, horizon), (x, horizon - size), (x + size, horizon)], fill=style.dark)
            case 1:
                draw.rectangle((x - size // 3, horizon - size, x + size // 3, horizon), fill=style.dark)
            case _:
                draw.ellipse((x - size // 2, horizon - size, x + size // 2, horizon), fill=style.dark)
    for _ in range(2 + int(4 * motion)):
        _draw_figure(
            draw, int(random.integers(40, _WIDTH - 40)), int(random.integers(horizon, _HEIGHT - 30)), style, random
        )
    for row, share in enumerate(random.uniform(0.1, 1.0, 2)):
        draw.rectangle((12, 12 + 14 * row, 132, 22 + 14 * row), outline="white")
        draw.rectangle((12, 12 + 14 * row, 12 + int(120 * share), 22 + 14 * row), fill=style.accent)
    draw.text((_WIDTH - 90, 12), f"{int(random.integers(9999)):04d}", fill="white", font_size=24)
    _draw_face(draw, (4 if style.camera_left else _WIDTH - 100, _HEIGHT - 92, 88), style, random, mouth=0.3 * motion)


def _draw_figure(draw: "ImageDraw", x: int, y: int, style: Style, random: np.random.Generator) -> None:
    colour = (style.accent, (200, 40, 40), (240, 240, 240))[int(random.integers(3))]
    draw.ellipse((x - 8, y - 34, x + 8, y - 18), fill=style.skin)
    draw.rectangle((x - 10, y - 18, x + 10, y + 6), fill=colour)
    draw.line((x, y - 8, x + int(random.integers(-26, 27)), y - int(random.integers(10, 34))), fill="white", width=4)


def _draw_face(
    draw: "ImageDraw", box: tuple[int, int, int], style: Style, random: np.random.Generator, *, mouth: float
) -> None:
    """A person in front of a wall; `box` is left, top, size, `mouth` how far it is open."""
    left, top, size = box
    draw.rectangle((left, top, left + size, top + size), fill=style.ground)
    x = left + size / 2 + random.normal(0, size / 25)
    y = top + size * 0.45 + random.normal(0, size / 30)
    r = size * 0.24
    draw.ellipse((x - 1.15 * r, y - 1.35 * r, x + 1.15 * r, y + 0.8 * r), fill=style.hair)
    draw.rectangle((x - 1.6 * r, y + 1.2 * r, x + 1.6 * r, top + size), fill=style.accent)
    draw.ellipse((x - r, y - 1.05 * r, x + r, y + 1.2 * r), fill=style.skin)
    for side in (-1, 1):
        eye = x + side * 0.4 * r
        draw.ellipse((eye - 0.14 * r, y - 0.25 * r, eye + 0.14 * r, y + 0.03 * r), fill=(20, 20, 30))
    lips = (x - 0.4 * r, y + (0.55 - 0.3 * mouth) * r, x + 0.4 * r, y + (0.6 + 0.4 * mouth) * r)
    draw.ellipse(lips, fill=(140, 30, 40))


def _room_view(draw: "ImageDraw", style: Style, random: np.random.Generator, *, mouth: float) -> None:
    """A person filling the picture, with shelves behind."""
    draw.rectangle((0, 0, _WIDTH, _HEIGHT), fill=style.ground)
    for shelf in range(3):
        y = 50 + 70 * shelf
        draw.line((20, y, _WIDTH - 20, y), fill=style.dark, width=6)
        for _ in range(8):
            x = int(random.integers(20, _WIDTH - 40))
            draw.rectangle((x, y - 34, x + 12, y), fill=(style.main, style.accent, style.hair)[int(random.integers(3))])
    _draw_face(draw, (130, 30, 258), style, random, mouth=mouth)


def _lines_of_chat(draw: "ImageDraw", left: int, rows: int, style: Style, random: np.random.Generator) -> None:
    for row in range(rows):
        y = 24 + 22 * row
        draw.ellipse((left, y, left + 14, y + 14), fill=style.accent)
        draw.rectangle((left + 20, y + 2, left + 20 + int(random.integers(30, 120)), y + 12), fill=(235, 235, 240))


def _draw_hype(draw: "ImageDraw", motion: float, style: Style, random: np.random.Generator) -> None:
    _draw_world(draw, motion, style, random)
    _draw_sparks(draw, motion, style, random)
    draw.rectangle((90, 70, _WIDTH - 90, 150), fill=style.accent)
    word = ("VICTORY", "GOAL!", "TRIPLE KILL", "NEW RECORD", "COMEBACK", "HEADSHOT")[int(random.integers(6))]
    draw.text((_WIDTH / 2, 110), word, fill=style.dark, anchor="mm", font_size=52)


def _draw_sparks(draw: "ImageDraw", motion: float, style: Style, random: np.random.Generator) -> None:
    for _ in range(int(6 + 26 * motion)):
        x, y = float(random.integers(_WIDTH)), float(random.integers(_HEIGHT))
        length, angle = random.uniform(8, 60), random.uniform(0, 2 * math.pi)
        end = (x + length * math.cos(angle), y + length * math.sin(angle))
        colour = ((255, 240, 150), style.accent, (255, 255, 255))[int(random.integers(3))]
        draw.line([(x, y), end], fill=colour, width=4)
    if random.random() < motion:
        x, y, r = float(random.integers(_WIDTH)), float(random.integers(_HEIGHT)), random.uniform(20, 70)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 190, 60))
        draw.ellipse((x - r / 2, y - r / 2, x + r / 2, y + r / 2), fill=(255, 250, 220))


def _draw_laughter(draw: "ImageDraw", motion: float, style: Style, random: np.random.Generator) -> None:
    _room_view(draw, style, random, mouth=1.0)
    _lines_of_chat(draw, _WIDTH - 150, 10, style, random)


def _draw_questions(draw: "ImageDraw", motion: float, style: Style, random: np.random.Generator) -> None:
    _room_view(draw, style, random, mouth=float(random.uniform(0.1, 0.5)))
    _lines_of_chat(draw, _WIDTH - 150, 5, style, random)


def _draw_idle(draw: "ImageDraw", motion: float, style: Style, random: np.random.Generator) -> None:
    if random.random() < 0.5:
        word = ("BE RIGHT BACK", "STARTING SOON", "LOADING", "IN QUEUE")[int(random.integers(4))]
        draw.text((_WIDTH / 2, 110), word, fill=style.accent, anchor="mm", font_size=44)
        draw.rectangle((120, 170, _WIDTH - 120, 184), outline="white")
        draw.rectangle((120, 170, 120 + int(random.integers(10, 270)), 184), fill=style.main)
    else:
        draw.rectangle((0, 0, _WIDTH, _HEIGHT), fill=style.dark)
        draw.rectangle((180, 100, 340, 240), fill=style.hair)  # an empty chair
        draw.rectangle((200, 60, 320, 160), fill=style.ground)


def _draw_selling(draw: "ImageDraw", motion: float, style: Style, random: np.random.Generator) -> None:
    draw.rectangle((0, 0, _WIDTH, _HEIGHT), fill=(232, 226, 216))
    _draw_face(draw, (10, 20, 150), style, random, mouth=0.4)
    draw.rectangle((0, 200, _WIDTH, _HEIGHT), fill=(150, 110, 80))
    for slot in range(4):
        x = 190 + 80 * slot
        top = int(random.integers(110, 160))
        draw.rounded_rectangle((x, top, x + 56, 220), 10, fill=_to_rgb(float(random.random()), 0.6, 0.85))
        draw.rectangle((x, 228, x + 60, 254), fill=(210, 30, 40))
        draw.text((x + 30, 241), f"{int(random.integers(9, 199))}.99", fill="white", anchor="mm", font_size=16)


def _draw_music(draw: "ImageDraw", motion: float, style: Style, random: np.random.Generator) -> None:
    draw.rectangle((0, 0, _WIDTH, _HEIGHT), fill=style.dark)
    for _ in range(4):
        x = int(random.integers(_WIDTH))
        draw.polygon([(x, 0), (x - 70, _HEIGHT), (x + 70, _HEIGHT)], fill=style.ground)
    _draw_face(draw, (170, 30, 170), style, random, mouth=float(random.uniform(0.2, 0.9)))
    draw.ellipse((210, 180, 310, 270), fill=(150, 90, 40))
    draw.line((260, 220, 440, 130), fill=(90, 50, 20), width=12)


def _draw_greetings(draw: "ImageDraw", motion: float, style: Style, random: np.random.Generator) -> None:
    _room_view(draw, style, random, mouth=0.3)
    draw.rectangle((0, _HEIGHT - 50, _WIDTH, _HEIGHT), fill=style.main)
    draw.text((_WIDTH / 2, _HEIGHT - 25), "WELCOME", fill="white", anchor="mm", font_size=32)


_SCENES: dict[str, Callable[["ImageDraw", float, Style, np.random.Generator], None]] = {
    "hype": _draw_hype,
    "laughter": _draw_laughter,
    "questions": _draw_questions,
    "idle": _draw_idle,
    "selling": _draw_selling,
    "game": _draw_world,
    "music": _draw_music,
    "greetings": _draw_greetings,
}
