"""Which output should choose a recording's highlights: score, interest, or both with hindsight?

    python benchmarks/real/choices.py --model BUNDLE [--share 0.1] [--json FILE]

All choose among the same segments, and the same number of them in every recording: the given share. A choice rates
segment i by these outputs:

    score              score i−1, made before segment i began
    score, led in      the higher of score i−1 and score i: without interest, kuaihl takes in the segment before a peak
    interest           interest i
    both, hindsight    both, combined by `kuaihl.engines.highlights.hindsight`

No output forecasts the first segment of a recording, so it is left out for all. Intervals are of 95%, by bootstrap; a
difference is drawn on the same segments. Nothing here is fitted to a label.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.highlights.hindsight import hindsight_rates, logit
from kuaihl.models.errors import KuaihlError

if TYPE_CHECKING:
    from sets import RealSet

    from kuaihl.models.evaluation.bootstrap import Estimate

Floats = NDArray[np.float64]

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "real"
SCORE, LED_IN, INTEREST, BOTH = "score", "score, led in", "interest", "both, hindsight"


@dataclass(frozen=True)
class Scored:
    """A head's answers for a recording of S segments, as rates in [0, 1]; `score` i is of segment i+1."""

    score: Floats  # [S]
    interest: Floats | None  # [S]


def choices(scored: Scored) -> dict[str, Floats]:
    """Each choice's rating of every segment [S], on the scale of logits; NaN for the first."""
    score = np.array([logit(rate) for rate in scored.score])
    before = np.append(np.nan, score[:-1])
    found = {SCORE: before, LED_IN: np.maximum(before, score)}
    if scored.interest is not None:
        hindsight = hindsight_rates(scored.score.tolist(), scored.interest.tolist(), [True] * len(score))
        for name, rates in ((INTEREST, scored.interest.tolist()), (BOTH, hindsight)):
            found[name] = np.array([logit(rate) for rate in rates])
            found[name][:1] = np.nan
    return found


def precision_of(share: float) -> Callable[[Floats, Floats, Floats], Floats]:
    """A measure: the share of highlights in the highest `share` of segments [D]; NaN without a highlight."""

    def measure(scores: Floats, labels: Floats, weights: Floats) -> Floats:
        hits, chosen, highlights = chosen_hits(share, scores, labels, weights)
        return np.divide(hits, chosen, out=np.full(len(hits), np.nan), where=highlights > 0)

    return measure


def recall_of(share: float) -> Callable[[Floats, Floats, Floats], Floats]:
    """A measure: the share of all highlights in the highest `share` of segments [D]; NaN without a highlight."""

    def measure(scores: Floats, labels: Floats, weights: Floats) -> Floats:
        hits, _, highlights = chosen_hits(share, scores, labels, weights)
        return np.divide(hits, highlights, out=np.full(len(hits), np.nan), where=highlights > 0)

    return measure


def chosen_hits(share: float, scores: Floats, labels: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Highlights among the chosen, the number of chosen segments, and all highlights, each [D].

    scores, labels 0 or 1 [n]; weights [D, n], how often a segment is in a draw. At least one segment is chosen. Several
    equal scores at the bar share the places left, and each counts by its part of them.
    """
    often = weights.sum(axis=1)
    chosen = np.maximum(np.ceil(share * often), np.minimum(often, 1.0))
    levels = np.unique(scores, return_inverse=True)[1]
    taken_hits, left = np.zeros(len(weights)), chosen.copy()
    for level in range(levels.max(initial=-1), -1, -1):
        own = levels == level
        here, right = weights[:, own].sum(axis=1), weights[:, own] @ labels[own]
        taken = np.minimum(here, left)
        taken_hits += np.divide(taken * right, here, out=np.zeros_like(here), where=here > 0)
        left -= taken
    return taken_hits, chosen, weights @ labels


def measure_set(real: "RealSet", scored: Sequence[Scored], share: float) -> dict[str, dict[str, "Estimate"]]:
    """By choice, then by measure: AP, precision, recall, and AP's difference from that of the score alone."""
    from intervals import average_precision, estimate, sampling

    from kuaihl.models.evaluation.bootstrap import difference

    sample = sampling(real)
    labels = np.concatenate([recording.present for recording in real.recordings])
    labels = np.where(np.isfinite(labels), labels > real.positive, np.nan)
    each = [choices(one) for one in scored]
    found: dict[str, dict[str, Estimate]] = {}
    for name in each[0]:
        says = np.concatenate([one[name] for one in each])
        measures = {"AP": average_precision, "precision": precision_of(share), "recall": recall_of(share)}
        found[name] = {key: estimate(measure, sample, says, labels) for key, measure in measures.items()}
        if name != SCORE:
            found[name]["AP over score's"] = difference(found[name]["AP"], found[SCORE]["AP"])
    if BOTH in found:
        found[BOTH]["AP over interest's"] = difference(found[BOTH]["AP"], found[INTEREST]["AP"])
    return found


def read_head(model: str, real: "RealSet") -> list[Scored]:
    """The answers of a bundle's head for each recording. Raises ModelError as `load_bundle`."""
    import torch
    from head import TextVectors, answers, inputs_of

    from kuaihl.models.bundle import load_bundle

    bundle = load_bundle(model)
    network = bundle.streaming_network().eval()
    found = []
    with torch.inference_mode():
        for one in inputs_of(real, TextVectors(bundle.profile)):
            score, interest = answers(network, one.text[None], one.signals[None])
            score = score[0].double().sigmoid()
            found.append(Scored(score.numpy(), None if interest is None else interest[0].double().sigmoid().numpy()))
    return found


def lines_of(title: str, found: dict[str, dict[str, "Estimate"]]) -> list[str]:
    """A table for human readers."""
    lines = [title]
    for name, figures in found.items():
        said = "  ".join(f"{key} {one.value:.3f} ({one.low:.3f} – {one.high:.3f})" for key, one in figures.items())
        lines.append(f"  {name:<16} {said}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare what chooses highlights on labelled broadcasts.")
    parser.add_argument("--model", default="edge", metavar="BUNDLE")
    parser.add_argument("--share", type=float, default=0.1, help="of the segments that are chosen (default 0.1)")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help=f"default {DATA}")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    if not asked.data.is_dir():
        print(f"skipped: {asked.data} is not there; its sets may not be published")
        return 0
    from sets import READERS

    results: dict[str, Any] = {}
    for name, read in READERS.items():
        real = read(asked.data)
        if not real.follows:
            print(f"{real.title}: skipped, its segments do not follow each other, so no score speaks of one")
            continue
        try:
            scored = read_head(asked.model, real)
        except KuaihlError as error:
            print(f"choices: error: {error}", file=sys.stderr)
            return error.exit_code
        found = measure_set(real, scored, asked.share)
        print("\n".join(lines_of(f"{real.title}, {asked.share:.0%} of the segments chosen", found)), flush=True)
        if INTEREST not in found:
            print("  the head has no interest: scores alone can choose")
        results[name] = {
            choice: {key: {"value": one.value, "low": one.low, "high": one.high} for key, one in figures.items()}
            for choice, figures in found.items()
        }
    if asked.json:
        asked.json.write_text(
            json.dumps({"model": asked.model, "share": asked.share, "sets": results}, indent=2) + "\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
