"""The supplement's Figure 1 for any data set: two histograms, rooms by duration and rooms by average viewers.

The widths of the paper's bars cannot be read as numbers, so ours differ: both axes are logarithmic, and one edge lies
on the threshold that the paper names.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.outputs.atomic import write_output
from kuaihl.engines.outputs.plot import CURVE, DPI, FAINT, HEIGHT, INK, SHADE, WIDTH
from kuaihl.models.data.klive_figures import LONG_MINUTES, LONG_SHARE, MANY_SHARE, MANY_VIEWERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEP = 2**0.25  # ratio of neighbouring edges
_MINUTES = {
    1: "1 min",
    3: "3 min",
    10: "10 min",
    20: "20 min",
    36: "36 min",
    60: "1 h",
    120: "2 h",
    300: "5 h",
    600: "10 h",
    1440: "24 h",
}
VIEWERS = {count: f"{count:,}" for count in (1, 3, 10, 30, 60, 100, 200, 500, 1000, 3000, 10_000, 30_000, 100_000)}

Floats = NDArray[np.float64]


def plot_rooms(hours: Floats, viewers: Floats, path: Path, *, title: str = "") -> None:
    """Write a PNG of WIDTH x HEIGHT pixels from the rooms' hours [R] and viewers [rooms with views].

    Raises UsageError if it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.2, h_pad=0.12, wspace=0.06)  # inches; wspace is a share of the width
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, layout=layout, facecolor="white")
    left, right = figure.subplots(1, 2)
    draw(left, hours * 60, LONG_MINUTES, _MINUTES, f"longer than 36 min; KLive, published: {LONG_SHARE:.0%}")
    left.set_xlabel("duration of the room")
    draw(right, viewers, MANY_VIEWERS, VIEWERS, f"above 100 viewers; KLive, published: {MANY_SHARE:.0%}")
    right.set_xlabel("average viewers of the room (views per segment)")
    if title:
        figure.suptitle(title, x=0.02, ha="left", fontsize=12, color=INK, parse_math=False)
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(picture, dpi=DPI)
    write_output(path, picture.getvalue())


def bar_edges(values: Floats, threshold: float) -> Floats:
    """Edges a factor of STEP apart around all values above 0; `threshold` is one of them."""
    steps = np.log(values[values > 0] / threshold) / np.log(STEP)
    first, last = (int(np.floor(steps.min())), int(np.floor(steps.max())) + 1) if len(steps) else (0, 1)
    exponents = np.arange(min(first, 0), max(last, 0) + 1, dtype=np.float64)
    return threshold * np.power(STEP, exponents)


def draw(axes: "Axes", values: Floats, threshold: float, ticks: dict[int, str], said: str) -> None:
    """A histogram; the bars above the threshold are dark, and the title gives their share."""
    edges = bar_edges(values, threshold)
    counts, _ = np.histogram(values, edges)
    # A value on the threshold is not above it but falls into the bar from there on; the share counts values.
    colours = [CURVE if edge >= threshold * 0.999 else FAINT for edge in edges[:-1]]
    axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=colours, edgecolor="white", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    axes.axvline(threshold, color=SHADE, linewidth=1.6)
    shown = {place: text for place, text in ticks.items() if edges[0] <= place <= edges[-1]}
    axes.set_xticks(list(shown), list(shown.values()))
    axes.minorticks_off()
    axes.set_ylabel("rooms")
    axes.grid(axis="y", color="#e3e3e3", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=10)
    share = f"{(values > threshold).mean():.0%}" if len(values) else "no room has views"
    axes.set_title(f"{share} {said}" if len(values) else share, loc="right", fontsize=10, color=INK)
