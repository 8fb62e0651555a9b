"""The terms of simulated rooms: topics, genres, streamers, the contents of a room, and its labels (docs/cold-start.md).

`streamers` draws who streams, `causes` why viewers stay, `signals` the measurements, and `rooms` puts a room together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.data.shift import next_of
from kuaihl.models.facts import MIN_VIEWS
from kuaihl.models.signals import GROUPS, SignalGroup

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

TOPICS = ("hype", "laughter", "questions", "idle", "selling", "game", "music", "greetings")
HYPE, LAUGHTER, _QUESTIONS, IDLE, _SELLING, GAME, MUSIC, GREETINGS = range(len(TOPICS))
NOTHING = -1  # no speech, or no comments, in a segment
TRAINING_GENRES = ("esports", "sport", "talk", "music", "selling", "games", "outdoor", "dance", "news")
HELD_OUT_GENRES = ("cooking", "beauty", "fitness")  # occur only in test rooms
GENRES = TRAINING_GENRES + HELD_OUT_GENRES
_ENGLISH, CHINESE = 0, 1


@dataclass(frozen=True)
class Temper:
    """The course of interest in a streamer's rooms; rates are per segment."""

    switching: float  # how likely the topic changes
    eventfulness: float  # times the usual rate of events
    fading: float  # share of an event's lift left a segment later
    drift: float  # deviation of the slow wave that no input shows, on the logit of LVTR
    drift_persistence: float  # its lag-1 autocorrelation
    jitter: float  # deviation of the part without persistence, on the logit
    false_alarms: float  # rate of excitement on stage that moves nobody
    surges: float  # rate of comments with another cause: raids, giveaways, commands
    heard: float  # how likely speech or comments are to mention an event
    lateness: float  # share of the comments on a segment that come in the next


@dataclass(frozen=True)
class Looks:
    """How a streamer's signals follow excitement, one value for each of `streamers.COURSES`."""

    effects: Floats  # correlation with excitement
    persistence: Floats  # lag-1 autocorrelation of the rest


@dataclass(frozen=True)
class Streamer:
    """One streamer: the taste of the audience and the habits that show."""

    genre: int
    language: int
    taste: Floats  # [topics], on the logit of LVTR
    base: float  # logit of the usual LVTR
    mix: Floats  # [topics], their shares of the rooms
    audience: float  # impressions per segment
    chattiness: float  # comments per segment in a quiet time
    static_camera: bool  # the picture does not follow what happens
    speaks: bool
    world: float  # in [0, 1): the drawn world that most of the rooms show
    temper: Temper
    looks: Looks
    usual_stage: tuple[float, float]  # mean and deviation of the performed excitement
    usual_crowd: tuple[float, float]  # and of the excitement that the audience feels


@dataclass(frozen=True)
class Room:
    """A broadcast of S segments: visible contents and counts; `rate` is the truth behind the labels.

    In an unknown group, words are NOTHING, comments 0 and signals NaN. A signal of a known group may be NaN, too.
    """

    streamer: int
    genre: int
    language: int
    style: int  # the drawn world of its pictures
    known: frozenset[SignalGroup]  # of GROUPS: the recorded inputs
    speech: Integers  # [S] topic, or NOTHING
    chatter: Integers  # [S] topic, or NOTHING
    comments: Integers  # [S] number of comments
    scene: Integers  # [S] topic
    motion: Floats  # [S] in [0, 1]
    signals: NDArray[np.float32]  # [S, SIGNALS], in the order and units of `signals.SIGNALS`
    rate: Floats  # [S] true LVTR
    views: Integers  # [S]
    long_views: Integers  # [S]


EVERYTHING: frozenset[SignalGroup] = frozenset(GROUPS)


def present_labels_of(room: Room) -> tuple[Floats, NDArray[np.bool_]]:
    """The LVTR of each segment itself [S], and whether it may be used [S]."""
    return room.long_views / np.maximum(room.views, 1), room.views >= MIN_VIEWS


def labels_of(room: Room) -> tuple[Floats, NDArray[np.bool_]]:
    """The LVTR of the next segment at each segment [S], and whether it may be used; the last has none (eq. 1)."""
    rate, usable = present_labels_of(room)
    return next_of(rate), next_of(usable)
