"""Table I: KuaiHL beside the five systems of the paper, trained alike on the same rooms.

python benchmarks/paper/table1.py [--seeds 3] [--work paper-runs]
"""

from experiment import FULL, Variant, arguments, data_set, runs_of
from report import ceiling, provenance, table, write

SYSTEMS = [
    Variant("AntPivot", "antpivot"),
    Variant("Adaptive-H-FCSN", "adaptive-h-fcsn"),
    Variant("PR-Net", "pr-net"),
    Variant("PAC-Net", "pac-net"),
    Variant("ShowMe", "showme"),
    FULL,
]


def main() -> None:
    work, results, setting = arguments(__doc__)
    rows = {system.name: runs_of(system, work, setting) for system in SYSTEMS}
    data = data_set(work, setting)
    sizes = ", ".join(f"{name} {runs[0]['parameters']:,}" for name, runs in rows.items())
    write(
        results / "table1.md",
        "Table I: systems, on the simulated set",
        table(rows) + "\n" + ceiling(data),
        f"Parameters: {sizes}.",
        provenance(setting, data),
    )


if __name__ == "__main__":
    main()
