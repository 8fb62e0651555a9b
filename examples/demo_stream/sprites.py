"""What moves in the picture, drawn once at four times its size and shrunk: knight, golem, dragon, people, things."""

import math
from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageDraw

FINE = 4  # drawn this many times larger, then shrunk, for smooth edges

Colour = str | tuple[int, int, int] | tuple[int, int, int, int]
Points = Sequence[tuple[float, float]]

STEEL, DARK_STEEL, CAPE, SKIN, GOLD = "#b9c7dd", "#6f7f9c", "#c8334a", "#f0c9a4", "#ffcf5a"
ICE, DEEP_ICE, STONE, DARK_STONE = "#9fe6ff", "#3f8fc4", "#6d7a93", "#4a5570"


class Canvas:
    """A transparent picture in its own coordinates, drawn FINE times larger."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self.image = Image.new("RGBA", (width * FINE, height * FINE), (0, 0, 0, 0))
        self.draw = ImageDraw.Draw(self.image)

    def polygon(self, points: Points, colour: Colour) -> None:
        self.draw.polygon([(x * FINE, y * FINE) for x, y in points], fill=colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        self.draw.ellipse([(x - rx) * FINE, (y - ry) * FINE, (x + rx) * FINE, (y + ry) * FINE], fill=colour)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour, radius: float = 0) -> None:
        corners = [x * FINE, y * FINE, (x + width) * FINE, (y + height) * FINE]
        self.draw.rounded_rectangle(corners, radius * FINE, fill=colour)

    def line(self, points: Points, width: float, colour: Colour) -> None:
        self.draw.line([(x * FINE, y * FINE) for x, y in points], fill=colour, width=round(width * FINE), joint="curve")
        for x, y in points:
            self.ellipse(x, y, width / 2, width / 2, colour)

    def arc(
        self, x: float, y: float, rx: float, ry: float, turn: tuple[int, int], width: float, colour: Colour
    ) -> None:
        corners = [(x - rx) * FINE, (y - ry) * FINE, (x + rx) * FINE, (y + ry) * FINE]
        self.draw.arc(corners, *turn, fill=colour, width=round(width * FINE))

    def done(self) -> Image.Image:
        return self.image.resize(self.size, Image.Resampling.LANCZOS)


@cache
def knight(pose: str, step: int = 0) -> Image.Image:
    """80x84, feet at (34, 80). Poses: walk (8 steps), swing (3), cheer, hurt, sit."""
    c = Canvas(80, 84)
    sitting = 12 if pose == "sit" else 0
    swing = math.sin(step / 8 * 2 * math.pi) if pose == "walk" else 0.0
    hop = abs(swing) * 2
    y = 30 - hop + sitting
    flutter = 3 * math.sin(step / 8 * 2 * math.pi + 1)
    c.polygon([(28, y + 4), (40, y + 4), (34, y + 32), (14 + flutter, y + 34), (20, y + 14)], CAPE)
    if pose == "sit":
        c.line([(30, 70), (46, 70), (50, 80)], 7, DARK_STEEL)
    else:
        c.line([(31, y + 28), (31 + 9 * swing, 66), (30 + 12 * swing, 78)], 7, DARK_STEEL)
        c.line([(37, y + 28), (37 - 9 * swing, 66), (38 - 12 * swing, 78)], 7, STEEL)
    c.box(25, y + 2, 19, 29, STEEL, 7)
    c.box(25, y + 20, 19, 4, "#8a4b2c")
    c.ellipse(35, y + 22, 2.5, 2.5, GOLD)
    c.ellipse(35, y - 10, 11, 12, STEEL)
    c.box(34, y - 13, 13, 6, "#1c2438", 2)
    c.ellipse(42, y - 10, 1.6, 1.6, "#8ff0ff")
    c.polygon([(30, y - 21), (38, y - 22), (26, y - 33), (16, y - 26), (24, y - 24)], CAPE)
    hand, tip = {
        "walk": ((46, y + 20), (64, y + 2)),
        "swing": (((38, y - 6), (26, y - 30)), ((52, y + 6), (76, y - 12)), ((48, y + 20), (78, y + 24)))[step % 3],
        "cheer": ((44, y - 14), (52, y - 30)),
        "hurt": ((24, y + 22), (8, y + 36)),
        "sit": ((46, y + 16), (64, y + 26)),
    }[pose]
    c.line([hand, tip], 4, "#e9f6ff")
    c.line([hand, tip], 1.4, ICE)
    c.line([(38, y + 8), hand], 6, DARK_STEEL)
    c.ellipse(*hand, 4, 4, GOLD)
    return c.done()


@cache
def golem(step: int, *, hurt: bool = False) -> Image.Image:
    """150x150, feet at (75, 146); eight steps of breathing."""
    c = Canvas(150, 150)
    lift = 3 * math.sin(step / 8 * 2 * math.pi)
    for x, tone in ((50, DARK_STONE), (98, STONE)):
        c.box(x - 15, 104, 30, 42, tone, 8)
    c.box(32, 44 + lift, 86, 70, STONE, 20)
    c.polygon([(40, 62 + lift), (62, 52 + lift), (70, 78 + lift), (48, 94 + lift)], DARK_STONE)
    c.polygon([(92, 70 + lift), (112, 64 + lift), (110, 98 + lift), (90, 104 + lift)], "#7f8ca6")
    for x in (20, 130):
        c.ellipse(x, 62 + lift, 17, 17, DARK_STONE)
        c.line([(x, 66 + lift), (x + (x - 75) / 18, 98 + lift * 1.5)], 20, STONE)
        c.ellipse(x + (x - 75) / 14, 108 + lift * 1.5, 17, 16, DARK_STONE)
    c.box(48, 14 + lift, 54, 42, DARK_STONE, 14)
    for x in (62, 88):
        c.ellipse(x, 34 + lift, 8, 6, "#173a5c")
        c.ellipse(x, 34 + lift, 5, 4, "#ff7a4d" if hurt else ICE)
    c.line([(60, 48 + lift), (70, 46 + lift), (80, 48 + lift), (92, 46 + lift)], 2.4, "#173a5c")
    for x, y, high in ((46, 46, 26), (74, 44, 34), (102, 46, 24)):
        c.polygon([(x - 9, y + lift), (x + 9, y + lift), (x + 1, y - high + lift)], DEEP_ICE)
        c.polygon([(x - 2, y + lift), (x + 7, y + lift), (x + 1, y - high + lift)], ICE)
    c.ellipse(75, 84 + lift, 13, 13, DEEP_ICE)
    c.ellipse(75, 84 + lift, 8, 8, "#ffb08a" if hurt else "#d9f7ff")
    return c.done()


@cache
def dragon(step: int, *, mouth_open: bool = False) -> Image.Image:
    """280x200, looks left; eight steps of a wing beat."""
    c = Canvas(280, 200)
    beat = math.sin(step / 8 * 2 * math.pi)
    tip = 40 - 34 * beat
    for shift, tone in ((26, "#20486f"), (0, "#2f6ea3")):
        root = (150 + shift, 92)
        finger = (214 + shift * 0.5, tip)
        c.polygon([root, finger, (262, tip + 46), (228, tip + 50), (212, 104 + tip * 0.2), (184, 112)], tone)
        c.line([root, finger, (262, tip + 46)], 4, "#16324f")
    c.line([(176, 116), (214, 136), (246, 132), (270, 112)], 13, "#3a7fb5")
    c.polygon([(262, 116), (279, 96), (276, 122)], ICE)
    c.ellipse(150, 116, 50, 29, "#3f8cc2")
    c.ellipse(142, 126, 38, 17, "#bfe9f7")
    c.line([(112, 108), (88, 88), (76, 66)], 24, "#3f8cc2")
    for x, y in ((104, 92), (92, 74), (128, 88), (154, 84), (180, 92)):
        c.polygon([(x - 7, y + 5), (x + 7, y + 3), (x + 6, y - 15)], ICE)
    jaw = 13 if mouth_open else 3
    c.polygon([(74, 62 + jaw), (26, 72 + jaw), (34, 79 + jaw), (80, 82)], "#2f6ea3")
    if mouth_open:
        c.polygon([(74, 66), (34, 68), (36, 80), (76, 80)], "#e8fbff")
    c.polygon([(90, 44), (56, 46), (22, 60), (24, 70), (76, 74), (98, 68)], "#3f8cc2")
    for x in (32, 44, 56):
        c.polygon([(x - 3, 69), (x + 3, 69), (x, 76)], "#ffffff")
    c.polygon([(82, 48), (94, 42), (124, 20), (98, 56)], "#d9f7ff")
    c.ellipse(66, 54, 6, 5, "#08192b")
    c.ellipse(65, 54, 3.4, 3.6, "#ffd24a")
    c.ellipse(27, 62, 1.8, 1.4, "#08192b")
    for x in (132, 172):
        c.line([(x, 136), (x - 6, 158)], 10, "#2f6ea3")
        for claw in (-10, -3, 4):
            c.polygon([(x - 8 + claw, 158), (x - 3 + claw, 158), (x - 8 + claw, 168)], "#e8fbff")
    return c.done()


@cache
def slime(step: int) -> Image.Image:
    c = Canvas(40, 32)
    flat = 3 * math.sin(step / 8 * 2 * math.pi)
    c.ellipse(20, 20 + flat / 2, 15 + flat / 2, 11 - flat / 2, "#57c98d")
    c.ellipse(15, 15 + flat, 4, 2.4, "#b8f5d0")
    for x in (14, 25):
        c.ellipse(x, 20 + flat, 2, 2.6, "#123825")
    return c.done()


@cache
def streamer(mouth: int, *, blink: bool, excited: bool) -> Image.Image:
    """112x84: a face with headphones before a lit wall, the mouth open by 0 to 3."""
    c = Canvas(112, 84)
    c.box(0, 0, 112, 84, "#2b1f4d" if not excited else "#46246b")
    c.ellipse(92, 18, 26, 26, "#5a3c93" if not excited else "#8a45b8")
    c.box(8, 12, 20, 3, "#7c5cc4")
    for x, tone in ((9, "#e0637c"), (14, "#62c3d0"), (20, "#f2b950")):
        c.box(x, 3, 4, 9, tone)
    top = 4 if excited else 8
    if excited:
        for x, hand in ((26, 12), (90, 104)):
            c.line([(x, 84), (hand, 50), (hand + (4 if hand < 50 else -4), 24)], 10, "#2f7f86")
            c.ellipse(hand + (4 if hand < 50 else -4), 18, 7, 7, SKIN)
    c.box(28, 58 + top, 58, 40, "#2f7f86", 16)
    c.box(50, 50 + top, 13, 14, "#d9a987")
    c.ellipse(57, 34 + top, 20, 23, SKIN)
    c.polygon(
        [(36, 30 + top), (40, 10 + top), (58, 5 + top), (76, 12 + top), (78, 30 + top), (66, 20 + top)], "#5b3420"
    )
    c.arc(57, 30 + top, 25, 25, (185, 355), 4.5, "#1a1f33")
    for x in (33, 80):
        c.box(x - 4, 28 + top, 9, 17, "#1a1f33", 4)
    for x in (49, 65):
        if blink:
            c.line([(x - 3, 34 + top), (x + 3, 34 + top)], 1.6, "#3a2416")
        else:
            c.ellipse(x, 34 + top, 2.6, 3.4, "#26160d")
        c.line([(x - 4, 27 + top - (2 if excited else 0)), (x + 4, 26.5 + top - (2 if excited else 0))], 1.8, "#5b3420")
    if mouth:
        c.ellipse(57, 46 + top, 4 + mouth, 1 + 1.8 * mouth, "#7a2430")
    else:
        c.arc(57, 43 + top, 7, 5, (20, 160), 1.8, "#7a2430")
    return c.done()


@cache
def merchant(step: int) -> Image.Image:
    """110x130: a hooded fox behind the counter."""
    c = Canvas(110, 130)
    nod = 1.5 * math.sin(step / 8 * 2 * math.pi)
    c.polygon([(14, 130), (30, 66 + nod), (80, 66 + nod), (96, 130)], "#5a3c93")
    c.ellipse(55, 48 + nod, 31, 33, "#46246b")
    c.polygon([(30, 36 + nod), (26, 8 + nod), (48, 26 + nod)], "#e08a3c")
    c.polygon([(80, 36 + nod), (84, 8 + nod), (62, 26 + nod)], "#e08a3c")
    c.ellipse(55, 50 + nod, 23, 22, "#e08a3c")
    c.polygon([(34, 54 + nod), (76, 54 + nod), (55, 76 + nod)], "#fbeedd")
    c.ellipse(55, 73 + nod, 3.6, 3, "#26160d")
    for x in (45, 65):
        c.ellipse(x, 48 + nod, 3, 4, "#26160d")
        c.ellipse(x + 1, 46.6 + nod, 1, 1.2, "#ffffff")
    c.ellipse(55, 92 + nod, 6, 6, GOLD)
    return c.done()


@cache
def mug() -> Image.Image:
    c = Canvas(64, 64)
    c.arc(47, 36, 12, 12, (0, 360), 5, "#f4f0ff")
    c.box(12, 14, 36, 44, "#f4f0ff", 7)
    c.box(12, 26, 36, 20, "#c8334a")
    c.polygon([(30, 29), (32.5, 34), (38, 34.4), (33.8, 38), (35.2, 43), (30, 40), (24.8, 43), (26.2, 38), (22, 34.4),
               (27.5, 34)], GOLD)  # fmt: skip
    c.ellipse(30, 15, 17, 4, "#5b3420")
    return c.done()


@cache
def potion(colour: str) -> Image.Image:
    c = Canvas(40, 48)
    c.box(15, 4, 10, 14, "#dfe9f7", 2)
    c.box(14, 2, 12, 6, "#8a4b2c", 2)
    c.ellipse(20, 31, 15, 15, "#dfe9f7")
    c.ellipse(20, 33, 12, 11, colour)
    c.ellipse(15, 28, 3, 4, "#ffffff")
    return c.done()


@cache
def charm() -> Image.Image:
    c = Canvas(40, 48)
    c.polygon([(20, 2), (34, 26), (30, 42), (10, 42), (6, 26)], "#ff7a4d")
    c.polygon([(20, 14), (28, 30), (24, 40), (15, 40), (12, 30)], GOLD)
    return c.done()


@cache
def fire(step: int) -> Image.Image:
    """90x100 campfire on logs, eight flickers."""
    c = Canvas(90, 100)
    sway = 5 * math.sin(step / 8 * 2 * math.pi)
    grow = 6 * math.sin(step / 4 * 2 * math.pi)
    for width, high, tone in ((27, 68, "#e8502e"), (19, 50, "#ff9a3c"), (10, 30, "#ffe08a")):
        c.polygon([(45 - width, 84), (45 - width * 0.7, 62), (45 + sway, 84 - high - grow), (45 + width * 0.8, 60),
                   (45 + width, 84)], tone)  # fmt: skip
        c.ellipse(45, 82, width, 10, tone)
    c.line([(16, 92), (74, 84)], 9, "#5b3420")
    c.line([(16, 84), (74, 92)], 9, "#744427")
    return c.done()


@cache
def chest(*, opened: bool) -> Image.Image:
    c = Canvas(110, 100)
    if opened:
        c.box(10, 18, 90, 30, "#744427", 12)
        c.box(18, 26, 74, 22, "#2a160c", 6)
    else:
        c.box(10, 34, 90, 36, "#8a5230", 16)
        c.box(10, 34, 90, 36, "#8a5230", 16)
    c.box(10, 54, 90, 42, "#8a5230", 5)
    for x in (16, 82):
        c.box(x, 54 if opened else 38, 12, 42 if opened else 58, GOLD, 2)
    c.box(10, 54, 90, 5, "#5b3420")
    c.box(48, 52, 14, 17, GOLD, 3)
    c.ellipse(55, 60, 2.4, 3, "#2a160c")
    return c.done()


@cache
def great_sword() -> Image.Image:
    c = Canvas(60, 150)
    c.polygon([(22, 104), (22, 22), (30, 2), (38, 22), (38, 104)], "#fff1b8")
    c.polygon([(30, 104), (30, 6), (38, 22), (38, 104)], GOLD)
    c.box(8, 102, 44, 9, "#d99a2b", 4)
    c.box(25, 110, 10, 26, "#8a4b2c", 3)
    c.ellipse(30, 140, 7, 7, "#d99a2b")
    c.ellipse(30, 106, 4, 4, "#e8502e")
    return c.done()
