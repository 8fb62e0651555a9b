"""The rule for a stream that is faster than the machine: live segments go in, some come out without their speech.

Transcription costs most and is missed least, so it goes first; frames, comments and loudness are always read.
"""

from collections.abc import Iterator
from dataclasses import replace

from kuaihl.engines.read_ahead import Stage
from kuaihl.engines.types import Event, Segment

BEHIND = 2  # segments that may wait before speech is dropped


def skip_speech_when_behind(segments: Stage[Segment], *, behind: int = BEHIND) -> Iterator[Segment]:
    """Pass segments on; while `behind` or more wait, the current one is not transcribed, and an event reports it.

    For live sources only: a file can wait. The stage's `maxsize` must be larger than `behind`.
    """
    for segment in segments:
        waiting = segments.waiting
        if waiting < behind or not segment.audio.size:
            yield segment
        else:
            yield without_speech(segment, f"{waiting} segments waited")
        del segment  # the next one may be half a minute away


def without_speech(segment: Segment, why: str) -> Segment:
    """The segment, whose speech is not transcribed, with the event that reports it."""
    return replace(report_overload(segment, f"speech not transcribed: {why}"), transcribe=False)


def report_overload(segment: Segment, detail: str) -> Segment:
    """The segment with an event that reports what was dropped."""
    return replace(segment, events=(*segment.events, Event("overload", segment.start, detail)))
