"""What every picture is drawn with: colours, type, glass panels, layers that scroll."""

from functools import cache

from PIL import Image, ImageDraw, ImageFont

WHITE, INK, GOLD = (255, 255, 255), (16, 20, 40), (255, 207, 90)
GLASS = (10, 14, 34, 170)


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
