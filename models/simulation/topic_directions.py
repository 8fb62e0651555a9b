"""How the cold start reads words: along the few directions that reveal topics of speech and comments, and no others.

A network that may read all d_t numbers of a text memorises its bank's texts. It reads new words worse than a penalised
linear reader does. A simulation knows what each text is about. So the directions are found first, in closed form: a
ridge regression of every topic on the bank's texts. The network is trained on the texts as seen along them. In the end
both become one layer over whole vectors: the shipped network looks like any other.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.simulation.feature_bank import FeatureBank
from kuaihl.models.simulation.terms import TOPICS, Integers

if TYPE_CHECKING:
    from kuaihl.models.network.kuaihl import KuaiHL

_PENALTY = 1.0  # of texts in deviations of each number; reads held-out genres best (docs/cold-start.md)
SPEECH, CHATTER = 2, 3  # columns of feature_bank.KEY
DIRECTIONS = 2 * len(TOPICS) + 1

Floats = NDArray[np.float32]


def topic_directions(bank: FeatureBank, penalty: float = _PENALTY) -> Floats:
    """Directions [d_t, DIRECTIONS]: one for each topic of speech and of comments, and one for the presence of words.

    Along a topic's direction texts have mean 0 and deviation 1, along the last one mean 1. A segment without words,
    a vector of zeros, is zeros here, too.
    """
    text = bank.text.astype(np.float32)
    mean, deviation = text.mean(axis=0), text.std(axis=0)
    deviation = np.maximum(deviation, max(0.1 * float(deviation.mean()), 1e-3))
    centred = (text - mean) / deviation
    about = topics_of(bank.keys)
    squares = centred.T @ centred / len(text) + penalty * np.eye(len(mean), dtype=np.float32)
    found = np.linalg.solve(squares, centred.T @ (about - about.mean(axis=0)) / len(text)) / deviation[:, None]
    found /= ((text - mean) @ found).std(axis=0)
    # All texts are alike along the mean, so subtracting along it serves as an offset.
    worded = mean / (mean @ mean)
    directions: Floats = np.column_stack([found - np.outer(worded, mean @ found), worded]).astype(np.float32)
    return directions


def topics_of(keys: Integers) -> Floats:
    """The topics of each text [N] as [N, 2 * TOPICS], 0 or 1: topics of speech, then of comments."""
    topics = np.arange(len(TOPICS))
    return np.hstack([keys[:, [SPEECH]] == topics, keys[:, [CHATTER]] == topics]).astype(np.float32)


def seen_along(bank: FeatureBank, directions: Floats) -> FeatureBank:
    """The bank with texts [N, DIRECTIONS] in place of [N, d_t]."""
    return replace(bank, text=(bank.text.astype(np.float32) @ directions).astype(np.float16))


def reading_whole_vectors(network: "KuaiHL", directions: Floats) -> "KuaiHL":
    """A network that reads texts [..., d_t] as `network` reads them along `directions` [d_t, text_width]."""
    import torch

    from kuaihl.models.network.kuaihl import KuaiHL

    state = network.state_dict()
    state["text.0.weight"] = state["text.0.weight"] @ torch.from_numpy(directions).T
    whole = KuaiHL(replace(network.dims, text_width=len(directions)))
    whole.load_state_dict(state)
    return whole
