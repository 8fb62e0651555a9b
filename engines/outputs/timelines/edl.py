"""highlights.edl: an edit decision list, CMX 3600: the highlights cut one after the other. Out points are exclusive."""

from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.engines.outputs.timelines.timeline import Timeline

_REEL = "AX"  # the usual name of a reel that is a file


def render(_: HighlightsDocument, timeline: Timeline) -> str:
    """One event per highlight; the record side begins at 01:00:00:00."""
    media, offsets = timeline.media, timeline.offsets()
    channels = "/".join(["AA"] * (media.channels > 0) + ["V"] * media.has_video)
    lines = [*edl_head(timeline), ""]
    for number, (cut, offset) in enumerate(zip(timeline.cuts, offsets, strict=False), start=1):
        source = [timeline.code(timeline.start_frame + frame) for frame in (cut.first, cut.last)]
        record = [timeline.code(timeline.record_start + frame) for frame in (offset, offset + cut.frames)]
        lines += [
            f"{number:03}  {_REEL:8} {channels:5} C        {' '.join([*source, *record])}",
            f"* FROM CLIP NAME: {timeline.file_name}",
            f"* LOC: {record[0]} BLUE    {cut.title}",
            "",
        ]
    return "\n".join(lines)


def edl_head(timeline: Timeline) -> list[str]:
    """The title and the way of counting frames."""
    return [f"TITLE: {timeline.name}", f"FCM: {'' if timeline.drops else 'NON-'}DROP FRAME"]
