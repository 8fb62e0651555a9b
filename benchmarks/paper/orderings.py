"""Which orderings of the paper come out: each claim with our difference, paired by seed, and the verdict.

A rule chooses the words, so that no verdict says more than the figures beside it. An ordering is decided if the mean
difference is further from 0 than Student's t allows at 95%, two-sided. Each claim is tested on its own, without a
correction for their number.
"""

import math
import statistics
from collections.abc import Mapping, Sequence

from experiment import Run, values_of
from report import markdown, mean_and_error, points

from kuaihl.models.evaluation.bootstrap import THRESHOLDS
from kuaihl.models.evaluation.published import PaperTable, paper_table

RULE = (
    "An ordering is decided here if the mean difference of the seeds is further from 0 than Student's t allows at 95%, "
    "two-sided. Each is taken by itself: of twenty that do not exist, one is found by chance."
)
SAME, OTHER, UNDECIDED = "as in the paper", "the other way round", "not decided"

# The first of each pair has the higher tau, by the text (IV-C to IV-E) and the tables; keys as in `paper_table`.
CLAIMS: Mapping[PaperTable, tuple[tuple[str, str], ...]] = {
    "I": tuple(("kuaihl", name) for name in ("adaptive-h-fcsn", "pr-net", "pac-net", "showme", "antpivot")),
    "II": (
        ("b", "a"), ("c", "a"), ("a", "d"), ("e", "a"), ("f", "a"), ("g", "a"),
        ("c", "b"), ("c", "d"), ("c", "e"), ("f", "c"), ("g", "f"),
    ),
    "III": (
        ("klive", "klive-without-id"), ("klive", "klive-without-text"), ("klive", "klive-without-visual"),
        ("klive-without-id", "klive-without-text"), ("klive-without-text", "klive-without-visual"),
    ),
}  # fmt: skip

# Student's t, 97.5%, for 1 to 19 degrees of freedom; the last also serves for more, a little too strictly.
STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093,
)  # fmt: skip


def verdict(differences: Sequence[float]) -> str:
    """The verdict on differences in favour of the paper's ordering, one per seed; NaN are left out."""
    there = [value for value in differences if math.isfinite(value)]
    if len(there) < 2:
        return UNDECIDED
    mean, error = statistics.fmean(there), statistics.stdev(there) / math.sqrt(len(there))
    if abs(mean) <= STUDENT[min(len(there) - 1, len(STUDENT)) - 1] * error:
        return UNDECIDED
    return SAME if mean > 0 else OTHER


def orderings(table: PaperTable, runs: Mapping[str, Sequence[Run]]) -> str:
    """Markdown: one row per claim, in Table I at every Δ; `runs` by the keys of `paper_table`, seed by seed."""
    printed = paper_table(table)
    rows = []
    for threshold in THRESHOLDS if table == "I" else (0.0,):
        for higher, lower in CLAIMS[table]:
            pairs = zip(values_of(runs[higher], threshold), values_of(runs[lower], threshold), strict=True)
            apart = [100 * (one - other) for one, other in pairs]
            theirs = points(printed[higher].tau[threshold], printed[lower].tau[threshold])
            said = f"{printed[higher].name} above {printed[lower].name}"
            ours = mean_and_error(apart, 1, sign=True)
            rows.append([said, f"{threshold:g}", theirs, ours, verdict(apart)])
    return markdown(["the paper has", "Δ", "its points", "ours, points", "here"], rows)
