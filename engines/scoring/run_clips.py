"""The clips of a run that are cut while its stream is on air."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from kuaihl.engines.highlights.live_clips import LiveClips
from kuaihl.engines.highlights.online import HighlightClosed, HighlightEvent, OnlineDetector
from kuaihl.engines.highlights.packet_ring import PacketRing
from kuaihl.engines.outputs.highlights_json import parse_live_clips
from kuaihl.engines.outputs.run_folder import CLIPS_FOLDER, read_highlights
from kuaihl.engines.scoring.conclude import clip_line
from kuaihl.engines.scoring.settings import ScoreSettings
from kuaihl.engines.types import ScoredSegment
from kuaihl.models.atomic import remove_torn

_CUTTING = 1.0  # seconds of media that pass while a clip is cut, at most


def open_live_clips(
    ring: PacketRing,
    output: Path,
    stem: str,
    settings: ScoreSettings,
    *,
    goes_on: bool,
    report: Callable[[str], None],
) -> LiveClips:
    """The cutting of clips into the run folder `output`, after those of an earlier run if this one `goes_on`."""
    folder = output / CLIPS_FOLDER
    remove_torn(folder)
    return LiveClips(
        ring,
        folder,
        stem,
        settings.clip_name,
        settings.padding,
        parse_live_clips(read_highlights(output), output) if goes_on else [],
        lambda highlight, said: report(clip_line(highlight, said)),
    )


def cut_missed(
    clips: LiveClips,
    closed: Sequence[HighlightClosed],
    last: ScoredSegment,
    settings: ScoreSettings,
    segment_seconds: float,
) -> None:
    """Note, or have cut, the clips of a killed run that highlights.json may lack; `last` is its last segment.

    A clip waits for its padding, and is noted with the next segment.
    """
    waited = math.ceil((settings.padding[1] + _CUTTING) / segment_seconds)  # segments
    clips.go_on([one.highlight for one in closed if one.segment >= last.segment - waited - 1])


def cut_closed(
    clips: LiveClips, changes: Sequence[HighlightEvent], detector: OnlineDetector, end: float | None
) -> None:
    """Have the highlights cut that have just closed, and forget the media that none can need any more.

    `end` is that of the last segment in seconds; None before the first one.
    """
    clips.cut([one.highlight for one in changes if isinstance(one, HighlightClosed)])
    if end is not None:
        current = detector.state.current
        clips.release(end if current is None else current.start)
