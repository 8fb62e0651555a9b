"""Sentences and scenes through the real edge encoders, once: the feature banks that simulated rooms draw from.

Sentences, scenes and styles are split before anything is encoded, so held-out rooms show nothing seen in training.
"""

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kuaihl.engines.weights import build_once
from kuaihl.models.feature_bank import KEYS, LANGUAGES, FeatureBank
from kuaihl.models.simulation import TOPICS

if TYPE_CHECKING:
    from collections.abc import Callable

    from kuaihl.engines.profiles import Encoders
    from kuaihl.models.bundle import EncoderFacts
    from kuaihl.models.features import Float16

Sentences = dict[str, dict[str, list[str]]]  # topic → "speech" or "comments" → lines

MOTION_LEVELS = (0.1, 0.5, 0.9)
STYLES = {"train": range(32), "held-out": range(1000, 1012)}
TEXTS_A_KEY = {"train": 12, "held-out": 6}
HELD_OUT_EVERY = 3  # each third sentence of a list is never trained on
FRAMES = 3


def sentences(language: str, split: str) -> Sentences:
    """The written sentences of one split."""
    text = (files("kuaihl.engines") / "cold_start_sentences" / f"{language}.json").read_text(encoding="utf-8")
    topics: dict[str, dict[str, list[str]]] = json.loads(text)
    return {
        topic: {
            kind: [line for i, line in enumerate(lines) if (i % HELD_OUT_EVERY == 2) == (split == "held-out")]
            for kind, lines in kinds.items()
        }
        for topic, kinds in topics.items()
    }


def feature_bank(split: str, encoders: "Encoders", tell: "Callable[[str], None]") -> FeatureBank:
    """The bank of "train" or "held-out"; made once and kept in the cache folder, for it takes minutes."""
    vision, text = encoders.facts
    code = ["cold_start_features.py", "text_cleaning.py", "text_encoder.py"]
    sentences = [f"cold_start_sentences/{language}.json" for language in LANGUAGES]

    return FeatureBank(
        text=kept(f"text-{split}-{recipe(text, [*code, *sentences])}", lambda: encode_sentences(split, encoders), tell),
        visual=kept(
            f"visual-{split}-{recipe(vision, ['cold_start_scenes.py'])}", lambda: encode_scenes(split, encoders), tell
        ),
    )


def kept(name: str, make: "Callable[[], Float16]", tell: "Callable[[str], None]") -> "Float16":
    """An array out of the cache folder, made first where it is not there."""
    from safetensors.numpy import load_file, save_file

    def build(folder: Path) -> None:
        tell(f"encoding {name}")
        save_file({"features": make()}, folder / "features.safetensors")

    return load_file(build_once(f"cold-start-{name}", build) / "features.safetensors")["features"]


def recipe(encoder: "EncoderFacts", made_of: list[str]) -> str:
    """A hash of all that features are made from: the encoder's weights, and files of this package."""
    folder = files("kuaihl.engines")
    parts = [encoder.sha256, *((folder / name).read_text(encoding="utf-8") for name in made_of)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def encode_sentences(split: str, encoders: "Encoders") -> "Float16":
    """Texts of every key as [*KEYS, variants, d_t]."""
    text = encoders.text.encode(*written_texts(split))
    return text.reshape(*KEYS, TEXTS_A_KEY[split], text.shape[-1])


def written_texts(split: str) -> tuple[list[str], list[list[str]]]:
    """Speech and comments of every key and variant, [KEYS x variants] each, put together from lines at random."""
    random = np.random.default_rng(len(split))
    banks = [sentences(language, split) for language in LANGUAGES]
    speech: list[str] = []
    comments: list[list[str]] = []
    for language, spoken, chatter, many in np.ndindex(*KEYS):
        bank = banks[language]
        for _ in range(TEXTS_A_KEY[split]):
            speech.append(" ".join(some(lines_of(bank, spoken, "speech"), 2, 4, random)))
            comments.append(some(lines_of(bank, chatter, "comments"), *((5, 12) if many else (1, 4)), random))
    return speech, comments


def lines_of(bank: Sentences, topic: int, kind: str) -> list[str]:
    return bank[TOPICS[topic]][kind] if topic < len(TOPICS) else []


def some(lines: list[str], fewest: int, most: int, random: np.random.Generator) -> list[str]:
    """A few of the lines, in any order; comments may repeat, as viewers do."""
    return [lines[int(i)] for i in random.integers(len(lines), size=random.integers(fewest, most + 1))] if lines else []


def encode_scenes(split: str, encoders: "Encoders") -> "Float16":
    """Scenes of every topic, motion and style, three frames each, as [topics, levels, styles, P, d_v]."""
    from kuaihl.engines.cold_start_scenes import draw_scene, style_of

    random = np.random.default_rng(len(split))
    styles = [style_of(number) for number in STYLES[split]]
    rows = []
    for topic in range(len(TOPICS)):
        for motion in MOTION_LEVELS:
            frames = [[draw_scene(topic, motion, style, random) for _ in range(FRAMES)] for style in styles]
            rows.append(encoders.vision.encode(frames))
    return np.stack(rows).reshape(len(TOPICS), len(MOTION_LEVELS), len(styles), *rows[0].shape[1:])
