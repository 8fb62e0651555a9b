"""The streamers of simulated rooms: genres, tastes and habits, drawn for each streamer.

`EFFECTS` says how closely each signal follows excitement, by genre. A measured mean is a rule's Kendall tau on real
labels (shared/real, docs/cold-start.md), turned into the correlation behind it. All others are assumed, and weak. Each
streamer's own effect is drawn widely around the mean: in some rooms a signal means nothing, or the opposite.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kuaihl.models.simulation.causes import COMMON_TASTE, crowd_excitement, draw_course, fit_usual, stage_excitement
from kuaihl.models.simulation.terms import GENRES, TOPICS, TRAINING_GENRES, Floats, Looks, Streamer, Temper

_BASE, _BASE_SPREAD = -0.6, 0.25  # logit of the usual LVTR; assumed, because the paper's figures do not show it
_TASTE_SPREAD = 0.35
_REHEARSAL = 200  # segments that set a streamer's usual level

# The mix of topics by genre: questions, idle, selling, game, music, greetings; events come on top.
# "game" is whatever the genre's own action is: a match, a dance, a recipe, a workout.
_MIXES = {
    "esports": (0.08, 0.12, 0.02, 0.74, 0.00, 0.04),
    "sport": (0.05, 0.10, 0.03, 0.80, 0.00, 0.02),
    "talk": (0.50, 0.25, 0.10, 0.00, 0.10, 0.05),
    "music": (0.25, 0.20, 0.02, 0.00, 0.48, 0.05),
    "selling": (0.20, 0.15, 0.60, 0.00, 0.00, 0.05),
    "games": (0.15, 0.20, 0.02, 0.58, 0.00, 0.05),
    "outdoor": (0.30, 0.25, 0.05, 0.30, 0.03, 0.07),
    "dance": (0.15, 0.15, 0.02, 0.33, 0.30, 0.05),
    "news": (0.40, 0.15, 0.03, 0.38, 0.00, 0.04),
    "cooking": (0.27, 0.15, 0.10, 0.40, 0.03, 0.05),
    "beauty": (0.27, 0.15, 0.28, 0.25, 0.00, 0.05),
    "fitness": (0.15, 0.20, 0.05, 0.45, 0.10, 0.05),
}
_CROWD, _STAGE = "crowd", "stage"


@dataclass(frozen=True)
class _Effect:
    """How one course of signals follows excitement: a mean correlation, and other means for some genres."""

    of: str  # the source of excitement: CROWD or STAGE
    family: int  # courses of one family share part of their noise
    mean: float
    genres: Mapping[str, float] = field(default_factory=dict)
    spread: float = 0.3  # deviation between streamers, on Fisher's z


# Letters mark measured means: M football words, Z one Chinese chat, E bursts of English chats, S sound of esports.
EFFECTS = {
    "chat": _Effect(_CROWD, 0, 0.45, {"games": 0.6, "esports": 0.6, "sport": 0.5, "news": 0.3}),  # Z
    "repeats": _Effect(_CROWD, 0, 0.3),  # Z
    "capitals": _Effect(_CROWD, 0, 0.2, spread=0.4),  # Z none, E +
    "exclamations": _Effect(_CROWD, 0, 0.05),  # Z, E none
    "emotes": _Effect(_CROWD, 0, 0.2, spread=0.5),  # Z slightly -, E ++
    "length": _Effect(_CROWD, 0, -0.05, spread=0.4),  # Z slightly +, E -
    "gifts": _Effect(_CROWD, 0, 0.15, {"music": 0.25, "dance": 0.25}),
    "loudness": _Effect(_STAGE, 1, 0.2, {"esports": 0.5, "sport": 0.4, "games": 0.35, "music": 0.1, "dance": 0.1}),
    "fullness": _Effect(
        _STAGE, 1, 0.2, {"esports": 0.9, "sport": 0.5, "games": 0.35, "music": 0.1, "dance": 0.1, "selling": 0.1}
    ),  # S: no pauses in the shouting
    "crest": _Effect(_STAGE, 1, 0.0),
    "dynamics": _Effect(_STAGE, 1, -0.1, {"esports": -0.5, "sport": -0.25}),  # S
    "low": _Effect(_STAGE, 1, -0.1, {"esports": -0.4}),  # S: the low band hardly rises with the others
    "high": _Effect(_STAGE, 1, 0.05, {"esports": 0.3}),  # S
    "cheering": _Effect(_STAGE, 1, 0.1, {"esports": 0.35, "sport": 0.4, "music": 0.25}),
    "pace": _Effect(_STAGE, 2, 0.1),  # M
    "exclaims": _Effect(_STAGE, 2, 0.2, {"sport": 0.5, "esports": 0.5, "games": 0.3}),  # M
    "stutter": _Effect(_STAGE, 2, 0.05),  # M
    "change": _Effect(_STAGE, 3, 0.0, {"esports": -0.3}),  # S, of picture features
    "shots": _Effect(_STAGE, 3, 0.0),
}
COURSES = tuple(EFFECTS)
FAMILIES = np.array([effect.family for effect in EFFECTS.values()])
OF_CROWD = np.array([effect.of == _CROWD for effect in EFFECTS.values()])
COMMENTATED = ("esports", "sport", "news")


def draw_streamers(count: int, random: np.random.Generator, genres: Sequence[str] = TRAINING_GENRES) -> list[Streamer]:
    """Streamers of these genres, each genre equally likely, with tastes of their own around the common one."""
    return [draw_streamer(genres[int(random.integers(len(genres)))], random) for _ in range(count)]


def draw_streamer(genre: str, random: np.random.Generator) -> Streamer:
    """One streamer of a genre."""
    about = np.array([0.0, 0.0, *_MIXES[genre]])
    mix = random.dirichlet(20 * about + 0.05 * (about > 0) + 1e-9)
    taste = COMMON_TASTE + random.normal(0.0, _TASTE_SPREAD, len(TOPICS))
    temper = _draw_temper(random)
    rehearsal = draw_course(_REHEARSAL, mix, temper, random)
    return Streamer(
        genre=GENRES.index(genre),
        language=int(random.random() < 0.5),
        taste=taste,
        base=float(random.normal(_BASE, _BASE_SPREAD)),
        mix=mix,
        audience=float(np.exp(random.normal(5.6, 0.9))),
        chattiness=float(np.exp(random.normal(2.5, 1.4)).clip(0.3, 300.0)),
        static_camera=bool(random.random() < (0.15 if genre in ("talk", "music", "selling", "beauty") else 0.05)),
        speaks=bool(random.random() > (0.0 if genre in COMMENTATED else 0.08)),
        world=float(random.random()),
        temper=temper,
        looks=_draw_looks(genre, random),
        usual_stage=fit_usual(stage_excitement(rehearsal)),
        usual_crowd=fit_usual(crowd_excitement(rehearsal, taste)),
    )


def _draw_temper(random: np.random.Generator) -> Temper:
    """Habits of interest; ranges are assumed, and wide, so that persistence covers what was measured."""
    return Temper(
        switching=random.uniform(0.1, 0.4),
        eventfulness=float(np.exp(random.normal(0.0, 0.4))),
        fading=random.uniform(0.0, 0.8),
        drift=random.uniform(0.05, 0.3),
        drift_persistence=random.uniform(0.7, 0.97),
        jitter=random.uniform(0.05, 0.25),
        false_alarms=random.uniform(0.0, 0.05),
        surges=random.uniform(0.0, 0.04),
        heard=random.uniform(0.2, 0.8),
        lateness=random.uniform(0.25, 0.75),
    )


def _draw_looks(genre: str, random: np.random.Generator) -> Looks:
    """Effects around the genre's means, on Fisher's z, on which a correlation's spread is the same everywhere."""
    means = np.array([effect.genres.get(genre, effect.mean) for effect in EFFECTS.values()])
    spreads = [effect.spread for effect in EFFECTS.values()]
    effects: Floats = np.tanh(np.arctanh(means) + random.normal(0.0, spreads))
    return Looks(effects, random.uniform(0.0, 0.8, len(COURSES)))
