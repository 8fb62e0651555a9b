"""What an editor must know of a recording, from its opened container: nothing is read or decoded for it."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuaihl.engines.ingest.opening import is_stream, open_source
from kuaihl.engines.ingest.source import Source
from kuaihl.engines.stores.urls import is_stored
from kuaihl.engines.types import MediaFacts
from kuaihl.models.credentials import shown_source

if TYPE_CHECKING:
    from av.video.stream import VideoStream

_WITHOUT_RATE = Fraction(25)  # frames per second in which the time of sound without pictures is counted
_SLOWEST, _FASTEST = 1, 1000
_NTSC = Fraction(1000, 1001)
_USUAL = (*map(Fraction, (24, 25, 30, 50, 60)), *(_NTSC * rate for rate in (24, 30, 60)))
_SAME_RATE = 0.0004  # 24 and 23.976 are 0.001 apart
# The share of its average that a stream's finest rate may be. An FLV without metadata has an average of whole
# milliseconds per frame, 62.5 for 59.94; a screen recording that leaves out frames has a low one.
_FINEST = (Fraction(19, 20), Fraction(3, 2))


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
    path = shown_source(source.name) if is_stored(source.name) else str(Path(source.name).absolute())
    sound: dict[str, Any] = {}
    if audio is not None:
        sound = {"audio_rate": audio.codec_context.sample_rate, "channels": audio.codec_context.channels}
    if video is None:
        frames = round(length * _WITHOUT_RATE)
        return MediaFacts(path, _WITHOUT_RATE, frames=frames, **sound)
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
        start_code=_start_code(video.metadata, source.container.metadata),
        lead=round(lead, 6),
        width=video.codec_context.width,
        height=video.codec_context.height,
        **sound,
    )


def _start_code(*tags: Mapping[str, str]) -> str:
    """The first time code among the tags of stream and container; Matroska writes their names in capitals."""
    codes = (value for one in tags for name, value in one.items() if name.lower() == "timecode")
    return next(codes, "")


def _rate_of(video: "VideoStream") -> tuple[Fraction, bool]:
    """The frames per second, and whether they vary. Containers of milliseconds give one near the true one."""
    average, finest = video.average_rate, video.guessed_rate
    if not average or not _SLOWEST <= average <= _FASTEST:
        return _WITHOUT_RATE, True
    if (usual := _usual_rate(average)) is not None:
        return usual, False
    least, most = (average * share for share in _FINEST)
    if finest and (usual := _usual_rate(finest)) is not None and least <= usual <= most:
        return usual, average < usual
    return min(_USUAL, key=lambda usual: abs(usual / average - 1)), True


def _usual_rate(rate: Fraction) -> Fraction | None:
    """The whole rate or its NTSC variant that this one is, within the rounding of time stamps; None if neither."""
    whole = max(round(rate), 1)
    return next((one for one in (Fraction(whole), whole * _NTSC) if abs(one / rate - 1) < _SAME_RATE), None)
