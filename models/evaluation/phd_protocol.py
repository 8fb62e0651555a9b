"""Average precision on PHD as for published systems: the protocol of the public code mrochan/adaptive-highlight.

That is the first author's re-implementation of Adaptive-H-FCSN (evaluation/metrics.py and test.py), whose steps follow
Video2GIF's evaluation. The paper measures "the way in [4]", which is PAC-Net, of which no code is public.

Scores are held to the video's frames and averaged within segments of 5 s. Precision is interpolated, and users without
history are skipped.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kuaihl.models.data.phd import Span
from kuaihl.models.evaluation.average_precision import interpolated_precision

_FRAME_RATE = 30  # frames per second that the code assumes for every video
_SEGMENT = 5 * _FRAME_RATE  # frames

Floats = NDArray[np.float64]


def protocol_precision(scores: Floats, frames_per_second: float, highlights: Sequence[Span]) -> float:
    """In (0, 1], for scores [F] at `frames_per_second` from a video's start; NaN if no highlight lies in it.

    Raises ValueError for scores that are not finite.
    """
    frames = max(1, round(len(scores) / frames_per_second * _FRAME_RATE))
    middle = (np.arange(frames) + 0.5) / _FRAME_RATE
    labels = np.zeros(frames, np.bool_)
    for span in highlights:
        labels |= (middle >= span.start) & (middle < span.end)
    return interpolated_precision(segment_means(scores, frames), labels)


def segment_means(scores: Floats, frames: int) -> Floats:
    """Scores [F] held to the nearest of `frames`, each of which then takes the mean of its 5 s."""
    held = scores[np.arange(frames) * len(scores) // frames]
    starts = np.arange(0, frames, _SEGMENT)
    lengths = np.diff(starts, append=frames)
    means: Floats = np.repeat(np.add.reduceat(held, starts) / lengths, lengths)
    return means
