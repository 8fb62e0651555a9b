"""A picture of a stream: each score over the time it predicts, each interest over its segment, highlights, gaps."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kuaihl.engines.highlights.curve import Stretch, missing_spans, own_curve, predicted_curve
from kuaihl.engines.highlights.hindsight import interests_of
from kuaihl.engines.highlights.offline import rank_highlights
from kuaihl.engines.outputs.atomic import write_output
from kuaihl.engines.outputs.timecode import format_timecode
from kuaihl.engines.types import Highlight, ScoredSegment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT, DPI = 1600, 500, 100  # pixels, pixels per inch
CURVE, _SECOND, SHADE, INK, FAINT = "#1f4e79", "#b3261e", "#f2a33a", "#333333", "#8a8a8a"
_STEPS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)  # seconds between ticks
_MOST_TICKS = 14
_NAMED = 20  # highlights that get their rank above them: more would be unreadable


def plot_scores(
    scored: Sequence[ScoredSegment], highlights: Sequence[Highlight], path: Path, *, title: str = ""
) -> None:
    """Write a PNG of WIDTH x HEIGHT pixels. Raises UsageError if it cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.2, h_pad=0.12)  # inches
    # A separate figure, not pyplot: without global state, a batch's workers and a notebook may draw as well.
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, layout=layout, facecolor="white")
    axes = figure.add_subplot()
    duration = max((one.end for one in scored), default=1.0)
    _draw_curves(axes, scored)
    _draw_gaps(axes, scored)
    _draw_highlights(axes, highlights)
    _dress_axes(axes, duration, title)
    picture = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a title in a script that the font lacks: boxes will do
        FigureCanvasAgg(figure).print_figure(picture, dpi=DPI)
    write_output(path, picture.getvalue())


def _draw_curves(axes: "Axes", scored: Sequence[ScoredSegment]) -> None:
    """A step per score, over the media that it predicts, and one per interest, over the segment itself."""
    interests = interests_of(scored)
    interest = [] if interests is None else own_curve(scored, interests)
    score = predicted_curve(scored)
    _draw_steps(axes, score, "score, over the time it speaks of", CURVE, filled=not interest)
    _draw_steps(axes, interest, "interest, over its own segment", _SECOND, filled=False)
    values = [one.score for one in (*score, *interest)] or [0.0, 1.0]
    room = max(0.05, 0.15 * (max(values) - min(values)))
    axes.set_ylim(max(0.0, min(values) - room), min(1.0, max(values) + 1.4 * room))


def _draw_steps(axes: "Axes", curve: Sequence[Stretch], label: str, color: str, *, filled: bool) -> None:
    """A line of steps that breaks where media is missing; the area below it is tinted if `filled`."""
    runs: list[list[Stretch]] = []
    for one in curve:
        if one.after_gap or not runs:
            runs.append([])
        runs[-1].append(one)
    for run in runs:
        edges = [run[0].start, *(one.end for one in run)]
        heights = [run[0].score, *(one.score for one in run)]
        named = label if run is runs[0] else ""
        axes.step(edges, heights, where="pre", color=color, linewidth=1.6, label=named)
        if filled:
            axes.fill_between(edges, heights, step="pre", color=color, alpha=0.13, linewidth=0)


def _draw_highlights(axes: "Axes", highlights: Sequence[Highlight]) -> None:
    """A shaded span per highlight, with its rank above it."""
    named = False
    for rank, one in zip(rank_highlights(highlights), highlights, strict=True):
        label = "" if named else "highlight, by rank"
        axes.axvspan(one.start, one.end, color=SHADE, alpha=0.35, linewidth=0, zorder=0.5, label=label)
        named = True
        if rank <= _NAMED:
            axes.annotate(
                str(rank),
                ((one.start + one.end) / 2, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, -5),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=10,
                fontweight="bold",
                color=INK,
            )


def _draw_gaps(axes: "Axes", scored: Sequence[ScoredSegment]) -> None:
    """Hatching over missing media: over the hole, or over a narrow strip if the clock did not advance."""
    duration = max((one.end for one in scored), default=1.0)
    strip = duration / 200
    for index, (start, end) in enumerate(missing_spans(scored)):
        middle = (start + end) / 2
        hole = (start, end) if end - start > strip else (middle - strip / 2, middle + strip / 2)
        label = "" if index else "media missing"
        axes.axvspan(*hole, facecolor="white", edgecolor=FAINT, hatch="//////", linewidth=0, zorder=3, label=label)


def _dress_axes(axes: "Axes", duration: float, title: str) -> None:
    """Set up axes, ticks and labels."""
    step = next((step for step in _STEPS if duration / step <= _MOST_TICKS), _STEPS[-1])
    ticks = [step * index for index in range(int(duration / step) + 1)]
    axes.set_xticks(ticks, [format_timecode(tick) for tick in ticks])
    axes.set_xlim(0.0, duration)
    axes.set_xlabel("time")
    axes.set_ylabel("predicted long-view rate")
    axes.grid(axis="y", color="#e3e3e3", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=10)
    if axes.get_legend_handles_labels()[1]:
        place: tuple[float, float] = (1.0, 1.0)  # right above the axes, clear of the highlights' ranks
        axes.legend(
            loc="lower right",
            bbox_to_anchor=place,
            borderaxespad=0.2,
            ncol=4,
            frameon=False,
            fontsize=10,
            labelcolor=INK,
        )
    if title:
        axes.set_title(title, loc="left", fontsize=12, color=INK, parse_math=False)
