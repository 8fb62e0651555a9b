"""Table III: the worth of each input: the full network trained without it.

python benchmarks/paper/table3.py [--setting quick] [--work paper-runs]
"""

from collections.abc import Sequence

from experiment import FULL, Run, Variant, runs_of_all, values_of
from orderings import RULE, orderings
from report import (
    NONE,
    PHD_DASH,
    PUBLISHED,
    ceiling_rows,
    difference,
    figure,
    markdown,
    mean_and_error,
    points,
    provenance,
    room_taus,
    ticks,
    write,
)
from setting import arguments, data_set

from kuaihl.models.data.klive import KLive
from kuaihl.models.evaluation.published import PaperRow, paper_table
from kuaihl.models.training.plan import Ablation

INPUTS = {"v": "pictures", "a": "speech", "x": "comments", "u": "id", "c": "captions"}
# The paper's rows and two more, with the remaining inputs. A last row has inputs that the paper's network lacks.
ROWS: dict[str, tuple[Ablation, str]] = {
    "klive-without-id": ("id", "v a x"),
    "klive-without-text": ("text", "v u"),
    "klive-without-visual": ("visual", "a x u"),
    "audio": ("audio", "v x u"),
    "comments": ("comments", "v a u"),
}
WITH_SIGNALS = Variant("with signals and the second output", signals=True)
VARIANTS = [FULL, *(Variant(f"without {name}", without=(name,)) for name, _ in ROWS.values()), WITH_SIGNALS]


def table(runs: Sequence[Sequence[Run]], data: KLive) -> str:
    """KLive's half with ours, PHD's with the published figures alone; `runs` in the order of VARIANTS."""
    printed = paper_table("III")
    head = ["model", *INPUTS.values(), "tau", "to full, points", "tau per room", "published", "published, to full"]
    blank = [""] * (len(head) - 1)
    rows = [["*Live rooms: tau*", *blank]]
    for variant, left, row, found in zip(
        VARIANTS, ["v a x u", *(left for _, left in ROWS.values()), "v a x u"], ["klive", *ROWS, ""], runs, strict=True
    ):
        apart = NONE if variant is FULL else difference(found, runs[0])
        taus = [mean_and_error(values_of(found)), apart, room_taus(found)]
        published = theirs(printed.get(row), printed["klive"])
        rows.append([variant.name, *ticks(left.split(), list(INPUTS)), *taus, *published])
    for name, reached, per_room in ceiling_rows(data):
        rows.append([f"*{name}*", *[""] * len(INPUTS), reached[0], NONE, per_room, NONE, NONE])
    rows.append(["*PHD: mAP, %*", *blank])
    for row in ("phd", "phd-without-visual", "phd-without-caption"):
        own = printed[row]
        rows.append([own.name, *ticks(own.ticks, list(INPUTS)), NONE, NONE, NONE, *theirs(own, printed["phd"])])
    return markdown(head, rows)


def theirs(row: PaperRow | None, full: PaperRow) -> list[str]:
    """The paper's figure, and its distance from the full model's."""
    if row is None:
        return [NONE, NONE]
    if row.mean_average_precision is not None and full.mean_average_precision is not None:
        apart = row.mean_average_precision - full.mean_average_precision
        return [figure(row.mean_average_precision, 2), f"{apart:+.2f}" if apart else NONE]
    return [figure(row.tau[0.0]), NONE if row is full else points(row.tau[0.0], full.tau[0.0])]


def main() -> None:
    work, results, setting = arguments(__doc__)
    found = runs_of_all(VARIANTS, work, setting)
    data = data_set(work, setting)
    compared = dict(zip(("klive", *ROWS), found[:-1], strict=True))
    write(
        results / "table3.md",
        "Table III: inputs, on simulated rooms",
        table(found, data),
        f"{PUBLISHED} {PHD_DASH} Without captions the paper prints a fall of 1.11; its figures are 1.83 apart.",
        "Differences are paired by seed. The rows without speech and without comments alone are not in the paper. "
        "Nor is the row with signals: what is counted of comments, sound, spoken words and pictures (docs/signals.md).",
        f"## The paper's orderings\n\n{RULE}\n\n{orderings('III', compared)}",
        provenance(setting, data, found),
    )


if __name__ == "__main__":
    main()
