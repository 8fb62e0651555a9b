"""Table II: the gain from each loss, rows a to g, and c to e by the other mean.

python benchmarks/paper/table2.py [--setting quick] [--work paper-runs]
"""

from collections.abc import Sequence

from experiment import OFF, Run, Variant, runs_of_all, values_of
from orderings import RULE, orderings
from report import (
    NONE,
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
from kuaihl.models.evaluation.published import paper_table
from kuaihl.models.losses.objective import Objective
from kuaihl.models.losses.pairwise import PairMean, PairVariant

LOSSES = {
    "point": "L_point", "pair0": "L⁰", "pair1": "L¹", "pair2": "L²", "pair3": "L³",
    "align_noswap": "L'_align", "align": "L_align",
}  # fmt: skip


def with_pairs(letter: str, variant: PairVariant, mean: PairMean = "counted") -> Variant:
    """L_point and one pair loss."""
    return Variant(
        f"{letter}: L_point + {variant}", objective=Objective(align=OFF, pair_variant=variant, pair_mean=mean)
    )


ROWS = [
    Variant("a: L_point", objective=Objective(pair=OFF, align=OFF)),
    with_pairs("b", "pair0"),
    with_pairs("c", "pair1"),
    with_pairs("d", "pair2"),
    with_pairs("e", "pair3"),
    Variant("f: L_point + pair1 + L'_align (no swap)", objective=Objective(align_variant="align_noswap")),
    Variant("g: L_point + pair1 + L_align", objective=Objective()),
]
BY_ALL_PAIRS = [with_pairs("c", "pair1", "all"), with_pairs("d", "pair2", "all"), with_pairs("e", "pair3", "all")]


def table(runs: Sequence[Sequence[Run]], data: KLive) -> str:
    """Rows a to g and those of BY_ALL_PAIRS, in that order."""
    head = ["row", *LOSSES.values(), "tau", "to (a), points", "tau per room", "published tau", "published, to (a)"]
    printed = paper_table("II")
    base, rows = runs[0], []
    for letter, found in zip(printed, runs, strict=False):
        own = printed[letter]
        apart = NONE if letter == "a" else difference(found, base)
        theirs = NONE if letter == "a" else points(own.tau[0.0], printed["a"].tau[0.0])
        taus = [mean_and_error(values_of(found)), apart, room_taus(found), figure(own.tau[0.0]), theirs]
        rows.append([own.name, *ticks(own.ticks, list(LOSSES)), *taus])
    for variant, found in zip(BY_ALL_PAIRS, runs[len(printed) :], strict=True):
        marks = ticks(["point", variant.objective.pair_variant], list(LOSSES))
        taus = [mean_and_error(values_of(found)), difference(found, base), room_taus(found), NONE, NONE]
        rows.append([f"({variant.name[0]}), all pairs", *marks, *taus])
    blank = [""] * len(LOSSES)
    rows += [[f"*{name}*", *blank, taus[0], NONE, per_room, NONE, NONE] for name, taus, per_room in ceiling_rows(data)]
    return markdown(head, rows)


def main() -> None:
    work, results, setting = arguments(__doc__)
    found = runs_of_all([*ROWS, *BY_ALL_PAIRS], work, setting)
    data = data_set(work, setting)
    write(
        results / "table2.md",
        "Table II: losses, on simulated rooms",
        table(found, data),
        f"{PUBLISHED} Its own difference for (e) is printed as 0.66; its taus are 0.63 apart.",
        "Rows b to g take L_pair as a mean over the pairs that count, as the authors' released code does; the paper "
        'prints a sum. "All pairs" divides by all pairs y_i > y_j instead. Differences are paired by seed.',
        f"## The paper's orderings\n\n{RULE}\n\n{orderings('II', dict(zip(paper_table('II'), found, strict=False)))}",
        provenance(setting, data, found),
    )


if __name__ == "__main__":
    main()
