"""Simple rules: each signal that a set knows, as a value and as the room's causal standard score."""

import numpy as np
from numpy.typing import NDArray
from sets import RealSet, Recording

from kuaihl.models.signals import SIGNAL_NAMES, with_standard_scores

Floats = NDArray[np.float64]

# Domain-free rules, as issue 12 lists them; each also as a standard score.
DOMAIN_FREE = (
    "comments",
    "chatters",
    "laughter",
    "exclamations",
    "words",
    "spoken_exclamations",
    "spoken_laughter",
    "loudness",
    "fullness",  # the list calls it loudness, in esports
)
STANDARDISED = ", standardised"


def columns_of(recording: Recording) -> NDArray[np.float32]:
    """The signals [S, SIGNALS_WIDTH] of a recording, read as a stream from its first segment on."""
    return with_standard_scores(recording.values)


def rule_scores(real: RealSet) -> dict[str, Floats]:
    """Scores [N] over all segments of a set by every rule that is known there and not constant."""
    values = np.concatenate([recording.values for recording in real.recordings]).astype(np.float64)
    columns = np.concatenate([columns_of(recording) for recording in real.recordings]).astype(np.float64)
    standard = columns[:, -len(SIGNAL_NAMES) :]
    scores = {}
    for i, name in enumerate(SIGNAL_NAMES):
        if np.isfinite(values[:, i]).any() and np.nanstd(values[:, i]) > 0:
            scores[name] = values[:, i]
            scores[name + STANDARDISED] = standard[:, i]
    return scores


def knows_no_domain(rule: str) -> bool:
    """Whether the rule is on issue 12's list."""
    return rule.removesuffix(STANDARDISED) in DOMAIN_FREE
