"""Simulated recordings whose events have known seconds: loudness, comments, sentences and keyframes of each second.

`models/simulation` draws rooms in steps of 30 s. Here its streamers and causes are drawn by its own functions, and
spread over seconds. Effects, noise, gains and levels are the simulator's, with the sources that docs/cold-start.md
names. The steps begin at a random second of a recording's segments, and so do events. What seconds need beside, and
from where:

    event      its lift holds for 30 s, the simulator's step, and then fades by the streamer's factor per 30 s; its
               known span is where the lift is above 0.4, from where a simulated segment is about it
    noise      the simulator's value of each step, in a straight line from one step's middle to the next
    texture    sentences and pauses; a pause is so much quieter that the deviation is the simulator's `dynamics`.
               Where nobody speaks, each second is the mean of ten independent frames
    sentences  2.4 to 6.1 s, as those of examples/demo.events.json; pauses follow from the simulator's share of speech
    comments   come late by a gamma draw; its mean follows from the streamer's `lateness`, its shape of 2 is assumed
    keyframes  every 2 s, as in benchmarks/ingest.py
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kuaihl.engines.types import Sentence
from kuaihl.models.simulation.causes import COMMON_TASTE, Course, draw_course, draw_views
from kuaihl.models.simulation.signals import draw_courses, sigmoid
from kuaihl.models.simulation.streamers import COMMENTATED, COURSES, draw_streamers
from kuaihl.models.simulation.terms import GENRES, HYPE, IDLE, LAUGHTER, MUSIC, TOPICS, Floats, Integers, Streamer

Span = tuple[float, float]

STEP = 30  # seconds of the simulator's segments
SHORTEST, LONGEST = 20, 110  # steps of a room, as in models/simulation/rooms.py
TELLING = 0.4  # lift from which a segment is about its event, as in models/simulation/causes.py
SENTENCE = (2.4, 6.1)  # seconds
DELAY_SHAPE = 2.0
KEYFRAMES = 2.0  # seconds from one to the next
DECIBELS = 10.0  # per unit of the simulator's log10
PLAIN = 2  # a topic that neither holds nor loses most audiences


@dataclass(frozen=True)
class Simulated:
    """A recording of T seconds."""

    streamer: Streamer
    known: list[Span]  # of events, in order
    loudness: Floats  # [T] dB
    comments: Integers  # [T] how many come in a second
    sentences: list[Sentence]
    keyframes: list[float]


def draw_recordings(count: int, random: np.random.Generator) -> list[Simulated]:
    """Recordings of as many streamers; those without an event are drawn again."""
    found: list[Simulated] = []
    while len(found) < count:
        (streamer,) = draw_streamers(1, random, GENRES)
        one = _draw_recording(streamer, random)
        found += [one] if one.known else []
    return found


def _draw_recording(streamer: Streamer, random: np.random.Generator) -> Simulated:
    steps = int(random.integers(SHORTEST, LONGEST))
    course = draw_course(steps + 1, streamer.mix, streamer.temper, random)
    at = np.arange(steps * STEP) + random.uniform(0, STEP)  # [T] seconds on the simulator's steps

    def hold(values: NDArray[Any]) -> Any:
        return values[(at / STEP).astype(np.int64)]

    def connect(values: Floats) -> Floats:
        return np.interp(at, (np.arange(len(values)) + 0.5) * STEP, values)

    lift, laughs = _lift(course, streamer.temper.fading, at)
    event = np.where(laughs, LAUGHTER, HYPE)
    topics = np.where(lift > TELLING, event, hold(course.beneath)).astype(np.int64)
    stage = lift + hold(course.stage_only) + COMMON_TASTE[topics]
    crowd = lift + streamer.taste[topics]
    calm = _noise(streamer, steps + 1, random)

    def follow(name: str, excitement: Floats, usual: Span) -> Floats:
        standard = ((excitement - usual[0]) / usual[1]).clip(-3.0, 4.0)
        return streamer.looks.effects[COURSES.index(name)] * standard + connect(calm[name])

    def on_stage(name: str) -> Floats:
        return follow(name, stage, streamer.usual_stage)

    gain, swing = random.normal(-2.3, 0.7), float(np.exp(random.normal(-1.3, 0.4)))
    loudness = gain + swing * on_stage("loudness") - 0.3 * (topics == IDLE) + 0.2 * (topics == MUSIC)
    texture, sentences = _speak(topics, on_stage, streamer, random)
    chat = follow("chat", crowd, streamer.usual_crowd)
    viewers, _ = draw_views(streamer.audience, steps + 1, random)
    rate = _comment_rate(chat, connect(viewers / streamer.audience), hold(course.surge), streamer, random)
    return Simulated(
        streamer,
        _spans(lift > TELLING),
        DECIBELS * (loudness + texture),
        _arrivals(rate, streamer.temper.lateness, random),
        sentences,
        np.arange(random.uniform(0, KEYFRAMES), len(at), KEYFRAMES).tolist(),
    )


def _lift(course: Course, fading: float, at: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """The lift of events at each second [T], and where it is of one that is funny [T]."""
    lift, laughs = np.zeros(len(at)), np.zeros(len(at), np.bool_)
    before = 0.0
    for step, high in enumerate(course.lift):
        if high > before * fading + 1e-9:
            since = (at - step * STEP) / STEP
            lasting = since >= 0.0
            # 0 ** 0 is 1: an event that does not fade on lasts for one step.
            own = (high - (before * fading if before * fading >= 0.1 else 0.0)) * fading ** np.maximum(since - 1.0, 0.0)
            lift += np.where(lasting, own, 0.0)
            laughs = np.where(lasting, course.laughs[step] > 0, laughs)
        before = high
    return lift, laughs


def _noise(streamer: Streamer, steps: int, random: np.random.Generator) -> dict[str, Floats]:
    """What does not follow excitement, per course and step: the simulator's courses where nothing happens."""
    none = np.zeros(steps)
    nothing = Course(np.full(steps, PLAIN), np.full(steps, PLAIN), none, none, none, none)
    unmoved = replace(streamer, taste=np.zeros(len(TOPICS)), usual_stage=(0.0, 1.0), usual_crowd=(0.0, 1.0))
    return draw_courses(nothing, unmoved, random)


def _speak(
    topics: Integers, on_stage: Callable[[str], Floats], streamer: Streamer, random: np.random.Generator
) -> tuple[Floats, list[Sentence]]:
    """The texture of the sound [T] in log10, around 0, and the sentences."""
    seconds = len(topics)
    dynamics = (random.normal(0.5, 0.15) + 0.12 * on_stage("dynamics")).clip(0.02, 2.0)
    fluent = 1.5 if GENRES[streamer.genre] in COMMENTATED else 0.5
    share = sigmoid(fluent + random.normal(0, 0.7) + 0.5 * on_stage("pace")).clip(0.05, 0.95)
    usual = 0.02 if GENRES[streamer.genre] in COMMENTATED else random.uniform(0.0, 0.15)
    chance = np.where(topics == IDLE, 0.4, np.where(topics == MUSIC, 0.6, usual))
    silent = np.repeat(random.random(seconds // STEP), STEP) < chance
    texture = random.normal(0.0, 1.0, seconds) * dynamics / np.sqrt(10)
    sentences: list[Sentence] = []
    spoken = np.zeros(seconds)  # share of each second
    time = random.uniform(0, SENTENCE[1])
    while streamer.speaks and time < seconds - SENTENCE[1] - 1:
        second = int(time)
        if silent[second]:
            time += 1.0
            continue
        end = time + random.uniform(*SENTENCE)
        for each in range(second, int(end) + 1):
            spoken[each] += min(end, each + 1.0) - max(time, float(each))
        sentences.append(Sentence(time, end, "Words."))
        time = end + random.exponential((end - time) * (1.0 - share[second]) / share[second])
    if streamer.speaks:
        depth = dynamics / np.sqrt(share * (1.0 - share))
        texture = np.where(silent, texture, depth * (spoken.clip(0.0, 1.0) - share))
    return texture, sentences


def _comment_rate(
    chat: Floats, crowd: Floats, surge: Floats, streamer: Streamer, random: np.random.Generator
) -> Floats:
    """Comments per second that are written about each second [T]."""
    steps = len(chat) // STEP
    swing = float(np.exp(random.normal(-0.6, 0.4)))
    expected = streamer.chattiness * crowd**0.6 * np.exp(swing * chat + surge)
    expected *= np.repeat(random.gamma(8.0, 1 / 8.0, steps), STEP)
    if random.random() < 0.25:  # somebody floods the chat at times
        spam = random.poisson(random.uniform(0.2, 1.0) * streamer.chattiness + 1.0, steps)
        expected += np.repeat(spam * (random.random(steps) < 0.15), STEP)
    return expected.clip(max=2000.0) / STEP


def _arrivals(rate: Floats, lateness: float, random: np.random.Generator) -> Integers:
    """How many comments come in each second [T]. Uniform in a step, comments of this mean delay trail so much."""
    seconds = np.repeat(np.arange(len(rate)), random.poisson(rate))
    delay = random.gamma(DELAY_SHAPE, STEP * lateness / DELAY_SHAPE, len(seconds))
    come = (seconds + random.random(len(seconds)) + delay).astype(np.int64)
    return np.bincount(come[come < len(rate)], minlength=len(rate))


def _spans(inside: NDArray[np.bool_]) -> list[Span]:
    """The spans that are true, except what the recording's beginning or end cuts off."""
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False)).reshape(-1, 2)
    return [(float(start), float(end)) for start, end in edges if start > 0 and end < len(inside)]
