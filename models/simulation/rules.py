"""What simple rules reach in simulated rooms, to be set beside what they reach on real broadcasts (docs/cold-start.md).

A rule is a column of the signals: a value as measured, or its standard score over the room's own past.
"""

from collections.abc import Sequence

import numpy as np

from kuaihl.models.evaluation.rank_correlation import FEWEST_LABELS, kendall_tau_b
from kuaihl.models.signals import COLUMNS, GROUPS, SIGNALS, with_standard_scores
from kuaihl.models.simulation.terms import GENRES, Floats, Room, labels_of, present_labels_of

RULES = COLUMNS[len(GROUPS) :]
_MARKED = 0.15  # of a room's segments are its highlights; 8 to 20% of the segments of real sets are


def measure_rules(rule: str, room: Room) -> bool:
    """Whether the signal that the rule goes by was measured in the room."""
    return bool(np.isfinite(room.signals[:, RULES.index(rule) % len(SIGNALS)]).all())


def rule_scores(room: Room) -> dict[str, Floats]:
    """Scores [S] of every rule whose input is known in the room."""
    columns = with_standard_scores(room.signals).astype(np.float64)
    return {rule: columns[:, len(GROUPS) + place] for place, rule in enumerate(RULES) if measure_rules(rule, room)}


def simulated_rule_taus(rooms: Sequence[Room]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean taus by genre and rule, over the rooms that know its input: with the LVTR counted, and with marks.

    "present" and "next" are Kendall's tau-b with the LVTR of the segment and of the one after it. Real sets have marks
    in place of LVTR. So "marked" and "marked next" mark the MARKED share of segments with the highest true rate: tau-b
    with these marks over the highest that scores without ties can have.
    """
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for room in rooms:
        of_genre = found.setdefault(GENRES[room.genre], {})
        for rule, scores in rule_scores(room).items():
            of_genre.setdefault(rule, []).append(_taus_of(scores, room))
    return {
        genre: {
            rule: {name: round(float(np.nanmean([one[name] for one in taus])), 4) for name in taus[0]}
            | {"rooms": float(len(taus))}
            for rule, taus in rules.items()
        }
        for genre, rules in found.items()
    }


def _taus_of(scores: Floats, room: Room) -> dict[str, float]:
    """The four taus of one room's scores [S]; a constant rule has 0, a room of few labels NaN."""
    marks = (room.rate > np.quantile(room.rate, 1 - _MARKED)).astype(np.float64)
    highest = float(np.sqrt(2 * marks.mean() * (1 - marks.mean()) * len(marks) / (len(marks) - 1)))
    taus = {}
    for name, (labels, usable) in {"present": present_labels_of(room), "next": labels_of(room)}.items():
        enough = usable.sum() >= FEWEST_LABELS
        taus[name] = float(np.nan_to_num(kendall_tau_b(scores[usable], labels[usable]))) if enough else np.nan
    taus["marked"] = float(np.nan_to_num(kendall_tau_b(scores, marks))) / highest
    taus["marked next"] = float(np.nan_to_num(kendall_tau_b(scores[:-1], marks[1:]))) / highest
    return taus
