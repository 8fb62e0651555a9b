"""Figures 3, 4 and 5, and the supplement's Figure 1, as SVG and PNG.

python benchmarks/paper/figures.py [--setting quick] [--work paper-runs]
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from experiment import FULL, OFF, Variant, runs_of, trained_network
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from replay import ReplayedRoom, replay, shown
from setting import Setting, arguments, data_set, feature_banks, simulation_plan
from table2 import ROWS

from kuaihl.engines.outputs.plot_rooms import plot_rooms
from kuaihl.models.data.klive import KLive
from kuaihl.models.data.report import summarise
from kuaihl.models.facts import RoomRecord
from kuaihl.models.losses.alignment import pair_costs
from kuaihl.models.losses.objective import Objective
from kuaihl.models.losses.pairwise import PAIR_VARIANTS, pairwise_loss
from kuaihl.models.losses.soft_dtw import soft_dtw

BORDER = 0.2  # y_i − y_j of Figure 3's pair
SEGMENTS = 20  # of Figure 5's window
COLOURS = ("#666666", "#b5402f", "#c98a1b", "#2f7f4f", "#124a73")
PARTS = ("#f3e3e0", "#e6efe9", "#f4efdf")  # behind Figure 3
WITHOUT_ALIGN = Variant("without L_align", objective=Objective(align=OFF))
LONGEST_LINE = 74  # characters of a segment's speech


def saved(figure: Figure, results: Path, name: str) -> None:
    for kind in ("svg", "png"):
        file = results / f"{name}.{kind}"
        figure.savefig(file, dpi=150, bbox_inches="tight")
        print(file)


def plain(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)


def figure3(results: Path) -> None:
    """Each pair loss of one pair with labels BORDER apart, over the distance of its scores; Parts 1 to 3."""
    apart = torch.linspace(-0.4, 0.6, 501, dtype=torch.float64)
    scores = torch.stack([0.4 + apart, torch.full_like(apart, 0.4)], dim=1).clamp(1e-6, 1 - 1e-6)  # [501, 2]
    labels = torch.tensor([[0.5 + BORDER, 0.5]])
    figure = Figure(figsize=(6.6, 3.8))
    axes = figure.add_subplot()
    edges = (float(apart[0]), 0.0, BORDER, float(apart[-1]))
    for part, (left, right) in enumerate(itertools.pairwise(edges)):
        axes.axvspan(left, right, color=PARTS[part], linewidth=0)
        axes.text((left + right) / 2, 4.6, f"Part {part + 1}", ha="center", fontsize=9)
    widths, styles = (5.0, 3.2, 1.8, 1.4), ("-", "-", "-", "--")  # keeps curves visible that lie on one another
    for variant, colour, width, style in zip(PAIR_VARIANTS, COLOURS[1:], widths, styles, strict=True):
        pairs = torch.logit(scores).float()
        values = [
            float(pairwise_loss(pair[None], labels, torch.ones(1, 2, dtype=torch.bool), variant)) for pair in pairs
        ]
        axes.plot(apart.numpy(), values, style, color=colour, label=variant, linewidth=width, alpha=0.85)
    axes.set_ylim(-0.15, 5)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xticks([-0.4, -0.2, 0.0, BORDER, 0.4, 0.6], ["-0.4", "-0.2", "0", "$y_i - y_j$", "0.4", "0.6"])
    plain(axes, "$s_i - s_j$, how much higher the better segment is scored", "loss of the pair")
    axes.set_title("Pair losses of one pair of segments (eq. 9–12, σ = 10)", fontsize=10)
    axes.legend(frameon=False, loc="center right")
    saved(figure, results, "figure3")


def figure4(results: Path, work: Path, setting: Setting) -> None:
    """L_point and L_pair while training, rows a to e; mean over seeds, their range shaded."""
    figure = Figure(figsize=(10.5, 3.8))
    panels = figure.subplots(1, 2)
    for row, colour in zip(ROWS[:5], COLOURS, strict=True):
        courses = [run["course"] for run in runs_of(row, work, setting)]
        steps = [report["step"] for report in courses[0]]
        for axes, loss in zip(panels, ("point", "pair"), strict=True):
            if loss == "pair" and not row.objective.pair:
                continue
            values = np.array([smooth([report[loss] for report in course]) for course in courses])  # [seeds, reports]
            axes.plot(steps, values.mean(axis=0), color=colour, label=row.name.split(": ")[1], linewidth=1.6)
            axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.12, linewidth=0)
    for axes, loss in zip(panels, ("L_point", "L_pair"), strict=True):
        plain(axes, "training step", f"{loss} of the batches")
        axes.legend(frameon=False, fontsize=8)
    figure.suptitle(f"L_point and L_pair while training, rows a to e, {setting.seeds} seeds", fontsize=10)
    figure.tight_layout()
    saved(figure, results, "figure4")


def smooth(values: list[float], width: int = 7) -> list[float]:
    """A running mean, shorter at the ends."""
    return [float(np.mean(values[max(0, i - width // 2) : i + width // 2 + 1])) for i in range(len(values))]


@dataclass(frozen=True)
class Alignment:
    """Costs 1 − cos of words i and pictures j of a window, and the share of soft-DTW's path on each."""

    cost: NDArray[np.float32]  # [n, n]
    path: NDArray[np.float32]  # [n, n]

    @property
    def departure(self) -> float:
        """Segments between the path and the diagonal, on average over the path."""
        rows, columns = np.indices(self.path.shape)
        return float((self.path * np.abs(rows - columns)).sum() / self.path.sum())


def aligned(network: torch.nn.Module, data: KLive, record: RoomRecord, window: range) -> Alignment:
    """How a network aligns a window of a room."""
    room, part = data.room(record), slice(window.start, window.stop)
    visual = torch.from_numpy(np.array(room.visual[part])).float()[None]  # [1, n, P, d_v]
    text = torch.from_numpy(np.array(room.text[part])).float()[None]  # [1, n, d_t]
    with torch.no_grad():
        tokens = network.embed(visual, text)  # type: ignore[operator]
    cost = pair_costs(tokens[:, :, -1], tokens[:, :, :-1].mean(dim=2)).requires_grad_()  # [1, n, n]
    soft_dtw(cost, torch.tensor([cost.shape[1]])).sum().backward()  # type: ignore[no-untyped-call]
    assert cost.grad is not None
    return Alignment(cost[0].detach().numpy(), cost.grad[0].numpy())


def most_departing(
    network: torch.nn.Module, data: KLive, rooms: list[ReplayedRoom]
) -> tuple[RoomRecord, ReplayedRoom, range]:
    """The window of an English test room in which the path leaves the diagonal most; windows do not overlap."""
    found = []
    for record, room in zip(data.rooms_of("test"), rooms, strict=True):
        for first in range(0, record.segments - SEGMENTS + 1, SEGMENTS):
            window = range(first, first + SEGMENTS)
            spoken = sum(room.room.speech[window.start : window.stop] >= 0) >= SEGMENTS // 2
            if room.language == "en" and spoken:
                found.append((aligned(network, data, record, window).departure, record, room, window))
    assert found, "no English test room is long enough and spoken in"
    _, record, room, window = max(found, key=lambda one: one[0])
    return record, room, window


def figure5(results: Path, work: Path, setting: Setting) -> None:
    """(a) Costs of words and pictures of one test window and soft-DTW's path; (b) its scenes and words."""
    data = data_set(work, setting)
    rooms = replay(simulation_plan(setting), *feature_banks())
    full = trained_network(FULL, 0, work, setting)
    record, room, window = most_departing(full, data, rooms)
    figure = Figure(figsize=(11, 9.2))
    above, below = figure.subfigures(2, 1, height_ratios=(4.4, 4.8))
    for axes, variant in zip(above.subplots(1, 2), (WITHOUT_ALIGN, FULL), strict=True):
        network = full if variant is FULL else trained_network(variant, 0, work, setting)
        draw_alignment(axes, aligned(network, data, record, window))
        axes.set_title("with L_align" if variant is FULL else variant.name, fontsize=10)
    where = f"{record.id}, segments {window[0]} to {window[-1]}"
    above.suptitle(f"(a) Costs of words and pictures, and soft-DTW's path in red: {where}", fontsize=10)
    draw_sequence(below, room, window)
    saved(figure, results, "figure5")


def draw_alignment(axes: Axes, found: Alignment) -> None:
    image = axes.imshow(found.cost, cmap="Blues_r", origin="lower", vmin=0.0, vmax=1.6)
    rows, columns = np.nonzero(found.path > 0.05)
    axes.scatter(columns, rows, s=40 * found.path[rows, columns], color="#b5402f")
    axes.plot([0, SEGMENTS - 1], [0, SEGMENTS - 1], color="#666666", linewidth=0.7, linestyle=":")
    plain(axes, "pictures of segment", "words of segment")
    axes.set_xticks(range(0, SEGMENTS, 5))
    axes.set_yticks(range(0, SEGMENTS, 5))
    axes.figure.colorbar(image, ax=axes, shrink=0.8, label="1 − cos")


def draw_sequence(figure: Figure, room: ReplayedRoom, window: range) -> None:
    """Twenty pictures in two rows, with the speech under them."""
    segments = shown(room, window)
    figure.suptitle("(b) Scenes, drawn again from the room's seed, and what is said", fontsize=10)
    grid = figure.add_gridspec(3, SEGMENTS // 2, height_ratios=(1, 1, 3.4), hspace=0.35, wspace=0.06)
    for number, one in enumerate(segments):
        axes = figure.add_subplot(grid[number // (SEGMENTS // 2), number % (SEGMENTS // 2)])
        axes.imshow(one.picture)
        axes.set_title(f"{number} {one.scene}", fontsize=7, pad=2)
        axes.set_axis_off()
    for column in (0, 1):
        half = grid[2, : SEGMENTS // 4] if column == 0 else grid[2, SEGMENTS // 4 :]
        axes = figure.add_subplot(half)
        axes.set_axis_off()
        first = column * SEGMENTS // 2
        lines = [
            f"{first + number:>2}  {line_of(one.speech)}"
            for number, one in enumerate(segments[first:][: SEGMENTS // 2])
        ]
        axes.text(0, 1, "\n".join(lines), fontsize=6.4, va="top", linespacing=1.6, parse_math=False)


def line_of(speech: str) -> str:
    """One line of speech, cut at a word."""
    if len(speech) <= LONGEST_LINE:
        return speech or "(nobody speaks)"
    return speech[:LONGEST_LINE].rsplit(" ", 1)[0] + " …"


def figure_s1(results: Path, work: Path, setting: Setting) -> None:
    """The supplement's Figure 1 of the simulated set."""
    summary = summarise(data_set(work, setting))
    file = results / "figure-s1.png"
    plot_rooms(summary.room_hours, summary.room_viewers, file, title="Simulated rooms of KLive's proportions")
    print(file)


def main() -> None:
    work, results, setting = arguments(__doc__)
    figure3(results)
    figure4(results, work, setting)
    figure5(results, work, setting)
    figure_s1(results, work, setting)


if __name__ == "__main__":
    main()
