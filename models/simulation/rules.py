"""The taus of simple rules in simulated rooms, for comparison with those on real broadcasts (docs/cold-start.md).

A rule is a column of the signals: a value as measured, or its standard score over the room's own past.
"""

from collections.abc import Sequence

import numpy as np

from kuaihl.models.evaluation.rank_correlation import FEWEST_LABELS, kendall_tau_b
from kuaihl.models.signals import COLUMNS, GROUPS, SIGNALS, with_standard_scores
from kuaihl.models.simulation.terms import GENRES, Floats, Room, labels_of, present_labels_of

RULES = COLUMNS[len(GROUPS) :]
_MARKED = 0.15  # of a room's segments are its highlights; in real sets 8 to 20% are


def measure_rules(rule: str, room: Room) -> bool:
    """Whether the rule's signal was measured in the room."""
    return bool(np.isfinite(room.signals[:, RULES.index(rule) % len(SIGNALS)]).all())


def rule_scores(room: Room) -> dict[str, Floats]:
    """Scores [S] of every rule whose input is known in the room."""
    columns = with_standard_scores(room.signals).astype(np.float64)
    return {rule: columns[:, len(GROUPS) + place] for place, rule in enumerate(RULES) if measure_rules(rule, room)}


def simulated_rule_taus(rooms: Sequence[Room]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean taus by genre and rule, over the rooms that know its input: with the counted LVTR, and with marks.

    "present" and "next" are Kendall's tau-b with the LVTR of the segment and of the one after it. Real sets have marks
    instead of LVTR. So "marked" and "marked next" mark the MARKED share of segments with the highest true rate. They
    are tau-b with these marks, divided by the highest tau-b that scores without ties can have.
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
    """The four taus of one room's scores [S]; 0 for a constant rule, NaN for a room of few labels."""
    marks = (room.rate > np.quantile(room.rate, 1 - _MARKED)).astype(np.float64)
    highest = float(np.sqrt(2 * marks.mean() * (1 - marks.mean()) * len(marks) / (len(marks) - 1)))
    taus = {}
    for name, (labels, usable) in {"present": present_labels_of(room), "next": labels_of(room)}.items():
        enough = usable.sum() >= FEWEST_LABELS
        taus[name] = float(np.nan_to_num(kendall_tau_b(scores[usable], labels[usable]))) if enough else np.nan
    taus["marked"] = float(np.nan_to_num(kendall_tau_b(scores, marks))) / highest
    taus["marked next"] = float(np.nan_to_num(kendall_tau_b(scores[:-1], marks[1:]))) / highest
    return taus
