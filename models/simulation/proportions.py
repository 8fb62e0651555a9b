"""KLive's proportions for simulated rooms: how many rooms per host, how long they last, how many watch.

The paper prints a few figures (`klive_figures`) and a histogram without numbers for its shape. The families below
are our choice. Their parameters follow from the printed figures alone:

- Hosts: each has one room, and the other rooms go to hosts at random: 17,897 / 9,932 = 1.80 rooms per host.
- Hours are log-normal. P(hours > 0.6) = .49 gives mu = ln 0.6 - z sigma with z = Phi^-1(.51) = .0251; the mean,
  exp(mu + sigma²/2) = 19,334 / 17,897 = 1.080, then gives sigma = z + sqrt(z² + 2 ln(1.080 / 0.6)) = 1.110, mu = -.539.
  A third figure agrees: the longest of 17,897 such rooms exceeds the printed 46.46 h with a probability of one half.
  Longer rooms are cut there; every room has at least two segments, which make one label.
- Viewers are Pareto from 60 on. P(viewers > 100) = (60 / 100)^alpha = .38 gives alpha = ln .38 / ln .6 = 1.894.
  The largest of 17,897 rooms then exceeds the printed 32,006 with a probability of one in nine.
- Hours, viewers and rooms per host are independent, because the paper says nothing about that.
- Within a room the audience drifts as in every simulated room. How many labels this masks is a result, not an input.
  KLive has 1,723,489 samples of 2,320,080 segments; at most 26% of its labels can have been filtered out.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import log, sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np

from kuaihl.models.data import klive_figures as klive
from kuaihl.models.simulation.terms import Integers, Streamer

Proportions = Literal["even", "klive"]  # "even": 20 to 109 segments, streamers equally often, audiences of some 270

_ROOMS_PER_HOST = klive.ROOMS / klive.HOSTS
_Z = NormalDist().inv_cdf(1 - klive.LONG_SHARE)
SIGMA = _Z + sqrt(_Z**2 + 2 * log(klive.HOURS / klive.ROOMS / (klive.LONG_MINUTES / 60)))
MU = log(klive.LONG_MINUTES / 60) - _Z * SIGMA
ALPHA = log(klive.MANY_SHARE) / log(klive.LEAST_VIEWERS / klive.MANY_VIEWERS)
_FEWEST_SEGMENTS = 2


def hosts_for(rooms: int) -> int:
    """The number of hosts for so many rooms, at least one."""
    return max(1, round(rooms / _ROOMS_PER_HOST))


def draw_hosts(rooms: int, hosts: int, random: np.random.Generator) -> Integers:
    """The host of each room [rooms], in random order: one room per host if there are enough, the rest drawn."""
    first = random.permutation(hosts)[:rooms]
    return random.permutation(np.concatenate([first, random.integers(hosts, size=rooms - len(first))]))


def draw_segments(rooms: int, random: np.random.Generator) -> Integers:
    """The length of each room [rooms], in segments."""
    hours = np.exp(random.normal(MU, SIGMA, rooms)).clip(max=klive.LONGEST_HOURS)
    return np.maximum(np.rint(hours * 3600 / klive.SEGMENT_SECONDS).astype(np.int64), _FEWEST_SEGMENTS)


def with_audiences(streamers: Sequence[Streamer], random: np.random.Generator) -> list[Streamer]:
    """The same streamers with audiences of KLive's sizes."""
    audiences = klive.LEAST_VIEWERS * (1 + random.pareto(ALPHA, len(streamers)))
    return [replace(streamer, audience=float(size)) for streamer, size in zip(streamers, audiences, strict=True)]
