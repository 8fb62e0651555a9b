"""Table III: what each input is worth: the full network trained without it.

python benchmarks/paper/table3.py [--seeds 3] [--work paper-runs]
"""

from experiment import FULL, Variant, arguments, data_set, runs_of
from report import ceiling, provenance, table, write

from kuaihl.models.training_plan import ABLATIONS

ROWS = [FULL, *(Variant(f"without {name}", without=(name,)) for name in ABLATIONS)]


def main() -> None:
    work, results, setting = arguments(__doc__)
    rows = {row.name: runs_of(row, work, setting) for row in ROWS}
    data = data_set(work, setting)
    write(
        results / "table3.md",
        "Table III: inputs, on the simulated set",
        table(rows, head="inputs") + "\n" + ceiling(data),
        provenance(setting, data),
    )


if __name__ == "__main__":
    main()
