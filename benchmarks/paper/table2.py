"""Table II: what each loss adds, rows a to g.

python benchmarks/paper/table2.py [--seeds 3] [--work paper-runs]
"""

from experiment import OFF, Variant, arguments, data_set, runs_of
from report import ceiling, provenance, table, write

from kuaihl.models.objective import Objective

ROWS = [
    Variant("a: L_point", objective=Objective(pair=OFF, align=OFF)),
    Variant("b: L_point + pair0", objective=Objective(align=OFF, pair_variant="pair0")),
    Variant("c: L_point + pair1", objective=Objective(align=OFF, pair_variant="pair1")),
    Variant("d: L_point + pair2", objective=Objective(align=OFF, pair_variant="pair2")),
    Variant("e: L_point + pair3", objective=Objective(align=OFF, pair_variant="pair3")),
    Variant("f: L_point + pair1 + L'_align (no swap)", objective=Objective(align_variant="align_noswap")),
    Variant("g: L_point + pair1 + L_align", objective=Objective()),
]


def main() -> None:
    work, results, setting = arguments(__doc__)
    rows = {row.name: runs_of(row, work, setting) for row in ROWS}
    data = data_set(work, setting)
    write(
        results / "table2.md",
        "Table II: losses, on the simulated set",
        table(rows, head="losses") + "\n" + ceiling(data),
        provenance(setting, data),
    )


if __name__ == "__main__":
    main()
