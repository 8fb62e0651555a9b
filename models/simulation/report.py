"""The value of a trained head in simulated rooms that it has not met, beside simple rules and beside the truth.

A rule is a column of the signals: a value as measured, or its standard score over the room's own past.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.data.shift import next_of
from kuaihl.models.evaluation.bootstrap import DRAWS, draw_rooms, mean_estimate
from kuaihl.models.evaluation.rank_correlation import FEWEST_LABELS, kendall_tau_b
from kuaihl.models.signals import GROUPS
from kuaihl.models.simulation.cold_start import RoomAnswers, score_rooms
from kuaihl.models.simulation.rules import RULES, measure_rules
from kuaihl.models.simulation.simulated_set import SimulatedSet
from kuaihl.models.simulation.terms import GENRES, HELD_OUT_GENRES, Room, labels_of, present_labels_of

if TYPE_CHECKING:
    from kuaihl.models.network.kuaihl import KuaiHL

_INPUTS = ("pictures", "words", "signals")

Floats = NDArray[np.float64]
Labels = Callable[[Room], tuple[Floats, NDArray[np.bool_]]]


def room_taus(scores: Sequence[Floats], rooms: Sequence[Room], labels: Labels) -> Floats:
    """Kendall's tau-b of each room's scores with its labels [R]; 0 for a constant score, NaN for few labels."""
    taus = np.full(len(rooms), np.nan)
    for place, (score, room) in enumerate(zip(scores, rooms, strict=True)):
        rate, usable = labels(room)
        if usable.sum() >= FEWEST_LABELS:
            taus[place] = np.nan_to_num(kendall_tau_b(score[usable], rate[usable]))
    return taus


def _overall_tau(scores: Sequence[Floats], rooms: Sequence[Room], labels: Labels) -> float:
    """Kendall's tau-b over the segments of all rooms at once."""
    found = [labels(room) for room in rooms]
    chosen = np.concatenate([score[usable] for score, (_, usable) in zip(scores, found, strict=True)])
    return float(np.nan_to_num(kendall_tau_b(chosen, np.concatenate([rate[usable] for rate, usable in found]))))


def measure(network: "KuaiHL", answers: Sequence[RoomAnswers], data: SimulatedSet, *, seed: int) -> dict[str, Any]:
    """Tables of both questions, with the numbers of rooms and segments."""
    blanked = {f"head, {name} blanked": score_rooms(network, data, without=[name]) for name in _INPUTS}
    heads = {"head": answers, **blanked}
    return {
        "next": _table_of({name: [one.score for one in each] for name, each in heads.items()}, data, labels_of, seed),
        "present": _table_of(
            {name: [one.interest for one in each] for name, each in heads.items()}, data, present_labels_of, seed
        ),
        "held_out_rooms": len(data.rooms),
        "held_out_segments": sum(len(room.rate) for room in data.rooms),
    }


def _table_of(heads: dict[str, list[Floats]], data: SimulatedSet, labels: Labels, seed: int) -> dict[str, Any]:
    """Mean tau per room with 95% intervals over rooms: heads, rules and upper bounds; and the margins, room by room.

    "best known rule" takes one rule per room. Among the rules whose input the room knows, it is the best one over all
    rooms that know its input. That equals choosing a rule by its results.
    """
    rooms = data.rooms
    drawn = draw_rooms(len(rooms), DRAWS, seed)
    bounds = {
        "the next segment's true rate": [next_of(room.rate) for room in rooms],
        "this segment's true rate": [room.rate for room in rooms],
    }
    taus = {name: room_taus(each, rooms, labels) for name, each in (heads | bounds).items()}
    rules = _rule_taus(data, labels)
    order = sorted(rules, key=lambda rule: -float(np.nanmean(rules[rule])))
    first_known = np.array([next((rule for rule in order if measure_rules(rule, room)), order[0]) for room in rooms])
    taus["best known rule"] = np.array([rules[rule][place] for place, rule in enumerate(first_known)])
    table = {name: _mean_interval(each, drawn) for name, each in taus.items()}
    for name, each in heads.items():
        table[name]["tau_overall"] = round(_overall_tau(each, rooms, labels), 3)
    table |= {f"rule: {rule}": _mean_interval(rules[rule], drawn) for rule in order[:8]}
    margin = taus["head"] - taus["best known rule"]
    new = np.array([GENRES[room.genre] in HELD_OUT_GENRES for room in rooms])
    parts = {"genres of training": ~new, "other genres": new} | {
        f"{' and '.join(sorted(inputs))} alone": np.array([room.known == inputs for room in rooms])
        for inputs in (frozenset({"comments"}), frozenset({"speech"}), frozenset({"sound"}))
    }
    return {
        "kendall_tau_per_room": table,
        "margin_over_best_known_rule": _mean_interval(margin, drawn),
        "parts": {
            name: {"rooms": int(which.sum()), "head": _mean_interval(np.where(which, taus["head"], np.nan), drawn)}
            | {"margin": _mean_interval(np.where(which, margin, np.nan), drawn)}
            for name, which in parts.items()
            if np.isfinite(margin[which]).any()
        },
    }


def _rule_taus(data: SimulatedSet, labels: Labels) -> dict[str, Floats]:
    """Each rule's tau in every room [R], NaN if the room does not know its input."""
    found = {}
    for place, rule in enumerate(RULES):
        columns = [each[:, len(GROUPS) + place].astype(np.float64) for each in data.signals]
        there = np.array([measure_rules(rule, room) for room in data.rooms])
        found[rule] = np.where(there, room_taus(columns, data.rooms, labels), np.nan)
    return found


def _mean_interval(values: Floats, drawn: Floats) -> dict[str, Any]:  # [R], [1 + B, R]
    """The mean of one value per room, NaN if missing, with its 95% bootstrap interval over rooms."""
    mean = mean_estimate(values, drawn)
    return {"tau": round(mean.value, 3), "ci95": [round(mean.low, 3), round(mean.high, 3)]}
