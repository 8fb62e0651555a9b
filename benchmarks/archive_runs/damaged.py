"""Damaged recordings: every tenth of an archive, in ten ways, and each must have its row in the ledger.

The archive is that of the fault campaign. What a file costs beyond its scoring is the processor time of the process
that hands out the jobs.
"""

import os
from pathlib import Path

from fault_campaign.archive import SHARE, fill_archive, grow, make_variants
from fault_campaign.result import Figure

from archive_runs.commands import batch, measure, read_status

MOST_PROCESSOR_SECONDS = 0.3  # per file


def run(folder: Path, size: int) -> tuple[Figure, ...]:
    """Damage `size` recordings among ten times as many."""
    contents = make_variants(folder / "made", size * SHARE)
    expected = fill_archive(folder / "in", contents)
    grow(folder / "in", contents)
    spent = measure(*batch(folder, "--jobs", "2"), codes=(0, 5))
    status = read_status(folder / "out")
    listed = {state: status[state] for state in ("failed", "quarantined", "left_out")}
    became = {os.fsencode(Path(one["source"]).name): state for state, rows in listed.items() for one in rows}
    wrong = [
        name
        for name, allowed in expected.items()
        if became.get(os.fsencode(name), "done").replace("_", " ") not in allowed
    ]
    counts = status["counts"]
    return (
        Figure("recordings", len(contents)),
        Figure("done", counts["done"]),
        Figure("failed", counts["failed"]),
        Figure("left out", counts["left out"]),
        Figure("without a row", len(contents) - sum(counts.values()), limit=0),
        Figure("without a reason", sum(not one["reason"] for rows in listed.values() for one in rows), limit=0),
        Figure("other than their damage allows", len(wrong), limit=0),
        Figure("all together", spent.wall, "s"),
        Figure("processor time with the workers, per file", spent.processor / len(contents), "s"),
        Figure("of it beyond scoring, per file", spent.own / len(contents), "s", MOST_PROCESSOR_SECONDS),
    )
