"""What a fight does to the picture: splinters, rubble, confetti, flashes, snow, a camera that shakes."""

import math
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from demo_stream import script
from demo_stream.drawing import GOLD, WHITE, panel, write
from demo_stream.places import GROUND, HEIGHT, WIDTH

CONFETTI = ((255, 207, 90), (255, 122, 77), (98, 195, 208), (224, 99, 124), (154, 208, 106), (176, 140, 240))


def recent(moments: tuple[float, ...], time: float) -> float:
    """Seconds since the last of the moments, infinite before the first."""
    return min((time - moment for moment in moments if moment <= time), default=math.inf)


def sparks(image: Image.Image, time: float, blows: tuple[float, ...], at: tuple[float, float]) -> None:
    """For half a second after a blow: splinters, and a number that rises."""
    draw = ImageDraw.Draw(image, "RGBA")
    for number, blow in enumerate(blows):
        age = time - blow
        if not 0 <= age < 0.8:
            continue
        rng = np.random.default_rng(number)
        x, y = at[0] + rng.uniform(-26, 26), at[1] + rng.uniform(-24, 24)
        for angle, speed in zip(rng.uniform(0, 2 * math.pi, 12), rng.uniform(60, 190, 12), strict=True):
            px, py = x + speed * age * math.cos(angle), y + speed * age * math.sin(angle) + 120 * age * age
            size = 3.4 * (1 - age / 0.8)
            draw.ellipse((px - size, py - size, px + size, py + size), (255, 236, 170, 255))
        if age < 0.12:
            draw.ellipse((x - 26, y - 26, x + 26, y + 26), (255, 255, 255, 150))
        write(image, x, y - 20 - 46 * age, str(int(rng.integers(48, 99))), 22, GOLD, "mm", 2)


def rubble(image: Image.Image, age: float, x: float, tones: tuple[str, ...]) -> None:
    rng = np.random.default_rng(77)
    draw = ImageDraw.Draw(image)
    for piece in range(34):
        dx, up, size = rng.uniform(-130, 130), rng.uniform(80, 250), rng.uniform(4, 15)
        px = x + dx * min(age, 1.6)
        py = min(GROUND - size, GROUND - 80 - up * age + 260 * age * age)
        points = [(px + size * math.cos(a + piece), py + size * math.sin(a + piece)) for a in (0, 1.7, 2.9, 4.4)]
        draw.polygon(points, tones[piece % len(tones)])


def victory(image: Image.Image, age: float, words: str, points: str) -> None:
    confetti(image, age)
    if age > 0.3:
        grow = 1 + 0.5 * max(0.0, 0.7 - age)
        panel(image, 110, 92, 420, 84, (20, 12, 40, 150), 14)
        write(image, 320, 124, words, round(40 * grow), GOLD, "mm", 3)
        write(image, 320, 158, points + " points", 20, WHITE, "mm", 2)
    flash(image, age, (255, 255, 255))


def confetti(image: Image.Image, age: float) -> None:
    rng = np.random.default_rng(99)
    draw = ImageDraw.Draw(image, "RGBA")
    alpha = int(255 * max(0.0, min(1.0, (9 - age) / 2)))
    for piece in range(60):
        x0, speed, start, swing = rng.uniform(0, WIDTH), rng.uniform(50, 110), rng.uniform(-260, -10), rng.uniform(0, 6)
        y = start + speed * age * 1.5
        if alpha and -10 < y < GROUND:
            x = x0 + 12 * math.sin(age * 3 + swing)
            tall = 3 + 3 * abs(math.sin(age * 5 + swing))
            draw.rectangle((x, y, x + 5, y + tall), (*CONFETTI[piece % len(CONFETTI)], alpha))


def flash(image: Image.Image, age: float, colour: tuple[int, int, int]) -> None:
    if 0 <= age < 0.6:
        image.paste(colour, (0, 0, WIDTH, HEIGHT), Image.new("L", image.size, int(235 * (1 - age / 0.6))))


def danger(image: Image.Image, time: float) -> None:
    """Ten health left: the edges pulse red."""
    strength = 0.55 + 0.35 * math.sin(time * 6)
    image.paste((220, 30, 50), (0, 0, WIDTH, HEIGHT), edges().point(lambda alpha: int(alpha * strength)))


@cache
def edges() -> Image.Image:
    """How near the edge, as a mask."""
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH]
    edge = np.maximum(np.abs(xs / WIDTH - 0.5), np.abs(ys / HEIGHT - 0.5)) * 2
    return Image.fromarray((np.clip((edge - 0.72) / 0.28, 0, 1) * 150).astype(np.uint8), "L")


def lit(sprite: Image.Image) -> Image.Image:
    """The sprite as a bright shape of itself, for the instant of a blow."""
    bright = Image.new("RGBA", sprite.size, (255, 255, 255, 0))
    bright.putalpha(sprite.getchannel("A").point(lambda alpha: int(alpha * 0.6)))
    return Image.alpha_composite(sprite, bright)


def snow(image: Image.Image, time: float, flakes: int) -> None:
    rng = np.random.default_rng(5)
    draw = ImageDraw.Draw(image, "RGBA")
    for x0, y0, speed, size in rng.uniform((0, 0, 14, 0.8), (WIDTH, HEIGHT, 44, 2.0), (flakes, 4)):
        x = (x0 - speed * 0.7 * time + 8 * math.sin(time + y0)) % WIDTH
        y = (y0 + speed * time) % HEIGHT
        draw.ellipse((x - size, y - size, x + size, y + size), (255, 255, 255, 190))


def shaken(image: Image.Image, time: float) -> Image.Image:
    """Moved by a few pixels for a fifth of a second after a blow."""
    age = recent(script.GOLEM_HITS + script.DRAGON_HITS + script.HERO_HIT, time)
    if age >= 0.2:
        return image
    reach = 5 * (1 - age / 0.2)
    matrix = (1, 0, reach * math.sin(time * 90), 0, 1, reach * math.cos(time * 70))
    return image.transform(image.size, Image.Transform.AFFINE, matrix)
