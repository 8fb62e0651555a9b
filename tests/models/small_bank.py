"""A feature bank small enough for a test, whose numbers say what they are."""

import numpy as np

from kuaihl.models.feature_bank import KEYS, FeatureBank
from kuaihl.models.simulation import TOPICS


def made_up_bank(seed: int, variants: int = 4, styles: int = 6) -> FeatureBank:
    """Texts that tell speech, chatter and variant in a number each; pictures that tell topic, style and patch."""
    text = np.zeros((*KEYS, variants, 8))
    spoken, chatter = np.meshgrid(np.arange(9), np.arange(9), indexing="ij")
    text[..., 0] = spoken[None, :, :, None, None] + 1
    text[..., 1] = chatter[None, :, :, None, None] + 1
    text[..., 2] = np.arange(variants) + 100 * seed
    visual = np.zeros((len(TOPICS), 3, styles, 12, 10))
    visual[..., 0] = np.arange(len(TOPICS))[:, None, None, None]
    visual[..., 1] = np.arange(styles)[:, None] + 100 * seed
    visual[..., 2] = np.arange(12)
    return FeatureBank(text.astype(np.float16), visual.astype(np.float16))
