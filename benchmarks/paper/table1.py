"""Table I: KuaiHL beside the five systems of the paper, trained alike on the same rooms.

python benchmarks/paper/table1.py [--setting quick] [--work paper-runs]
"""

from collections.abc import Mapping, Sequence

from experiment import FULL, Run, Variant, runs_of_all, values_of
from orderings import RULE, orderings
from report import (
    NONE,
    PHD_DASH,
    PUBLISHED,
    ceiling_rows,
    figure,
    labels_above,
    markdown,
    mean_and_error,
    provenance,
    room_taus,
    write,
)
from setting import arguments, data_set

from kuaihl.models.data.klive import KLive
from kuaihl.models.evaluation.bootstrap import THRESHOLDS
from kuaihl.models.evaluation.published import paper_table

GROUPS = {"VHD": "Video highlight detection", "LSHD": "Live-stream highlight detection"}
SYSTEMS = [
    FULL if name == "kuaihl" else Variant(printed.name, name) for name, printed in paper_table("I").items()
]  # in the paper's order


def table(runs: Mapping[str, Sequence[Run]], data: KLive) -> str:
    """One row per system, by its `--arch` name: ours at each Δ, and the paper's under it."""
    head = ["system", "venue", *(f"Δ = {threshold:g}" for threshold in THRESHOLDS), "tau per room", "PHD mAP, %"]
    rows: list[list[str]] = []
    group = ""
    for name, printed in paper_table("I").items():
        if printed.group != group:
            group = printed.group
            rows.append([f"*{GROUPS[group]}*", *[""] * (len(head) - 1)])
        ours = [mean_and_error(values_of(runs[name], threshold)) for threshold in THRESHOLDS]
        rows.append([f"**{printed.name}**", printed.venue, *ours, room_taus(runs[name]), NONE])
        theirs = [figure(printed.tau.get(threshold)) for threshold in THRESHOLDS]
        rows.append(["published, on KLive", "", *theirs, NONE, figure(printed.mean_average_precision, 2)])
    rows += [[f"*{name}*", "", *taus, per_room, NONE] for name, taus, per_room in ceiling_rows(data)]
    return markdown(head, rows)


def main() -> None:
    work, results, setting = arguments(__doc__)
    found = runs_of_all(SYSTEMS, work, setting)
    runs = dict(zip(paper_table("I"), found, strict=True))
    data = data_set(work, setting)
    sizes = ", ".join(f"{system.name} {run[0]['parameters']:,}" for system, run in zip(SYSTEMS, found, strict=True))
    write(
        results / "table1.md",
        "Table I: systems, on simulated rooms",
        table(runs, data),
        f"{PUBLISHED} {PHD_DASH}",
        labels_above(data),
        f"Parameters: {sizes}.",
        f"## The paper's orderings\n\n{RULE}\n\n{orderings('I', runs)}",
        provenance(setting, data, found),
    )


if __name__ == "__main__":
    main()
