"""Pictures brought to another aspect by FFmpeg's filters: cropped to the middle, or whole over a blurred copy."""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from kuaihl.engines.highlights.clip_style import FitName

if TYPE_CHECKING:
    from av import VideoFrame
    from av.filter import Graph

    Node = Any  # a filter in a graph; PyAV's type has no name of its own in the public module

PIXELS = "yuv420p"  # what every player shows
_BLUR_SCALE = 8  # the copy is blurred at an eighth of its size: no eye sees a difference, and it takes a tenth
_TURNS: tuple[tuple[tuple[str, str | None], ...], ...] = (
    (),
    (("transpose", "cclock"),),
    (("hflip", None), ("vflip", None)),
    (("transpose", "clock"),),
)
_BLUR = 0.05  # of its shorter side: the deviation of the blur


@dataclass(frozen=True)
class Framing:
    """The wanted aspect, width to height, and how to get there; no aspect keeps the picture."""

    aspect: tuple[int, int] | None = None
    fit: FitName = "crop"


@dataclass(frozen=True)
class Shape:
    """A picture before it is framed; the pixel's aspect is its width to height."""

    width: int
    height: int
    pixel_aspect: Fraction = Fraction(1)
    turns: int = 0  # of 90 degrees counterclockwise, 0 to 3, that bring it upright: phones only note them

    @property
    def square(self) -> tuple[int, int]:
        """Width and height in square pixels before it is turned, both even."""
        return _even(self.width * self.pixel_aspect), _even(self.height)

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height on a screen, both even."""
        width, height = self.square
        return (height, width) if self.turns % 2 else (width, height)


class Painter:
    """Frames in, framed yuv420p frames of one size out, with the same times; interlaced ones are deinterlaced."""

    def __init__(self, shape: Shape, first: "VideoFrame", framing: Framing) -> None:
        self.shape, self.format = shape, first.format.name
        self.size = frame_size(shape, framing)
        self.graph = _build(shape, first, framing)

    def paint(self, frame: "VideoFrame | None") -> "list[VideoFrame]":
        """The frames that are ready; None for the end of the stream."""
        import av

        if frame is not None and (frame.width, frame.height, frame.format.name) != (
            self.shape.width,
            self.shape.height,
            self.format,
        ):
            moved = frame.reformat(self.shape.width, self.shape.height, self.format)
            moved.pts, moved.time_base = frame.pts, frame.time_base
            frame = moved
        self.graph.vpush(frame)
        ready = []
        while True:
            try:
                ready.append(self.graph.vpull())
            except (BlockingIOError, av.EOFError):
                return ready


def frame_size(shape: Shape, framing: Framing) -> tuple[int, int]:
    """Width and height of framed pictures: a crop is not enlarged, a canvas is as long as the picture."""
    width, height = shape.shown
    if framing.aspect is None:
        return width, height
    ratio = Fraction(*framing.aspect)
    if framing.fit == "crop":
        return (_even(height * ratio), height) if width > height * ratio else (width, _even(width / ratio))
    longer = max(width, height)
    return (_even(longer * ratio), _even(longer)) if ratio < 1 else (_even(longer), _even(longer / ratio))


def _build(shape: Shape, first: "VideoFrame", framing: Framing) -> "Graph":
    from av.filter import Graph

    graph = Graph()
    source: Node = graph.add(
        "buffer",
        f"video_size={shape.width}x{shape.height}:pix_fmt={first.format.name}:time_base={first.time_base}:"
        f"colorspace={int(first.colorspace)}:range={int(first.color_range)}",
    )
    if first.interlaced_frame:
        source = _then(graph, source, "bwdif", "mode=send_frame:deint=interlaced")
    source = _then(graph, source, "format", PIXELS)
    if shape.square != (shape.width, shape.height):
        source = _then(graph, source, "scale", "{}:{}".format(*shape.square))
    for name, argument in _TURNS[shape.turns]:
        source = _then(graph, source, name, argument)
    if framing.aspect is not None:
        size = frame_size(shape, framing)
        source = _crop(graph, source, size) if framing.fit == "crop" else _blur(graph, source, shape.shown, size)
    source = _then(graph, source, "setsar", "1")
    _then(graph, source, "buffersink", None)
    graph.configure()
    return graph


def _crop(graph: "Graph", source: "Node", size: tuple[int, int]) -> "Node":
    return _then(graph, source, "crop", "{}:{}".format(*size))  # the middle is its default


def _blur(graph: "Graph", source: "Node", shown: tuple[int, int], size: tuple[int, int]) -> "Node":
    """The picture whole in the middle, over a blurred copy that covers the canvas."""
    (width, height), (canvas_width, canvas_height) = shown, size
    inside = min(Fraction(canvas_width, width), Fraction(canvas_height, height))
    cover = max(Fraction(canvas_width, width), Fraction(canvas_height, height)) / _BLUR_SCALE
    small = _even(canvas_width / _BLUR_SCALE), _even(canvas_height / _BLUR_SCALE)
    copies = _then(graph, source, "split", None)
    back = _then(
        graph, copies, "scale", f"{max(_even(width * cover), small[0])}:{max(_even(height * cover), small[1])}"
    )
    back = _crop(graph, back, small)
    back = _then(graph, back, "gblur", f"sigma={max(1.0, _BLUR * min(small)):.2f}")
    back = _then(graph, back, "scale", f"{canvas_width}:{canvas_height}")
    front = graph.add("scale", f"{_even(width * inside)}:{_even(height * inside)}")
    copies.link_to(front, 1, 0)
    both = graph.add("overlay", "(W-w)/2:(H-h)/2")
    back.link_to(both, 0, 0)
    front.link_to(both, 0, 1)
    return both


def _then(graph: "Graph", source: "Node", name: str, arguments: str | None) -> "Node":
    node = graph.add(name, arguments)
    source.link_to(node)
    return node


def _even(number: float | Fraction) -> int:
    """The nearest even number, 2 at least: half the pixels carry colour."""
    return max(2, 2 * round(number / 2))
