"""Why simulated viewers stay: topics, events, false alarms, surges of comments and slow drifts, each [S].

A cause is never handed out. Each streamer has a persistence of their own, so that the labels' lag-1 autocorrelation
covers the range measured on real ones. It is about 0 for single events and +0.23 to +0.33 for football summaries.
Highlights of a chat and of esports have +0.37 to +0.59 (docs/cold-start.md).
"""

from dataclasses import dataclass

import numpy as np

from kuaihl.models.simulation.terms import GAME, GREETINGS, HYPE, LAUGHTER, TOPICS, Floats, Integers, Temper

# How much each topic holds most audiences, on the logit of LVTR; every streamer's own taste differs from it.
COMMON_TASTE = np.array([0.5, 0.4, 0.0, -0.5, -0.25, 0.1, 0.1, -0.1])
# How likely an event is to begin in a segment of each topic.
_EVENT_HAZARD = np.array([0.0, 0.0, 0.03, 0.008, 0.012, 0.09, 0.06, 0.01])
_ANNOUNCED = 0.1  # of the events show on stage in the segment before; assumed
_TELLING = 0.4  # from this lift on, a segment is about its event
_WANING = 0.1  # an event ends when its lift falls below this
_SURGE_FADING = 0.5


@dataclass(frozen=True)
class Course:
    """The causes in S segments."""

    topics: Integers  # [S]; HYPE or LAUGHTER while an event lasts
    beneath: Integers  # [S] the topic under an event
    lift: Floats  # [S] of events, on the logit of LVTR
    laughs: Floats  # [S] the part of the lift that is laughter
    stage_only: Floats  # [S] excitement on stage that moves nobody, or not yet
    surge: Floats  # [S] rise of ln(comments) that has nothing to do with interest


def draw_course(length: int, mix: Floats, temper: Temper, random: np.random.Generator) -> Course:
    """Topics, and the events that interrupt them. An event jumps, then fades; few show a segment ahead."""
    beneath = np.zeros(length, dtype=np.int64)
    lift, laughs, stage_only, surge = np.zeros((4, length))
    hazard = (temper.eventfulness * _EVENT_HAZARD).tolist()
    chance = random.random((6, length)).tolist()
    others = random.choice(len(TOPICS), p=mix, size=length).tolist()
    topic, high, funny, rush = GREETINGS, 0.0, False, 0.0
    for segment in range(length):
        if chance[0][segment] < temper.switching:
            topic = others[segment]
        beneath[segment] = topic
        high = high * temper.fading if high * temper.fading >= _WANING else 0.0
        if chance[1][segment] < hazard[topic]:
            jump = 0.7 + 1.1 * chance[2][segment]
            high += jump
            funny = chance[3][segment] > (0.8 if topic == GAME else 0.45)
            if segment and chance[4][segment] < _ANNOUNCED:
                stage_only[segment - 1] += 0.5 * jump
        lift[segment] = high
        laughs[segment] = high if funny else 0.0
        if chance[5][segment] < temper.false_alarms:
            stage_only[segment] += 0.7 + 0.5 * chance[2][segment]
        rush = _SURGE_FADING * rush if rush > 0.2 else 0.0
        if chance[5][segment] > 1.0 - temper.surges:
            rush += 0.5 + 1.5 * chance[4][segment]
        surge[segment] = rush
    event = np.where(laughs > 0, LAUGHTER, HYPE)
    return Course(np.where(lift > _TELLING, event, beneath), beneath, lift, laughs, stage_only, surge)


def stage_excitement(course: Course) -> Floats:
    """Excitement as performed [S]: visible events, false alarms and the topics that most audiences like."""
    excitement: Floats = course.lift + course.stage_only + COMMON_TASTE[course.topics]
    return excitement


def crowd_excitement(course: Course, taste: Floats) -> Floats:
    """Excitement as this audience feels it [S], and so writes about it."""
    return course.lift + taste[course.topics]


def fit_usual(excitement: Floats) -> tuple[float, float]:
    """Mean and deviation, for standard scores."""
    return float(excitement.mean()), float(max(excitement.std(), 0.2))


def draw_drift(length: int, random: np.random.Generator, deviation: float = 0.35, persistence: float = 0.93) -> Floats:
    """A slow wave that no input shows [S]: first-order autoregression of that deviation."""
    return deviation * draw_waves(length, np.array([persistence]), random)[:, 0]


def draw_waves(length: int, persistence: Floats, random: np.random.Generator) -> Floats:
    """First-order autoregressions of deviation 1 [S, K], one per lag-1 autocorrelation [K]."""
    waves = random.normal(size=(length, len(persistence)))
    waves[1:] *= np.sqrt(1.0 - persistence**2)
    for segment in range(1, length):
        waves[segment] += persistence * waves[segment - 1]
    return waves


def draw_views(
    audience: float, length: int, random: np.random.Generator, least_mean: float = 0.0
) -> tuple[Floats, Integers]:
    """The expected crowd and the impressions that come, each [S].

    With `least_mean`, which `audience` must reach, the room's mean crowd is the audience. Impressions that average
    below `least_mean` are drawn again, because a collection would drop such a room.
    """
    crowd = audience * np.exp(draw_drift(length, random))
    if not least_mean:
        return crowd, random.poisson(crowd)
    crowd *= audience / crowd.mean()
    while (views := random.poisson(crowd)).mean() < least_mean:
        pass
    return crowd, views


def displace(topics: Integers, random: np.random.Generator, *, early: float, late: float) -> Integers:
    """The topics as they show: some a segment early, some a segment late."""
    which = random.random(len(topics))
    ahead, behind = np.append(topics[1:], topics[-1]), np.insert(topics[:-1], 0, topics[0])
    return np.where(which < early, ahead, np.where(which > 1 - late, behind, topics))
