"""Figures 3, 4 and 5 as SVG and PNG: pair losses, L_point under them, and soft-DTW's paths over the distance matrix.

python benchmarks/paper/figures.py [--seeds 3] [--work paper-runs]
"""

from pathlib import Path

import numpy as np
import torch
from experiment import FULL, OFF, Setting, Variant, arguments, data_set, run_of, runs_of, trained_network
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from table2 import ROWS

from kuaihl.models.alignment_loss import pair_costs
from kuaihl.models.objective import Objective
from kuaihl.models.pairwise_loss import PAIR_VARIANTS, pairwise_loss
from kuaihl.models.soft_dtw import soft_dtw

BORDER = 0.2  # Δy of Figure 3's pair
SEGMENTS = 20  # of Figure 5's window
COLOURS = ("#666666", "#b5402f", "#c98a1b", "#2f7f4f", "#124a73")
WITHOUT_ALIGN = Variant("without L_align", objective=Objective(align=OFF))


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
    """Each pair loss of one pair whose labels are BORDER apart, over how far its scores are apart."""
    apart = torch.linspace(-0.4, 0.6, 401)
    scores = torch.stack([0.4 + apart, torch.full_like(apart, 0.4)], dim=1).clamp(1e-6, 1 - 1e-6)  # [401, 2]
    labels = torch.tensor([[0.5 + BORDER, 0.5]])
    figure = Figure(figsize=(6, 3.6))
    axes = figure.add_subplot()
    for variant, colour, style in zip(PAIR_VARIANTS, COLOURS[1:], ("-", "--", "-", "--"), strict=True):
        values = [
            float(pairwise_loss(torch.logit(pair)[None], labels, torch.ones(1, 2, dtype=torch.bool), variant))
            for pair in scores
        ]
        axes.plot(apart.numpy(), values, style, color=colour, label=variant, linewidth=1.8)
    axes.axvline(BORDER, color="#999999", linewidth=0.8)
    axes.annotate(f"Δy = {BORDER}", (BORDER, axes.get_ylim()[1]), xytext=(4, -10), textcoords="offset points")
    plain(axes, "Δs, how much higher the better segment is scored", "loss of the pair")
    axes.set_title("Pair losses of one pair of segments (eq. 9–12, σ = 10)", fontsize=10)
    axes.legend(frameon=False)
    saved(figure, results, "figure3")


def figure4(results: Path, work: Path, setting: Setting) -> None:
    """L_point while training, alone and under each pair loss; mean over seeds, their range shaded."""
    figure = Figure(figsize=(6.5, 3.8))
    axes = figure.add_subplot()
    for row, colour in zip(ROWS[:5], COLOURS, strict=True):
        courses = [run["course"] for run in runs_of(row, work, setting)]
        steps = [report["step"] for report in courses[0]]
        points = np.array([smooth([report["point"] for report in course]) for course in courses])  # [seeds, reports]
        axes.plot(steps, points.mean(axis=0), color=colour, label=row.name.split(": ")[1], linewidth=1.6)
        axes.fill_between(steps, points.min(axis=0), points.max(axis=0), color=colour, alpha=0.12, linewidth=0)
    plain(axes, "training step", "L_point of the batches")
    axes.set_title(f"L_point while training, alone and under each pair loss, {setting.seeds} seeds", fontsize=10)
    axes.legend(frameon=False)
    saved(figure, results, "figure4")


def smooth(values: list[float], width: int = 7) -> list[float]:
    """A running mean, shorter at the ends."""
    return [float(np.mean(values[max(0, i - width // 2) : i + width // 2 + 1])) for i in range(len(values))]


def figure5(results: Path, work: Path, setting: Setting) -> None:
    """Distances 1 - cos of words and pictures of one test window, and where soft-DTW's path lies."""
    data = data_set(work, setting)
    record = max(data.rooms_of("test"), key=lambda room: room.segments)
    room = data.room(record)
    middle = slice(record.segments // 2, record.segments // 2 + SEGMENTS)
    visual = torch.from_numpy(np.array(room.visual[middle])).float()[None]  # [1, 20, P, d_v]
    text = torch.from_numpy(np.array(room.text[middle])).float()[None]  # [1, 20, d_t]
    figure = Figure(figsize=(9, 4))
    for place, variant in enumerate((WITHOUT_ALIGN, FULL), start=1):
        network = trained_network(variant, 0, work, setting)
        with torch.no_grad():
            tokens = network.embed(visual, text)  # type: ignore[operator]
        cost = pair_costs(tokens[:, :, -1], tokens[:, :, :-1].mean(dim=2)).requires_grad_()  # [1, 20, 20]
        soft_dtw(cost, torch.tensor([cost.shape[1]])).sum().backward()  # type: ignore[no-untyped-call]
        assert cost.grad is not None
        axes = figure.add_subplot(1, 2, place)
        shown = axes.imshow(cost[0].detach().numpy(), cmap="Blues_r", origin="lower", vmin=0.0, vmax=1.6)
        rows, columns = np.nonzero(cost.grad[0].numpy() > 0.05)
        weight = cost.grad[0].numpy()[rows, columns]
        axes.scatter(columns, rows, s=40 * weight, color="#b5402f", label="soft-DTW's path")
        axes.plot([0, SEGMENTS - 1], [0, SEGMENTS - 1], color="#666666", linewidth=0.7, linestyle=":")
        axes.set_title("with L_align" if variant is FULL else variant.name, fontsize=10)
        plain(axes, "pictures of segment", "words of segment")
        axes.set_xticks(range(0, SEGMENTS, 5))
        axes.set_yticks(range(0, SEGMENTS, 5))
        axes.legend(frameon=False, loc="upper left", fontsize=8)
        figure.colorbar(shown, ax=axes, shrink=0.8, label="1 − cos")
    figure.suptitle("Distances of words and pictures of one test window, and soft-DTW's path", fontsize=10)
    figure.tight_layout()
    saved(figure, results, "figure5")


def main() -> None:
    work, results, setting = arguments(__doc__)
    figure3(results)
    figure4(results, work, setting)
    run_of(WITHOUT_ALIGN, 0, work, setting)
    figure5(results, work, setting)


if __name__ == "__main__":
    main()
