"""Simulated rooms: causes first, then their visible effects, then the counts behind the labels (docs/cold-start.md)."""

from collections.abc import Sequence

import numpy as np

from kuaihl.models.signals import SignalGroup
from kuaihl.models.simulation.causes import Course, displace, draw_course, draw_drift, draw_views
from kuaihl.models.simulation.signals import (
    all_of,
    assemble,
    draw_chat,
    draw_courses,
    draw_known,
    draw_measured,
    draw_pictures,
    draw_sound,
    draw_spoken,
    sigmoid,
)
from kuaihl.models.simulation.streamers import COMMENTATED
from kuaihl.models.simulation.terms import (
    GENRES,
    GREETINGS,
    HYPE,
    IDLE,
    MUSIC,
    NOTHING,
    TOPICS,
    Integers,
    Room,
    Streamer,
)

_SHORTEST, _LONGEST = 20, 110  # segments of a room, if no length is given
_OWN_WORLD = 0.9  # of a streamer's rooms look the same
_STRAY = 0.2  # of the segments' comments, or words, are about something else


def draw_room(
    index: int,
    streamer: Streamer,
    styles: int,
    random: np.random.Generator,
    *,
    length: int | None = None,
    least_mean: float = 0.0,
    known: frozenset[SignalGroup] | None = None,
) -> Room:
    """One broadcast. `least_mean` is that of `draw_views`; the `known` inputs are drawn if not given.

    If they are given, all of their signals are measured.
    """
    length = int(random.integers(_SHORTEST, _LONGEST)) if length is None else length
    if known is None:
        known = draw_known(random)
        measured = draw_measured(known, random)
    else:
        measured = all_of(known)
    temper = streamer.temper
    course = draw_course(length, streamer.mix, temper, random)
    logit = streamer.base + streamer.taste[course.topics] + course.lift
    logit += draw_drift(length, random, temper.drift, temper.drift_persistence) + random.normal(
        0, temper.jitter, length
    )
    rate = sigmoid(logit)
    # The audience grows and shrinks by itself. It says nothing about interest, but comments and labels come from it.
    crowd, views = draw_views(streamer.audience, length, random, least_mean)
    courses = draw_courses(course, streamer, random)
    chat = draw_chat(courses, course, streamer, crowd / streamer.audience, random)
    speech = _draw_speech(course, streamer, random)
    chatter = _draw_chatter(course, streamer, chat.count, random)
    seen = course.topics
    if streamer.static_camera:
        seen = np.full(length, random.choice(len(TOPICS), p=streamer.mix))
    pictures, motion = draw_pictures(courses, course.topics, streamer, random)
    values = (
        chat.values
        | draw_sound(courses, course.topics, streamer.genre, random)
        | draw_spoken(courses, course, speech, streamer.genre, random)
        | pictures
    )
    world = streamer.world if random.random() < _OWN_WORLD else random.random()
    return Room(
        streamer=index,
        genre=streamer.genre,
        language=streamer.language,
        style=int(styles * world),
        known=known,
        speech=speech if "speech" in known else np.full(length, NOTHING),
        chatter=chatter if "comments" in known else np.full(length, NOTHING),
        comments=chat.count if "comments" in known else np.zeros(length, np.int64),
        scene=displace(seen, random, early=0.0, late=0.1),
        motion=motion,
        signals=assemble(values, measured),
        rate=rate,
        views=views,
        long_views=random.binomial(views, rate),
    )


def _draw_speech(course: Course, streamer: Streamer, random: np.random.Generator) -> Integers:
    """The topic of speech [S]: not every event, some false ones, and some of it early or late."""
    heard = random.random(len(course.topics)) < streamer.temper.heard
    about = np.where(heard, course.topics, course.beneath)
    about = np.where(heard & (course.stage_only > 0.5) & (course.lift == 0), HYPE, about)
    about = displace(about, random, early=0.15, late=0.15)
    usual = 0.02 if GENRES[streamer.genre] in COMMENTATED else random.uniform(0.0, 0.15)
    about = _with_strays(about, random)
    silent = random.random(len(about)) < np.where(about == IDLE, 0.4, np.where(about == MUSIC, 0.6, usual))
    return np.where(silent | (not streamer.speaks), NOTHING, about)


def _draw_chatter(course: Course, streamer: Streamer, count: Integers, random: np.random.Generator) -> Integers:
    """The topic of most comments in a segment [S]; part trails into the next segment, surges greet."""
    noticed = random.random(len(count)) < streamer.temper.heard
    about = np.where(noticed, course.topics, course.beneath)
    about = displace(about, random, early=0.0, late=streamer.temper.lateness)
    about = np.where(course.surge > 0.4, GREETINGS, about)
    return np.where(count > 0, _with_strays(about, random), NOTHING)


def _with_strays(topics: Integers, random: np.random.Generator) -> Integers:
    """The topics [S] with some replaced by any other: people also shout and joke about nothing."""
    strays = random.random(len(topics)) < _STRAY
    return np.where(strays, random.integers(len(TOPICS), size=len(topics)), topics)


def draw_rooms(
    count: int,
    streamers: Sequence[Streamer],
    styles: int,
    random: np.random.Generator,
    *,
    known: frozenset[SignalGroup] | None = None,
) -> list[Room]:
    """Rooms of streamers drawn at random."""
    who = random.integers(len(streamers), size=count)
    return [draw_room(int(index), streamers[index], styles, random, known=known) for index in who]
