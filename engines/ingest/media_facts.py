"""What an editor must know of a recording, from its opened container: nothing is read or decoded for it."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuaihl.engines.ingest.opening import is_stream, open_source
from kuaihl.engines.ingest.source import Source
from kuaihl.engines.types import MediaFacts

if TYPE_CHECKING:
    from av.video.stream import VideoStream

_SOUND_ALONE = Fraction(25)  # frames per second in which the time of sound without pictures is counted
_NTSC = tuple(Fraction(number * 1000, 1001) for number in (24, 30, 48, 60, 120))
_USUAL = tuple(sorted((*map(Fraction, (12, 15, 24, 25, 30, 48, 50, 60, 100, 120, 144, 240)), *_NTSC)))
_SAME_RATE = 0.0004  # 24 and 23.976 are 0.001 apart
_FASTER = Fraction(3, 2)  # by which a stream's finest step may be faster than its average and still be its rate


def probe_file(name: str) -> MediaFacts:
    """The facts of a file. Raises SourceError if it cannot be read."""
    with open_source(name) as source:
        return probe_source(source)


def facts_of(source: Source) -> MediaFacts | None:
    """The facts of a file; None for a stream, which leaves nothing to edit."""
    return None if is_stream(source.name) else probe_source(source)


def probe_source(source: Source) -> MediaFacts:
    """The facts of an opened file."""
    video, audio = source.video, source.audio
    origin, length = source.origin or 0.0, source.duration or 0.0
    path = str(Path(source.name).absolute())
    sound: dict[str, Any] = {}
    if audio is not None:
        sound = {"audio_rate": audio.codec_context.sample_rate, "channels": audio.codec_context.channels}
    if video is None:
        frames = round(length * _SOUND_ALONE)
        return MediaFacts(path, _SOUND_ALONE, frames=frames, **sound)
    rate, varies = _rate_of(video)
    tick = video.time_base or Fraction(0)
    lead = 0.0 if video.start_time is None else max(float(video.start_time * tick) - origin, 0.0)
    shown = float(video.duration * tick) if video.duration else length - lead
    counted = 0 if varies else video.frames
    return MediaFacts(
        path=path,
        rate=rate,
        frames=counted or max(round(shown * rate), 0),
        varies=varies,
        start_code=video.metadata.get("timecode") or source.container.metadata.get("timecode", ""),
        lead=round(lead, 6),
        width=video.codec_context.width,
        height=video.codec_context.height,
        **sound,
    )


def _rate_of(video: "VideoStream") -> tuple[Fraction, bool]:
    """The frames per second, and whether they vary. Containers of milliseconds give one near the true one."""
    average, finest = video.average_rate, video.guessed_rate or video.base_rate
    if average and (usual := _usual_rate(average)) is not None:
        return usual, False
    if not average:
        return (_usual_rate(finest) or finest, False) if finest else (_SOUND_ALONE, True)
    if finest and (usual := _usual_rate(finest)) is not None and average <= usual <= average * _FASTER:
        return usual, True
    if finest and abs(finest / average - 1) < _SAME_RATE:
        return average, False  # steady, at a rate of its own
    return min(_USUAL, key=lambda usual: abs(usual / average - 1)), True


def _usual_rate(rate: Fraction) -> Fraction | None:
    """The usual rate that this one is, within the rounding of time stamps."""
    nearest = min(_USUAL, key=lambda usual: abs(usual / rate - 1))
    return nearest if abs(nearest / rate - 1) < _SAME_RATE else None
