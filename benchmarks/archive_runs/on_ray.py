"""On Ray: the damaged recordings of the first part, beside the local runner with as many processes.

Ray is started for it on this machine, so its start is part of what it costs. Needs the extra `ray`.
"""

from pathlib import Path

from fault_campaign.archive import SHARE, fill_archive, grow, make_variants
from fault_campaign.result import Figure

from archive_runs.commands import batch, measure, read_status

WORKERS = ("--jobs", "2")


def run(folder: Path, size: int) -> tuple[Figure, ...]:
    """Damage `size` recordings among ten times as many, and score the archive with both runners."""
    contents = make_variants(folder / "made", size * SHARE)
    fill_archive(folder / "in", contents)
    grow(folder / "in", contents)
    spent, became = {}, {}
    for runner in ("local", "ray"):
        grow(folder / "in", contents)  # else what was still written to at first has settled meanwhile
        spent[runner] = measure(*batch(folder, *WORKERS, "--runner", runner), codes=(0, 5))
        became[runner] = read_status(folder / "out")["counts"]
        (folder / "out").rename(folder / runner)
    more = {key: abs(became["ray"][key] - became["local"][key]) for key in became["local"]}
    number = len(contents)
    return (
        Figure("recordings", number),
        Figure("done on Ray", became["ray"]["done"]),
        Figure("failed on Ray", became["ray"]["failed"]),
        Figure("that ended otherwise than locally", sum(more.values()), limit=0),
        Figure("all together, local", spent["local"].wall, "s"),
        Figure("all together, Ray", spent["ray"].wall, "s"),
        Figure("Ray's more, per file", (spent["ray"].wall - spent["local"].wall) / number, "s"),
        Figure("beyond scoring per file, local", spent["local"].own / number, "s of CPU"),
        Figure("beyond scoring per file, Ray", spent["ray"].own / number, "s of CPU"),
    )
