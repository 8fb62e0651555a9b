"""Which penalty lets the cold start's directions reveal topics best in genres that they were not made from?

    python benchmarks/topic_directions.py

Prints two mean correlations of a topic's direction with the topic per penalty. One is in the training texts, leaving
out three genres at a time; the other is in the held-out texts (new templates) of the held-out genres.
"""

import sys
from typing import TYPE_CHECKING

import numpy as np

from kuaihl.models.simulation.feature_bank import KEY, FeatureBank
from kuaihl.models.simulation.terms import GENRES, HELD_OUT_GENRES, TOPICS, TRAINING_GENRES
from kuaihl.models.simulation.topic_directions import seen_along, topic_directions, topics_of

if TYPE_CHECKING:
    from collections.abc import Sequence

PENALTIES = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0)
LEFT_OUT = 3  # genres at a time
GENRE = KEY.index("genre")


def texts_of(bank: FeatureBank, genres: "Sequence[str]") -> FeatureBank:
    """The bank's texts of these genres alone."""
    return bank.part(np.flatnonzero(np.isin(bank.keys[:, GENRE], [GENRES.index(genre) for genre in genres])))


def told(made_of: FeatureBank, read: FeatureBank, penalty: float) -> float:
    """The mean correlation of a direction from one bank's texts with its topic in another's."""
    seen = seen_along(read, topic_directions(made_of, penalty)).text.astype(np.float64)
    about = topics_of(read.keys)
    return float(np.mean([np.corrcoef(seen[:, one], about[:, one])[0, 1] for one in range(2 * len(TOPICS))]))


def main() -> None:
    from kuaihl.engines.cold_start.features import feature_bank
    from kuaihl.engines.encoders.profiles import EDGE, load_encoders

    encoders = load_encoders(EDGE, device="cpu", threads=None, asr="none")
    train, held_out = (
        feature_bank(split, encoders, lambda line: print(line, file=sys.stderr)) for split in ("train", "held-out")
    )
    folds = [TRAINING_GENRES[first :: len(TRAINING_GENRES) // LEFT_OUT] for first in range(LEFT_OUT)]
    print(f"{'penalty':>8} {'left-out genres':>16} {'held-out genres':>16}")
    for penalty in PENALTIES:
        left_out = [
            told(
                texts_of(train, [genre for genre in TRAINING_GENRES if genre not in fold]),
                texts_of(train, fold),
                penalty,
            )
            for fold in folds
        ]
        new = told(train, texts_of(held_out, HELD_OUT_GENRES), penalty)
        print(f"{penalty:8.2f} {np.mean(left_out):16.3f} {new:16.3f}", flush=True)


if __name__ == "__main__":
    main()
