"""The script to pictures: one frame for any time, of places and sprites, with the game's and the stream's marks."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from demo_stream import places, script, sprites
from demo_stream.drawing import GOLD, WHITE, panel, paste, scroll, write
from demo_stream.effects import confetti, danger, flash, lit, recent, rubble, shaken, snow, sparks, victory
from demo_stream.places import GROUND, HEIGHT, WIDTH

Rgb = NDArray[np.uint8]  # [HEIGHT, WIDTH, 3]


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
