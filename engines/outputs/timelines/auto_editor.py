"""highlights.v1: a timeline for auto-editor, version 1: the whole recording in chunks that are kept or cut out."""

import json

from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.engines.outputs.timelines.timeline import Timeline

_KEPT, _CUT_OUT = 1.0, 99999.0  # speeds


def render(_: HighlightsDocument, timeline: Timeline) -> str:
    """Chunks `[first frame, frame after the last, speed]` without a hole; highlights that overlap are one."""
    chunks: list[list[float]] = []
    at = 0
    for cut in timeline.cuts:
        if cut.first > at:
            chunks.append([at, cut.first, _CUT_OUT])
            at = cut.first
        if cut.last > at:
            if chunks and chunks[-1][2] == _KEPT:
                chunks[-1][1] = cut.last
            else:
                chunks.append([at, cut.last, _KEPT])
            at = cut.last
    if timeline.frames > at:
        chunks.append([at, timeline.frames, _CUT_OUT])
    rate = timeline.rate
    told = {"version": "1", "source": timeline.media.path, "timebase": f"{rate.numerator}/{rate.denominator}"}
    return json.dumps(told | {"chunks": chunks}, ensure_ascii=False) + "\n"
