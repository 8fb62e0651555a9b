"""Score curves for the detectors' tests: simulated output of the scorer for a stream."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from kuaihl.engines.types import Event, ScoredSegment

LOOK_BACK = 20  # segments for which a gap stays flagged


def scored_stream(
    scores: Sequence[float],
    *,
    seconds: float = 30.0,
    gaps: Sequence[int] = (),
    last_seconds: float | None = None,
    interests: Sequence[float] | None = None,
) -> list[ScoredSegment]:
    """One segment per score; media is missing right before the segments in `gaps`; the last segment may be short.

    interests: each segment's own rate, from a network with that output.
    """
    stream = []
    for index, score in enumerate(scores):
        start = index * seconds
        end = start + (last_seconds if last_seconds and index == len(scores) - 1 else seconds)
        stream.append(
            ScoredSegment(
                segment=index,
                start=start,
                end=end,
                predicts_start=end,
                predicts_end=end + seconds,
                score=score,
                text=f"words of {index}",
                comments=0,
                gap=any(gap <= index < gap + LOOK_BACK for gap in gaps),
                wall_time=1.7e9 + end,
                interest=None if interests is None else interests[index],
                events=(Event("gap", start, "4 s of media are missing"),) if index in gaps else (),
            )
        )
    return stream


def random_stream(seed: int, length: int | None = None, *, interest: bool = False) -> list[ScoredSegment]:
    """Noise, drift, bursts and plateaus in some proportion, with a gap or two; every seed gives another stream.

    interest: the next segment's interest is what each score forecast, give or take the noise.
    """
    chance = random.Random(seed)
    length = chance.randrange(0, 200) if length is None else length
    level, scores = 0.5, []
    noise, burst = chance.choice([0.0, 0.005, 0.05, 0.2]), chance.choice([0.0, 0.02, 0.1])
    left = 0
    for _ in range(length):
        level += chance.gauss(0.0, 0.01)
        left = chance.randrange(1, 8) if chance.random() < burst else max(0, left - 1)
        score = level + (0.25 if left else 0.0) + chance.gauss(0.0, noise)
        scores.append(round(min(0.99, max(0.01, score)), chance.choice([1, 6])))
    interests = None
    if interest:
        noisy = random.Random(seed + 1)
        interests = [min(0.99, max(0.01, score + noisy.gauss(0.0, noise))) for score in [0.5, *scores][:length]]
    return scored_stream(
        scores,
        interests=interests,
        seconds=chance.choice([2.0, 10.0, 30.0, 45.0]),
        gaps=sorted(chance.sample(range(length), min(length, chance.randrange(3)))),
        last_seconds=chance.choice([None, 0.5, 1.7]),
    )


def with_loudness(stream: Sequence[ScoredSegment], loudness: Callable[[float], float]) -> list[ScoredSegment]:
    """The stream with the loudness, in dBFS, of each second that begins at a time."""
    return [
        replace(one, loudness=tuple(loudness(one.start + at) for at in range(math.ceil(one.end - one.start))))
        for one in stream
    ]
