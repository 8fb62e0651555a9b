"""A room's segments in, the values of their signals out: [SIGNALS] each, NaN if unknown.

A group of signals is unknown if there is nothing to measure it on: comments without a chat, sound and speech without
sound, speech if no transcriber heard it, pictures without two frames to compare. A chat in which nobody writes is
known, and so is silence.
"""

from collections.abc import Mapping

import numpy as np

from kuaihl.engines.encoders.signals.comments import comment_signals
from kuaihl.engines.encoders.signals.pictures import make_thumbnail, picture_signals
from kuaihl.engines.encoders.signals.sound import sound_signals
from kuaihl.engines.encoders.signals.speech import speech_signals
from kuaihl.engines.types import Segment, Thumbnail, Transcript
from kuaihl.models.signals import SIGNAL_NAMES, Floats, unknown_values

_PLACES = {name: place for place, name in enumerate(SIGNAL_NAMES)}


class SignalMeter:
    """Measures one room's segments in order; it keeps only the last frame, as a thumbnail."""

    def __init__(self, previous: Thumbnail | None = None) -> None:
        self.previous = previous

    def measure(self, segment: Segment, transcript: Transcript | None) -> Floats:
        """The values [SIGNALS] of the room's next segment; `transcript` is None if nothing was transcribed."""
        seconds = segment.end - segment.start
        found: dict[str, float] = {}
        if segment.has_chat:
            found |= comment_signals(segment.comments, seconds)
        if len(segment.audio):
            found |= sound_signals(segment.audio)
        if transcript is not None:
            found |= speech_signals(transcript, seconds)
        found |= self.see(segment)
        return values_of(found)

    def see(self, segment: Segment) -> Mapping[str, float]:
        """The signals of the pictures; a frame that stands in for a missing one counts once."""
        frames = {frame.time: frame.image for frame in segment.frames}
        seen = [make_thumbnail(image) for image in frames.values()]
        found = picture_signals(seen, self.previous)
        self.previous = seen[-1] if seen else self.previous
        return found


def values_of(found: Mapping[str, float]) -> Floats:
    """Values [SIGNALS] of the signals that were found, NaN for the others."""
    values = unknown_values()
    for name, value in found.items():
        values[_PLACES[name]] = np.float32(value)
    return values
