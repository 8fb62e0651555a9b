"""Systems on a set, both questions: how well each orders the labels, and the differences between two of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from intervals import (
    Measure,
    Sampling,
    average_precision,
    estimate,
    kendall_tau,
    roc_area,
    sampling,
    tau_without_ties,
)
from numpy.typing import NDArray
from rules import knows_no_domain, rule_scores
from sets import RealSet

from kuaihl.models.evaluation.bootstrap import Estimate, difference

Floats = NDArray[np.float64]
Scores = Mapping[str, Floats]  # by question, [N] over all segments of a set

HEAD, SCORE, INTEREST, ALONE = "shipped head", "its score", "its interest", "shipped head, each burst alone"
RIDGE, RIDGE_SIGNALS, NETWORK, FINE_TUNED = "ridge", "ridge, signals alone", "network", "network from the shipped head"
HEAD_ABOVE_RULE = "head − best domain-free rule"
ORDER, PRECISION, TIES = "order", "precision", "ties by chance"


@dataclass(frozen=True)
class Found:
    """The measurements on a set: estimates by question, by system, and by ORDER, PRECISION and TIES."""

    real: RealSet
    systems: dict[str, dict[str, dict[str, Estimate]]]  # question -> system -> measure
    rules: dict[str, dict[str, dict[str, Estimate]]]  # question -> rule -> measure
    best: dict[str, dict[str, str]]  # question -> "domain-free" or "any" -> the rule with the highest order
    differences: dict[str, dict[str, Estimate]]  # question -> pair -> difference
    highest: dict[str, float]  # question -> tau of a perfect score without ties
    skipped: tuple[str, ...]  # systems without a measurement, and why


def measures_of(real: RealSet) -> dict[str, Measure]:
    """The measures of a set: tau and average precision, or for bursts the area under the ROC curve and tau."""
    if real.ordered == "AUC":
        return {ORDER: roc_area, PRECISION: kendall_tau, TIES: tau_without_ties}
    return {ORDER: kendall_tau, PRECISION: average_precision, TIES: tau_without_ties}


def labels_of(real: RealSet) -> dict[str, Floats]:
    """Labels [N] by question, NaN if missing."""
    questions = ("present", "next") if real.follows else ("present",)
    return {name: np.concatenate([getattr(each, name) for each in real.recordings]) for name in questions}


def as_measured(name: str, real: RealSet, labels: Floats) -> Floats:
    """Labels as a measure reads them: for average precision and the ROC curve, only highlights and others."""
    if name == (ORDER if real.ordered == "AUC" else PRECISION):
        return np.where(np.isfinite(labels), labels > real.positive, np.nan)
    return labels


def measured(real: RealSet, systems: Mapping[str, Scores], skipped: Sequence[str], draws: int) -> Found:
    """Measure systems and rules, and the differences that the issue asks for."""
    sample, labels, rules = sampling(real, draws), labels_of(real), rule_scores(real)
    found = Found(real, {}, {}, {}, {}, {}, tuple(skipped))
    for question, truth in labels.items():
        answers = {name: scores[question] for name, scores in systems.items() if question in scores}
        found.systems[question] = {name: all_of(real, sample, scores, truth) for name, scores in answers.items()}
        found.rules[question] = {name: all_of(real, sample, scores, truth) for name, scores in rules.items()}
        order = {name: measures[ORDER].value for name, measures in found.rules[question].items()}
        no_domain = {name: value for name, value in order.items() if knows_no_domain(name)}
        best = {"domain-free": highest(no_domain), "any": highest(order)}
        found.best[question] = best
        found.highest[question] = estimate(tau_without_ties, sample, truth, truth).value
        every = answers | {f"rule {name}": scores for name, scores in rules.items()}
        wanted = {
            HEAD_ABOVE_RULE: (HEAD, f"rule {best['domain-free']}", ORDER),
            "the same, equal scores ordered by chance": (HEAD, f"rule {best['domain-free']}", TIES),
            "head − best rule of all": (HEAD, f"rule {best['any']}", ORDER),
            "network − ridge": (NETWORK, RIDGE, ORDER),
            "network − ridge on signals alone": (NETWORK, RIDGE_SIGNALS, ORDER),
            "from the shipped head − from scratch": (FINE_TUNED, NETWORK, ORDER),
        }
        found.differences[question] = {
            what: paired(real, sample, every[one], every[other], truth, name)
            for what, (one, other, name) in wanted.items()
            if one in every and other in every
        }
    return found


def highest(values: Mapping[str, float]) -> str:
    return max(values, key=lambda name: values[name])


def all_of(real: RealSet, sample: Sampling, scores: Floats, labels: Floats) -> dict[str, Estimate]:
    return {
        name: estimate(measure, sample, scores, as_measured(name, real, labels))
        for name, measure in measures_of(real).items()
    }


def paired(real: RealSet, sample: Sampling, one: Floats, other: Floats, labels: Floats, name: str) -> Estimate:
    """The lead of `one` over `other`, draw by draw on the segments that both have scored."""
    both = np.where(np.isfinite(one) & np.isfinite(other), as_measured(name, real, labels), np.nan)
    measure = measures_of(real)[name]
    return difference(estimate(measure, sample, one, both), estimate(measure, sample, other, both))
