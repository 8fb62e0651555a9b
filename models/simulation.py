"""Simulated rooms: why viewers stay, what shows of it, and the views that measure it (docs/cold-start.md).

Causes come first and are never handed out: interest drifts slowly, jumps with bursts, and depends on a streamer's
taste, which only the id could tell. What a model may see (speech, comments, scenes) follows from the causes late, early
or not at all. Labels are counts: views and long views drawn from the true rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

TOPICS = ("hype", "laughter", "questions", "idle", "selling", "game", "music", "greetings")
HYPE, LAUGHTER, QUESTIONS, IDLE, SELLING, GAME, MUSIC, GREETINGS = range(len(TOPICS))
NOTHING = -1  # no speech, or no comments, in a segment
MIN_VIEWS = 60  # labels of fewer impressions are masked (DESIGN, section 1)

# What most audiences stay for, on the logit of LVTR; every streamer's own taste differs from it.
COMMON_TASTE = np.array([0.7, 0.5, 0.0, -0.7, -0.35, 0.15, 0.2, -0.2])
TASTE_SPREAD = 0.35
# How likely a burst begins in a segment of each topic.
BURST_HAZARD = np.array([0.0, 0.0, 0.03, 0.008, 0.012, 0.09, 0.06, 0.01])
# What each topic looks and sounds like before any burst: motion in [0, 1], loudness in dB, cuts a segment.
MOTION = np.array([0.6, 0.35, 0.2, 0.05, 0.3, 0.45, 0.25, 0.2])
LOUDNESS = np.array([-20.0, -22.0, -26.0, -36.0, -25.0, -26.0, -16.0, -26.0])  # music is loud and dull all the same
UNRECORDED = 0.25  # rooms scored without their comments: a recording alone, or a platform without chat
CUTS = np.array([1.0, 0.5, 0.3, 0.2, 3.0, 0.8, 0.5, 0.5])  # shopping shows cut most


@dataclass(frozen=True)
class Streamer:
    """Who streams: the taste of the audience and the habits that show."""

    taste: Floats  # [topics]
    base: float  # logit of the usual LVTR
    mix: Floats  # [topics], what the rooms are about
    audience: float  # impressions a segment
    chattiness: float  # comments a segment in a quiet time
    language: int  # 0 English, 1 Chinese
    static_camera: bool  # the picture does not follow what happens
    speaks: bool


@dataclass(frozen=True)
class Room:
    """A broadcast of S segments: what shows, and what was counted; `rate` is the truth behind the labels."""

    streamer: int
    language: int
    style: int  # which drawn world its pictures come from
    speech: Integers  # [S] topic, or NOTHING
    chatter: Integers  # [S] topic, or NOTHING
    comments: Integers  # [S] number of comments
    scene: Integers  # [S] topic
    motion: Floats  # [S] in [0, 1]
    loudness: Floats  # [S] dB
    cuts: Integers  # [S]
    rate: Floats  # [S] true LVTR
    views: Integers  # [S]
    long_views: Integers  # [S]


def draw_streamers(count: int, random: np.random.Generator) -> list[Streamer]:
    """Streamers of a few genres, each with a taste of its own around the common one."""
    genres = np.array(
        [
            # questions, idle, selling, game, music, greetings; hype and laughter come with bursts
            [0.0, 0.0, 0.15, 0.20, 0.02, 0.58, 0.00, 0.05],  # plays
            [0.0, 0.0, 0.50, 0.25, 0.10, 0.00, 0.10, 0.05],  # talks
            [0.0, 0.0, 0.20, 0.15, 0.60, 0.00, 0.00, 0.05],  # sells
            [0.0, 0.0, 0.25, 0.20, 0.02, 0.00, 0.48, 0.05],  # sings
        ]
    )
    drawn = []
    for _ in range(count):
        genre = genres[random.choice(4, p=[0.45, 0.3, 0.13, 0.12])]
        drawn.append(
            Streamer(
                taste=COMMON_TASTE + random.normal(0.0, TASTE_SPREAD, len(TOPICS)),
                base=random.normal(-0.6, 0.5),
                mix=random.dirichlet(20 * genre + 0.05 * (genre > 0) + 1e-9),
                audience=float(np.exp(random.normal(5.6, 0.9))),
                chattiness=float(np.exp(random.normal(0.9, 1.0))),
                language=int(random.random() < 0.5),
                static_camera=bool(random.random() < 0.15),
                speaks=bool(random.random() > 0.08),
            )
        )
    return drawn


def draw_room(
    index: int,
    streamer: Streamer,
    styles: int,
    random: np.random.Generator,
    *,
    length: int | None = None,
    least_mean: float = 0.0,
) -> Room:
    """One broadcast: causes first, then what shows of them, then the counts. `least_mean` is that of `draw_views`."""
    length = int(random.integers(50, 110)) if length is None else length
    topics, burst, build_up = draw_course(length, streamer.mix, random)
    drift = draw_drift(length, random)
    logit = streamer.base + streamer.taste[topics] + burst + 0.25 * build_up + drift + random.normal(0, 0.1, length)
    rate = 1.0 / (1.0 + np.exp(-logit))
    # The audience grows and shrinks by itself; it says nothing of interest, but its noise is in every label.
    crowd, views = draw_views(streamer.audience, length, random, least_mean)
    excited = burst + 0.5 * build_up
    speech = displaced(topics, random, early=0.25, late=0.15)
    silent = random.random(length) < np.where(topics == IDLE, 0.4, np.where(topics == MUSIC, 0.6, 0.1))
    speech[silent | (not streamer.speaks)] = NOTHING
    comments, chatter = draw_comments(topics, excited, streamer.chattiness * crowd / streamer.audience, random)
    if random.random() < UNRECORDED:
        comments, chatter = np.zeros_like(comments), np.full_like(chatter, NOTHING)
    moving = 0.3 if streamer.static_camera else 1.0
    seen = np.full(length, random.choice(len(TOPICS), p=streamer.mix)) if streamer.static_camera else topics
    return Room(
        streamer=index,
        language=streamer.language,
        style=int(random.integers(styles)),
        speech=speech,
        chatter=chatter,
        comments=comments,
        scene=displaced(seen, random, early=0.0, late=0.1),
        motion=np.clip(moving * (MOTION[topics] + 0.35 * excited) + random.normal(0, 0.12, length), 0.0, 1.0),
        loudness=LOUDNESS[topics] + 4.0 * excited + random.normal(0, 4.0, length),
        cuts=random.poisson(CUTS[topics] + excited),
        rate=rate,
        views=views,
        long_views=random.binomial(views, rate),
    )


def draw_course(length: int, mix: Floats, random: np.random.Generator) -> tuple[Integers, Floats, Floats]:
    """Topics, the lift of bursts, and the build-up before them: each [length].

    A burst jumps, then halves from segment to segment; half of them announce themselves a segment ahead.
    """
    topics = np.zeros(length, dtype=np.int64)
    burst, build_up = np.zeros(length), np.zeros(length)
    topic, lift, kind, coming = GREETINGS, 0.0, HYPE, False
    for segment in range(length):
        lift = 0.0 if lift < 0.2 else 0.6 * lift
        if coming or (lift == 0.0 and random.random() < BURST_HAZARD[topic]):
            if not coming and random.random() < 0.5:
                coming, build_up[segment] = True, 1.0
            else:
                coming, lift = False, random.uniform(0.7, 1.8)
                kind = HYPE if random.random() < (0.8 if topic == GAME else 0.45) else LAUGHTER
        elif random.random() < 0.28:
            topic = int(random.choice(len(TOPICS), p=mix))
        topics[segment] = kind if lift > 0.4 else topic
        burst[segment] = lift
    return topics, burst, build_up


def draw_drift(length: int, random: np.random.Generator) -> Floats:
    """A slow wave that nothing shows: first-order autoregression with deviation 0.35."""
    wave = np.zeros(length)
    value = random.normal(0, 0.35)
    for segment in range(length):
        value = 0.93 * value + random.normal(0, 0.35 * np.sqrt(1 - 0.93**2))
        wave[segment] = value
    return wave


def draw_views(
    audience: float, length: int, random: np.random.Generator, least_mean: float = 0.0
) -> tuple[Floats, Integers]:
    """The crowd that is expected, and the impressions that come, each [length].

    With `least_mean`, which `audience` must reach, the room's mean crowd is the audience, and rooms whose impressions
    fall below `least_mean` on average are drawn again, as a collection drops them.
    """
    crowd = audience * np.exp(draw_drift(length, random))
    if not least_mean:
        return crowd, random.poisson(crowd)
    crowd *= audience / crowd.mean()
    while (views := random.poisson(crowd)).mean() < least_mean:
        pass
    return crowd, views


def displaced(topics: Integers, random: np.random.Generator, *, early: float, late: float) -> Integers:
    """The topics as they show: some a segment early, some a segment late."""
    which = random.random(len(topics))
    ahead, behind = np.append(topics[1:], topics[-1]), np.insert(topics[:-1], 0, topics[0])
    return np.where(which < early, ahead, np.where(which > 1 - late, behind, topics))


def draw_comments(
    topics: Integers, excited: Floats, rate: Floats, random: np.random.Generator
) -> tuple[Integers, Integers]:
    """How many comments each segment has and what most are about; both follow what happens by seconds.

    A delay of some ten seconds puts about a third of the comments on an event into the next segment.
    """
    before = np.insert(excited[:-1], 0, 0.0)
    count = random.poisson(rate * (1.0 + 0.65 * 1.6 * excited + 0.35 * 1.6 * before))
    about = displaced(topics, random, early=0.0, late=0.35)
    strays = random.random(len(topics)) < 0.15
    about = np.where(strays, random.integers(len(TOPICS), size=len(topics)), about)
    return count, np.where(count > 0, about, NOTHING)


def draw_rooms(count: int, streamers: Sequence[Streamer], styles: int, random: np.random.Generator) -> list[Room]:
    """Rooms of streamers drawn at random."""
    who = random.integers(len(streamers), size=count)
    return [draw_room(int(index), streamers[index], styles, random) for index in who]


def labels_of(room: Room) -> tuple[Floats, NDArray[np.bool_]]:
    """The LVTR of the next segment at each segment [S], and where it may be used; the last has none (eq. 1)."""
    views = np.append(room.views[1:], 0)
    long_views = np.append(room.long_views[1:], 0)
    return long_views / np.maximum(views, 1), views >= MIN_VIEWS
