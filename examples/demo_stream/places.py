"""Where it happens: the skies, mountains, halls and cards that stand behind the action, each drawn once."""

import math
from functools import cache

import numpy as np
from PIL import Image, ImageFilter

from demo_stream.sprites import GOLD, ICE, Canvas

WIDTH, HEIGHT, GROUND = 640, 360, 292

SKIES = {  # top, middle, horizon
    "valley": ((14, 20, 52), (36, 64, 118), (126, 170, 204)),
    "golem": ((24, 14, 48), (72, 42, 108), (206, 120, 128)),
    "dragon": ((6, 12, 34), (14, 52, 92), (70, 176, 196)),
    "camp": ((5, 8, 24), (14, 22, 56), (48, 58, 104)),
    "chest": ((16, 12, 34), (52, 36, 84), (120, 84, 120)),
    "title": ((10, 12, 40), (44, 44, 104), (150, 130, 190)),
}


def gradient(stops: tuple[tuple[int, int, int], ...]) -> Image.Image:
    rows = np.linspace(0, 1, HEIGHT)
    columns = [
        np.interp(rows, np.linspace(0, 1, len(stops)), [stop[channel] for stop in stops]) for channel in range(3)
    ]
    pixels = np.repeat(np.stack(columns, axis=1)[:, None, :], WIDTH, axis=1)
    return Image.fromarray(pixels.astype(np.uint8), "RGB")


def over(image: Image.Image, layer: Image.Image) -> None:
    image.paste(layer, (0, 0), layer)


@cache
def sky(name: str) -> Image.Image:
    """Gradient, stars, moon and, over the tower, northern lights."""
    image = gradient(SKIES[name])
    rng = np.random.default_rng(3)
    c = Canvas(WIDTH, HEIGHT)
    for _ in range(90 if name in ("camp", "dragon", "title") else 40):
        size = rng.uniform(0.4, 1.2)
        c.ellipse(rng.uniform(0, WIDTH), rng.uniform(0, 180), size, size, (255, 255, 255, int(rng.uniform(70, 230))))
    c.ellipse(520, 66, 27, 27, "#f4efd8")
    c.ellipse(510, 60, 5, 5, "#e0d8b8")
    c.ellipse(527, 75, 7, 7, "#e0d8b8")
    over(image, c.done())
    if name in ("dragon", "camp", "title"):
        lights = Canvas(WIDTH, HEIGHT)
        for band, tone in enumerate(((70, 240, 190, 70), (90, 160, 255, 60), (190, 110, 255, 45))):
            top = [(x, 60 + 24 * band + 26 * math.sin(x / 90 + band)) for x in range(0, WIDTH + 20, 20)]
            lights.polygon([*top, *((x, y + 54) for x, y in reversed(top))], tone)
        over(image, lights.done().filter(ImageFilter.GaussianBlur(13)))
    return image


@cache
def mountains(layer: int, tint: tuple[int, int, int]) -> Image.Image:
    """Twice the picture's width and the same at both ends, so that it may scroll for ever."""
    rng = np.random.default_rng(20 + layer)
    c = Canvas(2 * WIDTH, HEIGHT)
    high, base = ((120, GROUND - 6), (74, GROUND))[layer]
    xs = np.linspace(0, 2 * WIDTH, 17)
    ys = base - high * rng.uniform(0.45, 1.0, 17) * np.tile([1.0, 0.45], 9)[:17]
    ys[-1] = ys[0]
    c.polygon([(0, HEIGHT), *zip(xs, ys, strict=True), (2 * WIDTH, HEIGHT)], tint)
    for x, y in zip(xs[::2], ys[::2], strict=True):
        c.polygon([(x, y), (x - 20, y + 21), (x - 7, y + 16), (x + 2, y + 25), (x + 9, y + 15), (x + 20, y + 22)],
                  (235, 245, 255, 215))  # fmt: skip
    return c.done()


@cache
def trees() -> Image.Image:
    rng = np.random.default_rng(31)
    c = Canvas(2 * WIDTH, HEIGHT)
    for x in (*rng.uniform(30, 2 * WIDTH - 30, 18),):
        high = rng.uniform(46, 92)
        for part in range(3):
            y = GROUND - high + part * high * 0.25
            wide = high * (0.17 + 0.09 * part)
            c.polygon([(x, y), (x - wide, y + high * 0.46), (x + wide, y + high * 0.46)], (18, 50 + 8 * part, 66))
            c.polygon([(x, y), (x - wide * 0.45, y + high * 0.2), (x + wide * 0.3, y + high * 0.16)], "#dcefff")
        c.box(x - 3, GROUND - high * 0.08, 6, 12, "#3a2416")
    return c.done()


@cache
def ground() -> Image.Image:
    """Snow over stone, twice the picture's width."""
    rng = np.random.default_rng(41)
    c = Canvas(2 * WIDTH, HEIGHT)
    c.box(0, GROUND, 2 * WIDTH, HEIGHT - GROUND, "#2a3b5c")
    for row in range(3):
        for x in range(-40 + 20 * (row % 2), 2 * WIDTH, 40):
            shade = int(rng.uniform(0, 14))
            c.box(x + 1, GROUND + 14 + row * 20, 38, 18, (48 + shade, 66 + shade, 98 + shade), 4)
    snow = [(x, GROUND - 3 - 3 * math.sin(x / 2 / WIDTH * 20 * math.pi)) for x in range(0, 2 * WIDTH + 10, 10)]
    c.polygon([(0, GROUND + 13), *snow, (2 * WIDTH, GROUND + 13)], "#e6f3ff")
    c.box(0, GROUND + 9, 2 * WIDTH, 5, "#b3d2ee")
    return c.done()


@cache
def tower() -> Image.Image:
    """200x290: the frozen tower, its windows lit."""
    c = Canvas(200, 290)
    c.polygon([(60, 290), (72, 70), (128, 70), (140, 290)], "#26365c")
    c.polygon([(100, 290), (100, 70), (128, 70), (140, 290)], "#1c2a4a")
    for x in (62, 82, 102, 122):
        c.box(x, 52, 14, 22, "#26365c")
    c.polygon([(58, 56), (100, 0), (142, 56)], "#3f6ea8")
    c.polygon([(58, 56), (100, 0), (96, 56)], "#8fd0f5")
    for row in range(4):
        c.box(84 + 8 * (row % 2), 96 + 44 * row, 9, 19, GOLD, 4)
        c.box(110 - 6 * (row % 2), 112 + 44 * row, 7, 15, "#d99a2b", 3)
    for x, y in ((60, 74), (76, 76), (92, 74), (108, 76), (124, 74)):
        c.polygon([(x, y), (x + 14, y), (x + 7, y + 26)], ICE)
    return c.done()


@cache
def hall() -> Image.Image:
    """The dragon's roof: pillars of ice before the sky."""
    image = sky("dragon").copy()
    c = Canvas(WIDTH, HEIGHT)
    for x in (22, 262, 596):
        c.box(x, 64, 40, GROUND - 60, "#2b5f8f", 5)
        c.box(x + 5, 64, 9, GROUND - 60, "#5fa9d6", 4)
        c.box(x - 8, 54, 56, 18, "#3a7fb5", 5)
        c.box(x - 8, GROUND - 18, 56, 22, "#3a7fb5", 5)
        for tooth in range(4):
            c.polygon([(x - 6 + 14 * tooth, 72), (x + 6 + 14 * tooth, 72), (x + 14 * tooth, 90 + 8 * (tooth % 2))], ICE)
    over(image, c.done())
    return image


@cache
def shop() -> Image.Image:
    """Warm wood, shelves, lanterns and a counter."""
    image = gradient(((52, 30, 30), (96, 56, 44), (70, 40, 34)))
    glow = Canvas(WIDTH, HEIGHT)
    for x in (150, 330, 510):
        glow.ellipse(x, 66, 105, 78, (255, 190, 90, 64))
    over(image, glow.done().filter(ImageFilter.GaussianBlur(26)))
    c = Canvas(WIDTH, HEIGHT)
    for x in range(0, WIDTH, 64):
        c.box(x, 0, 2, HEIGHT, (40, 22, 20, 130))
    for y in (112, 176):
        c.box(40, y, 180, 8, "#4a2a1a", 2)
        c.box(40, y + 8, 180, 4, "#2e1910", 2)
    rng = np.random.default_rng(51)
    for y in (112, 176):
        for x in range(52, 208, 22):
            tone = ("#62c3d0", "#e0637c", "#9ad06a", "#b08cf0", "#f2b950")[int(rng.integers(5))]
            high = rng.uniform(16, 34)
            c.box(x, y - high, 14, high, tone, 4)
            c.box(x + 3, y - high + 3, 3, high - 8, (255, 255, 255, 110), 1)
    for x in (150, 330, 510):
        c.line([(x, 0), (x, 44)], 2, "#2e1910")
        c.box(x - 10, 44, 20, 26, "#ffdf8e", 6)
        c.box(x - 12, 40, 24, 6, "#2e1910", 2)
    over(image, c.done())
    return image


@cache
def counter() -> Image.Image:
    c = Canvas(WIDTH, HEIGHT)
    c.box(0, 262, WIDTH, 100, "#5a3420")
    c.box(0, 254, WIDTH, 14, "#8a5230", 3)
    for x in range(20, WIDTH, 90):
        c.box(x, 282, 70, 60, "#4a2a1a", 5)
    return c.done()


@cache
def away() -> Image.Image:
    """The card while nobody is there: soft hills, a cup."""
    image = gradient(((26, 22, 58), (66, 52, 116), (138, 104, 158)))
    c = Canvas(WIDTH, HEIGHT)
    for x, y, wide, tone in (
        (120, 372, 300, (58, 46, 104)),
        (520, 380, 320, (48, 38, 90)),
        (320, 402, 420, (38, 30, 76)),
    ):
        c.ellipse(x, y, wide, 110, tone)
    c.ellipse(320, 260, 92, 13, (20, 16, 48, 130))
    c.arc(374, 214, 21, 21, (0, 360), 8, "#f4f0ff")
    c.box(266, 176, 104, 84, "#f4f0ff", 15)
    c.box(266, 200, 104, 30, "#c8334a")
    c.ellipse(318, 179, 46, 9, "#5b3420")
    over(image, c.done())
    return image
