"""The script to pictures: one frame for any time, of places and sprites, with the game's and the stream's marks."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from demo_stream import places, script, sprites
from demo_stream.places import GROUND, HEIGHT, WIDTH

Rgb = NDArray[np.uint8]  # [HEIGHT, WIDTH, 3]

WHITE, INK, GOLD = (255, 255, 255), (16, 20, 40), (255, 207, 90)
GLASS = (10, 14, 34, 170)
CONFETTI = ((255, 207, 90), (255, 122, 77), (98, 195, 208), (224, 99, 124), (154, 208, 106), (176, 140, 240))


@cache
def font(size: int) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    return ImageFont.load_default(size)  # Pillow's own: the same on every machine


def write(
    image: Image.Image,
    x: float,
    y: float,
    text: str,
    size: int,
    colour: tuple[int, ...] = WHITE,
    anchor: str = "la",
    edge: int = 0,
) -> None:
    ImageDraw.Draw(image).text((x, y), text, colour, font(size), anchor, stroke_width=edge, stroke_fill=INK)


def paste(image: Image.Image, sprite: Image.Image, x: float, y: float) -> None:
    image.paste(sprite, (round(x), round(y)), sprite)


def panel(
    image: Image.Image,
    x: float,
    y: float,
    width: float,
    height: float,
    colour: tuple[int, ...] = GLASS,
    radius: int = 6,
) -> None:
    glass = Image.new("RGBA", (round(width), round(height)), (0, 0, 0, 0))
    ImageDraw.Draw(glass).rounded_rectangle((0, 0, width - 1, height - 1), radius, colour)
    paste(image, glass, x, y)


def scroll(image: Image.Image, layer: Image.Image, shift: float) -> None:
    offset = shift % layer.width
    paste(image, layer, -offset, 0)
    paste(image, layer, layer.width - offset, 0)


def frame(time: float, loudness: float) -> Rgb:
    """The picture at `time`, seconds; `loudness` of the voices moves the streamer's mouth."""
    name, since = script.scene_at(time)
    image = SCENES[name](time, since)
    if name not in ("away", "title", "farewell"):
        game_marks(image, time, name)
    stream_marks(image, time, name, loudness)
    return np.asarray(shaken(image, time))


def step_at(time: float, per_second: float = 8) -> int:
    return int(time * per_second) % 8


def outdoors(time: float, name: str, shift: float) -> Image.Image:
    image = places.sky(name).copy()
    far, near = {
        "golem": ((88, 62, 112), (56, 40, 82)),
        "camp": ((30, 38, 76), (18, 24, 54)),
        "chest": ((62, 48, 92), (40, 32, 66)),
    }.get(name, ((70, 98, 146), (42, 66, 110)))
    scroll(image, places.mountains(0, far), shift * 0.15)
    paste(image, places.tower(), 400 - shift * 0.03, GROUND - 286)
    scroll(image, places.mountains(1, near), shift * 0.35)
    if name != "chest":
        scroll(image, places.trees(), shift * 0.7)
    scroll(image, places.ground(), shift)
    return image


def valley(time: float, since: float) -> Image.Image:
    wet = script.LAKE <= time < 60
    walked = min(time, script.LAKE) - 6 + max(0.0, time - 60.5)
    shift = 46 * walked
    image = outdoors(time, "valley", shift)
    for number in range(6):
        x = 760 + 420 * number - shift
        if not 48 <= time < 61 and -50 < x < WIDTH:
            hop = abs(math.sin(time * 3 + number)) * 10
            paste(image, sprites.slime(step_at(time + number)), x, GROUND - 30 - hop)
    lake = 46 * (script.LAKE - 6) + 190 - shift
    draw = ImageDraw.Draw(image)
    if -260 < lake < WIDTH:
        draw.rounded_rectangle((lake, GROUND - 6, lake + 250, HEIGHT + 20), 16, (38, 108, 164))
        for row in range(3):
            x = lake + 30 + 60 * row + 8 * math.sin(time * 2 + row)
            draw.line((x, GROUND + 8 + 11 * row, x + 46, GROUND + 8 + 11 * row), (150, 214, 240), 2)
    if wet:
        depth = min(1.0, (time - script.LAKE) / 0.5)
        bob = 3 * math.sin(time * 4)
        knight = sprites.knight("hurt")
        paste(image, knight.crop((0, 0, 80, round(84 - 40 * depth))), 190, GROUND - 80 + 40 * depth + bob)
        for drop in range(14):
            age = time - script.LAKE
            angle = math.pi * (0.15 + 0.7 * drop / 13)
            x = 226 + 90 * age * math.cos(angle)
            y = GROUND - 8 - 150 * age * math.sin(angle) + 160 * age * age
            if y < GROUND:
                draw.ellipse((x - 3, y - 3, x + 3, y + 3), (180, 230, 250))
        if time < script.LAKE + 4:
            write(image, WIDTH / 2, 120, "SPLASH!", 40, (150, 224, 255), "mm", 3)
    else:
        paste(image, sprites.knight("walk", step_at(time, 10)), 170, GROUND - 78)
    snow(image, time, 14)
    return image


def golem(time: float, since: float) -> Image.Image:
    image = outdoors(time, "golem", 46 * 55.5 + 40)
    alive = time < script.GOLEM_FALLS
    hurt = recent(script.GOLEM_HITS, time) < 0.16
    charge = 40 * max(0.0, math.sin((time - 77.6) * 2.2)) if 77.6 <= time < 79.1 else 0
    x, y = 420 - charge, GROUND - 146.0
    if not alive:
        rubble(image, time - script.GOLEM_FALLS, 495, ("#6d7a93", "#4a5570", "#9fe6ff"))
    else:
        paste(image, sprites.golem(step_at(time, 6), hurt=hurt), x, y)
    fighter(image, time, script.GOLEM_HITS, 300.0, alive)
    sparks(image, time, script.GOLEM_HITS, (440, GROUND - 80))
    snow(image, time, 10)
    if not alive:
        victory(image, time - script.GOLEM_FALLS, "GOLEM DEFEATED", "+500")
    return image


def dragon(time: float, since: float) -> Image.Image:
    image = places.hall().copy()
    scroll(image, places.ground(), 120)
    alive = time < script.DRAGON_FALLS
    hurt = recent(script.DRAGON_HITS, time) < 0.16
    breath = 176.0 <= time < 179.6
    x = 322 + 14 * math.sin(time * 0.9)
    y = 44 + 10 * math.sin(time * 1.7) + (120 * min(1, max(0, time - 192.5)) ** 2 * 0.5 if time > 192.5 else 0)
    draw = ImageDraw.Draw(image, "RGBA")
    if breath:
        for puff in range(26):
            along = (time * 1.6 + puff / 26) % 1
            px, py = x + 30 - 250 * along, y + 72 + 130 * along + 9 * math.sin(puff * 7)
            size = 4 + 22 * along
            draw.ellipse((px - size, py - size, px + size, py + size), (205, 242, 255, int(190 * (1 - along))))
    if alive:
        body = sprites.dragon(step_at(time, 10), mouth_open=breath or time > 192)
        paste(image, lit(body) if hurt else body, x, y)
    else:
        rubble(image, time - script.DRAGON_FALLS, 460, ("#3f8cc2", "#9fe6ff", "#e8fbff"))
    if 188.4 <= time < 192:
        for bolt in range(3):
            along = ((time - 188.4) * 1.25 + bolt / 3) % 1
            bx, by = 300 + 130 * along, GROUND - 60 - 110 * along
            draw.ellipse((bx - 15, by - 15, bx + 15, by + 15), (255, 122, 77, 120))
            draw.ellipse((bx - 8, by - 8, bx + 8, by + 8), (255, 224, 138, 255))
    fighter(image, time, script.DRAGON_HITS, 262.0, alive)
    sparks(image, time, script.DRAGON_HITS, (420, 170))
    snow(image, time, 16)
    if 179.2 <= time < script.DRAGON_FALLS:
        danger(image, time)
    if not alive:
        victory(image, time - script.DRAGON_FALLS, "DRAGON SLAIN", "+2000")
    return image


def shop(time: float, since: float) -> Image.Image:
    image = places.shop().copy()
    paste(image, sprites.merchant(step_at(time, 5)), 300, 142)
    paste(image, places.counter(), 0, 0)
    selling = 142 <= time < 155
    panel(image, 424, 92, 186, 148, (24, 14, 22, 205), 10)
    if selling:
        paste(image, sprites.mug().resize((88, 88)), 436, 118 + 3 * math.sin(time * 3))
        write(image, 530, 108, "OUR MUG", 16, GOLD)
        write(image, 530, 132, "SALE", 26, (255, 122, 77))
        write(image, 530, 164, "until Sunday", 12)
        write(image, 530, 184, "link below", 12, (150, 224, 255))
    else:
        for row, (thing, words, price) in enumerate((
            (sprites.potion("#e0637c"), "Health potion", "30"),
            (sprites.potion("#62c3d0"), "Frost ward", "45"),
            (sprites.charm(), "Fire charm", "120"),
        )):  # fmt: skip
            y = 98 + 46 * row
            bought = time > 157 and row != 1
            if bought:
                panel(image, 430, y, 174, 42, (255, 207, 90, 60), 6)
            paste(image, thing, 436, y - 2)
            write(image, 482, y + 6, words, 13)
            write(image, 482, y + 24, "sold" if bought else price + " gold", 11, GOLD)
    return image


def camp(time: float, since: float) -> Image.Image:
    image = outdoors(time, "camp", 900)
    draw = ImageDraw.Draw(image, "RGBA")
    for ring in range(5):
        size = 150 - 26 * ring + 3 * math.sin(time * 5 + ring)
        draw.ellipse((380 - size, 262 - size * 0.62, 380 + size, 262 + size * 0.62), (255, 150, 60, 15))
    paste(image, sprites.fire(step_at(time, 7)), 335, GROUND - 92)
    paste(image, sprites.knight("sit"), 246, GROUND - 78)
    for spark in range(7):
        along = (time * 0.35 + spark / 7) % 1
        x, y = 380 + 14 * math.sin(spark * 3 + time), 250 - 120 * along
        draw.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), (255, 200, 110, int(255 * (1 - along))))
    snow(image, time, 6)
    return image


def chest(time: float, since: float) -> Image.Image:
    image = outdoors(time, "chest", 1500)
    age = time - script.CHEST_OPENS
    draw = ImageDraw.Draw(image, "RGBA")
    if age >= 0:
        for ray in range(12):
            angle = ray / 12 * 2 * math.pi + time * 0.2
            ends = [(380 + 420 * math.cos(angle + side), 190 + 420 * math.sin(angle + side)) for side in (-0.09, 0.09)]
            draw.polygon([(380, 190), *ends], (255, 220, 120, int(70 * min(1, age))))
    paste(image, sprites.chest(opened=age >= 0), 325, GROUND - 94)
    paste(image, sprites.knight("cheer" if age >= 0.4 else "walk", 0), 220, GROUND - 78)
    if age >= 0:
        rise = min(1.0, age / 1.2)
        paste(image, sprites.great_sword(), 350, GROUND - 60 - 150 * rise)
        confetti(image, age)
        if age > 0.8:
            write(image, WIDTH / 2 - 10, 92, "LEGENDARY DROP", 32, GOLD, "mm", 3)
    snow(image, time, 8)
    flash(image, age, (255, 236, 170))
    return image


def title(time: float, since: float) -> Image.Image:
    image = outdoors(time, "title", 30 * time)
    panel(image, 120, 96, 400, 116, (10, 12, 40, 150), 14)
    write(image, 320, 136, "FROZEN TOWER", 46, WHITE, "mm", 2)
    write(image, 320, 182, "the night run, live", 20, (150, 224, 255), "mm")
    snow(image, time, 17)
    return image


def farewell(time: float, since: float) -> Image.Image:
    image = outdoors(time, "title", 900 + 12 * since)
    panel(image, 120, 96, 400, 116, (10, 12, 40, 150), 14)
    write(image, 320, 136, "THANK YOU", 46, WHITE, "mm", 2)
    write(image, 320, 182, "tomorrow at eight", 20, (150, 224, 255), "mm")
    snow(image, time, 17)
    return image


def away(time: float, since: float) -> Image.Image:
    image = places.away().copy()
    write(image, 320, 92, "BACK IN A MOMENT", 34, WHITE, "mm")
    draw = ImageDraw.Draw(image, "RGBA")
    for wisp in range(3):
        points = [(300 + 18 * wisp + 5 * math.sin(y / 9 + time * 1.2 + wisp), 168 - y) for y in range(0, 44, 4)]
        draw.line(points, (255, 255, 255, 70), 3)
    return image


SCENES: dict[str, Callable[[float, float], Image.Image]] = {
    "title": title,
    "valley": valley,
    "golem": golem,
    "away": away,
    "shop": shop,
    "dragon": dragon,
    "camp": camp,
    "chest": chest,
    "farewell": farewell,
}


def recent(moments: tuple[float, ...], time: float) -> float:
    """Seconds since the last of the moments, infinite before the first."""
    return min((time - moment for moment in moments if moment <= time), default=math.inf)


def fighter(image: Image.Image, time: float, blows: tuple[float, ...], home: float, fighting: bool) -> None:
    """The knight: runs in to strike, back after it, thrown when hit, arms up when it is won."""
    ahead = min((abs(time - blow) for blow in blows), default=9)
    since = recent(blows, time)
    x, pose, step = home, "walk", step_at(time, 12)
    if not fighting:
        pose, x = "cheer", home - 10
        since = 10 * abs(math.sin(time * 5)) / 10
        paste(image, sprites.knight(pose, 0), x, GROUND - 78 - 12 * since)
        return
    if recent(script.HERO_HIT, time) < 0.5:
        pose, x = "hurt", home - 70
    elif ahead < 0.24:
        pose, x, step = "swing", home + 56, 0 if since > 0.3 else 1 if since < 0.08 else 2
    else:
        x = home + 20 * math.sin(time * 2.3)
    paste(image, sprites.knight(pose, step), x, GROUND - 78)


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


def game_marks(image: Image.Image, time: float, name: str) -> None:
    """Health, points and gold, and over a fight the boss's bar."""
    draw = ImageDraw.Draw(image, "RGBA")
    health = 100 - 8 * sum(blow <= time < 110 for blow in script.HERO_HIT[:1])
    if time >= 170:
        health = max(10, 100 - 30 * sum(blow <= time for blow in script.HERO_HIT[1:]))
    if time > 208:
        health = 100
    panel(image, 222, 326, 196, 26)
    bar(draw, 230, 333, 180, 12, health / 100, (224, 60, 84) if health > 30 else (255, 90, 60))
    write(image, 320, 339, f"{health} / 100", 10, WHITE, "mm")
    points = 120 + (500 if time >= script.GOLEM_FALLS else 0) + (2000 if time >= script.DRAGON_FALLS else 0)
    gold = 40 if time >= 158 else 235
    panel(image, 520, 8, 112, 42)
    write(image, 626, 12, f"{points} pts", 16, GOLD, "ra")
    write(image, 626, 32, f"{gold} gold", 12, WHITE, "ra")
    for boss, blows, fight, begin in (
        ("STONE GOLEM", script.GOLEM_HITS, "golem", 71.0),
        ("ICE DRAGON", script.DRAGON_HITS, "dragon", 170.0),
    ):
        if name == fight and time < blows[-1]:
            left = 1 - sum(blow <= time for blow in blows) / len(blows)
            panel(image, 170, 10, 300, 32, (30, 8, 26, 190))
            write(image, 320, 19, boss, 12, (255, 220, 220), "mm")
            bar(draw, 180, 28, 280, 9, left * min(1, (time - begin) / 1.0), (230, 70, 110))


def bar(draw: ImageDraw.ImageDraw, x: float, y: float, width: float, height: float, share: float,
        colour: tuple[int, int, int]) -> None:  # fmt: skip
    draw.rounded_rectangle((x, y, x + width, y + height), 4, (60, 24, 44))
    if share > 0.02:
        draw.rounded_rectangle((x, y, x + width * share, y + height), 4, colour)


def stream_marks(image: Image.Image, time: float, name: str, loudness: float) -> None:
    """The red sign, the viewers, and the streamer in his corner."""
    panel(image, 8, 8, 132, 24, (10, 14, 34, 180), 12)
    draw = ImageDraw.Draw(image, "RGBA")
    draw.rounded_rectangle((10, 10, 54, 30), 10, (226, 44, 66))
    write(image, 32, 20, "LIVE", 12, WHITE, "mm")
    watching = 1840 + 9 * int(time / 3) + int(2600 * script.excitement(time - 3)) // 20 * 20
    write(image, 62, 20, f"{watching:,} viewers", 11, WHITE, "lm")
    if name == "away":
        return
    excited = script.excitement(time) > 0.5
    mouth = min(3, int(loudness * 22))
    face = sprites.streamer(mouth, blink=time % 3.7 < 0.14, excited=excited)
    panel(image, 7, 265, 116, 88, (255, 207, 90, 255) if excited else (120, 96, 190, 255), 5)
    paste(image, face, 9, 267)
