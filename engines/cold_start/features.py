"""Sentences and scenes, encoded once by the real edge encoders: the feature banks that simulated rooms draw from.

Sentences, scenes and styles are split before anything is encoded, so held-out rooms show nothing seen in training.
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kuaihl.engines.cold_start.grammar import written_lines
from kuaihl.engines.cold_start.hearing import as_whisper
from kuaihl.engines.weights.cache import build_once
from kuaihl.models.simulation.feature_bank import LANGUAGES, FeatureBank
from kuaihl.models.simulation.terms import GENRES, NOTHING, TOPICS, TRAINING_GENRES, Integers

if TYPE_CHECKING:
    from collections.abc import Callable

    from kuaihl.engines.encoders.profiles import Encoders
    from kuaihl.models.features import Float16

# Raise it when sentences, scenes or the composition of texts change: older features are then made again.
_RECIPE = 3
MOTION_LEVELS = (0.1, 0.5, 0.9)
STYLES = {"train": range(32), "held-out": range(1000, 1012)}
GENRES_OF = {"train": TRAINING_GENRES, "held-out": GENRES}
SPOKEN_LINES = (2, 7)
FEW, MANY = (1, 5), (6, 30)  # comments per text
_ON_TOPIC = 0.5  # the least share of a text's lines
_FRAMES = 3


@dataclass(frozen=True)
class _TextsOfAKey:
    """The number of texts of each kind of key in a split; about 25 take a second on two cores."""

    speech: int  # per topic only spoken of
    comments: int  # per topic only written of, by few or many
    agreeing: int  # per topic in both speech and comments, by few or many
    strays: int  # per pair of topics, one spoken of and one written of


TEXTS = {"train": _TextsOfAKey(16, 10, 8, 3), "held-out": _TextsOfAKey(4, 2, 2, 2)}  # 10,512 and 4,992 texts


@dataclass(frozen=True)
class WrittenText:
    """The speech and comments of one segment, and the key (`feature_bank.KEY`) that they exemplify."""

    key: tuple[int, int, int, int, int]
    speech: str
    comments: tuple[str, ...]


def feature_bank(split: str, encoders: "Encoders", on_message: "Callable[[str], None]") -> FeatureBank:
    """The bank of "train" or "held-out"; made once and kept in the cache folder, because it takes minutes."""
    vision, text = encoders.facts
    written = written_texts(split)

    def encoded_texts() -> "Float16":
        return encoders.text.encode([each.speech for each in written], [each.comments for each in written])

    return FeatureBank(
        text=_load_or_make(f"text-{split}-{_RECIPE}-{text.sha256[:16]}", encoded_texts, on_message),
        keys=np.array([each.key for each in written]),
        visual=_load_or_make(
            f"visual-{split}-{_RECIPE}-{vision.sha256[:16]}", lambda: _encode_scenes(split, encoders), on_message
        ),
    )


def _load_or_make(name: str, make: "Callable[[], Float16]", on_message: "Callable[[str], None]") -> "Float16":
    """An array from the cache folder, made first if it is missing."""
    from safetensors.numpy import load_file, save_file

    def build(folder: Path) -> None:
        on_message(f"encoding {name}")
        save_file({"features": make()}, folder / "features.safetensors")

    return load_file(build_once(f"cold-start-{name}", build) / "features.safetensors")["features"]


def written_texts(split: str) -> list[WrittenText]:
    """Texts of every key, composed of random lines; always the same."""
    random = np.random.default_rng(len(split))
    return [_written_text(split, (*key,), random) for key in text_keys(split).tolist()]


def text_keys(split: str) -> Integers:
    """The key of each text [N, KEY], all texts of one key in a row."""
    texts, topics = TEXTS[split], range(len(TOPICS))
    pairs = [
        *((topic, NOTHING, 0, texts.speech) for topic in topics),
        *((NOTHING, topic, many, texts.comments) for topic in topics for many in (0, 1)),
        *((topic, topic, many, texts.agreeing) for topic in topics for many in (0, 1)),
        *((spoken, chatter, 0, texts.strays) for spoken, chatter in product(topics, topics) if spoken != chatter),
    ]
    genres = [GENRES.index(genre) for genre in GENRES_OF[split]]
    return np.array(
        [
            (language, genre, spoken, chatter, many)
            for language, genre, (spoken, chatter, many, count) in product(range(len(LANGUAGES)), genres, pairs)
            for _ in range(count)
        ]
    )


def _written_text(split: str, key: tuple[int, ...], random: np.random.Generator) -> WrittenText:
    """One text of a key. If speech is on another topic, the comments number from few to many."""
    language, genre, spoken, chatter, many = key
    place = (LANGUAGES[language], GENRES[genre], split)
    stray = NOTHING not in (spoken, chatter) and spoken != chatter
    fewest, most = (FEW[0], MANY[1]) if stray else MANY if many else FEW
    speech = _draw_lines(spoken, "speech", place, SPOKEN_LINES, random)
    comments = _draw_lines(chatter, "comments", place, (fewest, most), random)
    return WrittenText((language, genre, spoken, chatter, many), as_whisper(speech, random), tuple(comments))


def _draw_lines(
    topic: int, kind: str, place: tuple[str, str, str], count: tuple[int, int], random: np.random.Generator
) -> list[str]:
    """Between `count` lines in any order, half of them or more on the topic; none for NOTHING.

    Half a minute is seldom about one thing. Comments may repeat, as viewers' do.
    """
    if topic == NOTHING:
        return []
    number = int(random.integers(count[0], count[1] + 1))
    on_topic = random.random(number) < random.uniform(_ON_TOPIC, 1.0)
    on_topic[int(random.integers(number))] = True
    about = np.where(on_topic, topic, random.integers(len(TOPICS), size=number))
    language, genre, split = place
    found = [written_lines(language, genre, TOPICS[one], kind, split) for one in about.tolist()]
    return [lines[int(random.integers(len(lines)))] for lines in found]


def _encode_scenes(split: str, encoders: "Encoders") -> "Float16":
    """Scenes of every topic, motion and style, three frames each, as [topics, levels, styles, P, d_v]."""
    from kuaihl.engines.cold_start.scenes import draw_scene, style_of

    random = np.random.default_rng(len(split))
    styles = [style_of(number) for number in STYLES[split]]
    rows = []
    for topic in range(len(TOPICS)):
        for motion in MOTION_LEVELS:
            frames = [[draw_scene(topic, motion, style, random) for _ in range(_FRAMES)] for style in styles]
            rows.append(encoders.vision.encode(frames))
    return np.stack(rows).reshape(len(TOPICS), len(MOTION_LEVELS), len(styles), *rows[0].shape[1:])
