"""A feature bank small enough for a test; its numbers identify texts and pictures."""

from itertools import product

import numpy as np

from kuaihl.models.dims import EDGE_DIMS
from kuaihl.models.simulation.feature_bank import LANGUAGES, FeatureBank
from kuaihl.models.simulation.terms import GENRES, NOTHING, TOPICS, Integers


def all_keys(variants: int) -> Integers:
    """Every key that a room can ask for, each `variants` times: [N, KEY]."""
    topics = range(NOTHING, len(TOPICS))
    return np.array(
        [
            (language, genre, spoken, chatter, many)
            for language, genre, spoken, chatter in product(range(len(LANGUAGES)), range(len(GENRES)), topics, topics)
            for many in ((0, 1) if chatter != NOTHING and spoken in (NOTHING, chatter) else (0,))
            for _ in range(variants)
            if (spoken, chatter) != (NOTHING, NOTHING)
        ]
    )


def made_up_bank(seed: int, variants: int = 4, styles: int = 6) -> FeatureBank:
    """Texts whose numbers encode speech, chatter and variant; pictures whose numbers encode topic, style and patch."""
    keys = all_keys(variants)
    text = np.zeros((len(keys), 8))
    text[:, :2] = keys[:, 2:4] + 1
    text[:, 2] = np.arange(len(keys)) % variants + 100 * seed
    visual = np.zeros((len(TOPICS), 3, styles, 12, 10))
    visual[..., 0] = np.arange(len(TOPICS))[:, None, None, None]
    visual[..., 1] = np.arange(styles)[:, None] + 100 * seed
    visual[..., 2] = np.arange(12)
    return FeatureBank(text.astype(np.float16), keys, visual.astype(np.float16))


def drawn_bank(seed: int) -> FeatureBank:
    """As wide as a bank of the edge encoders: a direction per topic, and noise around it that differs by seed."""
    shared, own = np.random.default_rng(0), np.random.default_rng(seed)
    keys = all_keys(3)
    spoken, chatter = shared.normal(size=(2, len(TOPICS) + 1, EDGE_DIMS.text_width))
    text = spoken[keys[:, 2]] + chatter[keys[:, 3]] + own.normal(size=(len(keys), EDGE_DIMS.text_width))
    scenes = shared.normal(size=(len(TOPICS), 3, 1, 1, EDGE_DIMS.visual_width))
    visual = scenes + own.normal(size=(len(TOPICS), 3, 4, EDGE_DIMS.patches, EDGE_DIMS.visual_width))
    return FeatureBank(text.astype(np.float16), keys, visual.astype(np.float16))
