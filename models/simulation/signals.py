"""Signals of simulated rooms, in the units of `signals.SIGNALS`: some follow excitement, much does not.

Every course is effect x excitement + sqrt(1 - effect²) x noise. Noise has a persistence of its own, and is partly
shared within a family. Families are number and fervour of comments; loudness, peak and bands; pace and exclamations;
change and shots. A room's gain, size and habits are drawn widely, so that no value means anything by itself. Levels are
assumed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.signals import GROUPS, SIGNAL_NAMES, SIGNALS, SignalGroup
from kuaihl.models.simulation.causes import Course, crowd_excitement, draw_waves, stage_excitement
from kuaihl.models.simulation.streamers import COMMENTATED, COURSES, FAMILIES, OF_CROWD
from kuaihl.models.simulation.terms import CHINESE, GENRES, IDLE, MUSIC, NOTHING, Floats, Integers, Streamer

_SHARED = 0.5  # share of a course's noise that its family shares; assumed
_CLUMPING = 8.0  # shape of the gamma factor of a segment's expected comments: more spread than Poisson
_SEGMENT_FRAMES = 3  # pictures of a segment, which form SEGMENT_FRAMES - 1 consecutive pairs
_ALONE = 0.08  # of the rooms know a single input, for each of three inputs
_MISSING: dict[SignalGroup, float] = {"comments": 0.3, "sound": 0.2, "speech": 0.25, "pictures": 0.3}  # of the others
_PARTLY = 0.3  # of the rooms lack some signals of their recorded inputs
_SILENCE = -10.0  # log10 of the mean square of digital silence


@dataclass(frozen=True)
class Chat:
    """Counts from a segment's comments, each [S]."""

    count: Integers
    values: dict[str, Floats]


def draw_courses(course: Course, streamer: Streamer, random: np.random.Generator) -> dict[str, Floats]:
    """Standardised courses [S] by the names of COURSES."""
    length = len(course.topics)
    stage = _standardise(stage_excitement(course), streamer.usual_stage)
    crowd = _standardise(crowd_excitement(course, streamer.taste), streamer.usual_crowd)
    late = _delay_comments(crowd, streamer.temper.lateness)
    excitement = np.where(OF_CROWD, late[:, None], stage[:, None])
    persistence = np.append(streamer.looks.persistence, np.full(FAMILIES.max() + 1, 0.5))
    noise = draw_waves(length, persistence, random)
    own, families = noise[:, : len(COURSES)], noise[:, len(COURSES) :]
    mixed = np.sqrt(_SHARED) * families[:, FAMILIES] + np.sqrt(1 - _SHARED) * own
    effects = streamer.looks.effects
    return dict(zip(COURSES, (effects * excitement + np.sqrt(1 - effects**2) * mixed).T, strict=True))


def _delay_comments(course: Floats, lateness: float) -> Floats:
    """The excitement behind the comments [S]: they trail, so part of them falls into the next segment."""
    return (1 - lateness) * course + lateness * np.insert(course[:-1], 0, 0.0)


def _standardise(excitement: Floats, usual: tuple[float, float]) -> Floats:
    mean, deviation = usual
    return ((excitement - mean) / deviation).clip(-3.0, 4.0)


def draw_chat(
    courses: dict[str, Floats], course: Course, streamer: Streamer, crowd: Floats, random: np.random.Generator
) -> Chat:
    """Comments of each segment; `crowd` [S] is the audience relative to its usual size, and moves them too.

    Distinct authors saturate. Now and then one floods the chat, which lifts the count but not the number of authors.
    """
    length = len(crowd)
    swing = float(np.exp(random.normal(-0.6, 0.4)))  # deviation of ln(comments) within the room
    expected = streamer.chattiness * crowd**0.6 * np.exp(swing * courses["chat"] + course.surge)
    count = random.poisson((expected * random.gamma(_CLUMPING, 1 / _CLUMPING, length)).clip(max=2000.0))
    regulars = 2.0 + streamer.chattiness * float(np.exp(random.normal(0.8, 0.5))) * crowd
    writing = (1.0 - np.exp(-count / regulars)) * regulars
    authors = np.where(
        count > 0, 1 + random.binomial(np.maximum(count - 1, 0), (writing / (count + 1.0)).clip(0, 1)), 0
    )
    if random.random() < 0.25:  # of rooms have somebody who floods the chat at times
        spam = random.poisson(random.uniform(0.2, 1.0) * streamer.chattiness + 1.0, length)
        spam *= random.random(length) < 0.15
        count, authors = count + spam, np.where((authors == 0) & (spam > 0), 1, authors)

    def share(level: float, rise: Floats) -> Floats:
        return random.binomial(count, sigmoid(level + rise)) / np.maximum(count, 1)

    chinese = streamer.language == CHINESE
    laughing = random.normal(1.5, 0.8) * _delay_comments(course.laughs, streamer.temper.lateness)
    wide = random.normal(0.0, 0.7, 5)
    gifts = np.zeros(length, np.int64)
    if random.random() < 0.5:  # half of the platforms have none, or do not report them
        rate = 0.02 * streamer.chattiness * float(np.exp(random.normal(0.0, 1.0)))
        gifts = random.poisson((rate * np.exp(0.6 * courses["gifts"])).clip(max=500.0))
    price = float(np.exp(random.normal(1.5, 1.0)))
    mean_length = np.exp((1.9 if chinese else 2.8) + 0.3 * wide[4] + 0.15 * courses["length"])
    mean_length *= np.exp(random.normal(0.0, 0.5, length) / np.sqrt(np.maximum(count, 1)))
    values = {
        "comments": np.log1p(count),
        "chatters": np.log1p(authors),
        "gifts": np.log1p(gifts),
        "gift_value": np.log1p(gifts * price * np.exp(random.normal(0.0, 0.7, length))),
        "laughter": share(-2.6 + wide[0], laughing + 0.3 * random.normal(size=length)),
        "capitals": share((-4.5 if chinese else -2.5) + wide[1], 0.6 * courses["capitals"]),
        "exclamations": share(-3.2 + wide[2], 0.5 * courses["exclamations"]),
        "repeats": share(-2.8 + wide[3], 0.6 * courses["repeats"] + 0.3 * np.log1p(count) + 0.5 * course.surge),
        "emotes": share(-2.0 + 1.5 * wide[1], 0.6 * courses["emotes"]),
        "comment_length": np.where(count > 0, np.log1p(mean_length), 0.0),
    }
    return Chat(count, values)


def draw_sound(
    courses: dict[str, Floats], topics: Integers, genre: int, random: np.random.Generator
) -> dict[str, Floats]:
    """Loudness, peak and bands that fit each other, shifted by the room's own gain."""
    gain, swing = random.normal(-2.3, 0.7), float(np.exp(random.normal(-1.3, 0.4)))
    # Idle screens are quieter and music is louder than talk, whatever their interest; assumed.
    loudness = gain + swing * courses["loudness"] - 0.3 * (topics == IDLE) + 0.2 * (topics == MUSIC)
    loudness = loudness.clip(_SILENCE, 0.0)
    crest = (random.normal(0.5, 0.12) + 0.08 * courses["crest"]).clip(0.02, 1.3)
    tilt = random.normal((0.5, 0.8, -1.0), 0.5)
    bands = np.exp(
        tilt + 0.5 * np.stack([courses["low"], np.zeros(len(topics)), courses["high"]], axis=1)
    )  # [S, 3], power
    low, middle, high = (loudness[:, None] + np.log10(bands / bands.sum(axis=1, keepdims=True))).T
    cheers = {"sport": -1.5, "esports": -2.5, "music": -2.5}.get(GENRES[genre], -4.0)
    return {
        "loudness": loudness,
        "peak": (loudness + crest).clip(_SILENCE, 0.0),
        "dynamics": (random.normal(0.5, 0.15) + 0.12 * courses["dynamics"]).clip(0.02, 2.0),
        "fullness": (random.normal(-1.8, 0.3) + 0.24 * courses["fullness"]).clip(_SILENCE, 0.0),
        "low_band": low.clip(_SILENCE),
        "middle_band": middle.clip(_SILENCE),
        "high_band": high.clip(_SILENCE),
        "cheering": random.binomial(300, sigmoid(cheers + random.normal(0, 0.7) + 0.7 * courses["cheering"])) / 300,
    }


def draw_spoken(
    courses: dict[str, Floats], course: Course, speech: Integers, genre: int, random: np.random.Generator
) -> dict[str, Floats]:
    """Counts from the transcript; `speech` [S] is NOTHING if nobody speaks."""
    spoken = speech != NOTHING
    fluent = 1.5 if GENRES[genre] in COMMENTATED else 0.5
    share = sigmoid(fluent + random.normal(0, 0.7) + 0.5 * courses["pace"]) * spoken
    pace = random.normal(2.5, 0.4) * np.exp(0.1 * courses["pace"])  # words per second
    words = random.poisson((30.0 * share * pace).clip(0.0, 200.0))
    # Whisper writes hardly any exclamation marks: 95% of the segments of football have none.
    marks = random.poisson(spoken * np.exp(random.normal(-2.5, 1.2) + 1.2 * courses["exclaims"]).clip(max=20.0))
    laughs = random.poisson(spoken * (0.01 + random.uniform(0.0, 0.5) * course.laughs))
    again = random.binomial(words, (0.01 * np.exp(random.normal(0, 0.5) + 0.5 * courses["stutter"])).clip(0, 0.5))
    return {
        "speech": share,
        "words": np.log1p(words),
        "spoken_exclamations": np.log1p(np.minimum(marks, words)),
        "spoken_laughter": np.log1p(np.minimum(laughs, words)),
        "spoken_repeats": again / np.maximum(words, 1),
    }


def draw_pictures(
    courses: dict[str, Floats], topics: Integers, streamer: Streamer, random: np.random.Generator
) -> tuple[dict[str, Floats], Floats]:
    """The change of pictures, and the motion [S] in [0, 1] of the drawn scenes. Idle screens may stand still."""
    usual = float(np.exp(random.normal(-2.7, 0.6))) * (0.3 if streamer.static_camera else 1.0)
    still = (topics == IDLE) & (random.random(len(topics)) < random.uniform(0.0, 0.4))
    change = np.where(still, 0.0, (usual * np.exp(0.4 * courses["change"])).clip(1e-4, 0.9))
    cuts = sigmoid(random.normal(-2.0, 1.0) + 0.6 * courses["shots"] - 3.0 * streamer.static_camera)
    pairs = _SEGMENT_FRAMES - 1
    values = {
        "change": change,
        "shots": np.where(still, 0.0, random.binomial(pairs, cuts) / pairs),
        "static": still.astype(np.float64),
    }
    moving = 0.15 if streamer.static_camera else 0.45
    return values, np.where(still, 0.0, (moving + 0.2 * courses["change"]).clip(0.0, 1.0))


def assemble(values: dict[str, Floats], measured: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Values [S, SIGNALS] in the order of SIGNALS, NaN if a signal was not `measured` [SIGNALS]."""
    columns = np.stack([values[name] for name in SIGNAL_NAMES], axis=1).astype(np.float32)
    columns[:, ~measured] = np.nan
    return columns


def all_of(known: frozenset[SignalGroup]) -> NDArray[np.bool_]:
    """Which signals [SIGNALS] belong to known groups."""
    return np.array([signal.group in known for signal in SIGNALS])


def draw_measured(known: frozenset[SignalGroup], random: np.random.Generator) -> NDArray[np.bool_]:
    """Which signals [SIGNALS] are measured: all of a known group; in PARTLY of the rooms some, at least one per group.

    Chats come without authors or emotes, transcripts without marks, and sound as features that yield few signals.
    """
    measured = all_of(known)
    if random.random() >= _PARTLY:
        return measured
    kept = measured & (random.random(len(SIGNALS)) >= random.uniform(0.0, 1.0))
    for group in sorted(known):
        of_group = np.flatnonzero([signal.group == group for signal in SIGNALS])
        kept[random.choice(of_group)] = True
    return kept


def draw_known(random: np.random.Generator) -> frozenset[SignalGroup]:
    """The recorded inputs: words, comments or sound alone in 8% of rooms each, else most; at least one."""
    alone: tuple[SignalGroup, ...] = ("speech", "comments", "sound")
    which = random.random()
    if which < _ALONE * len(alone):
        return frozenset([alone[int(which / _ALONE)]])
    while not (known := frozenset(group for group in GROUPS if random.random() >= _MISSING[group])):
        pass
    return known


def sigmoid(logit: Floats | float) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.asarray(logit, dtype=np.float64))))
