"""highlights.otio: an OpenTimelineIO timeline of the highlights, one clip after the other, with a marker each."""

from typing import TYPE_CHECKING, Any

from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.engines.outputs.timelines.locations import file_uri
from kuaihl.engines.outputs.timelines.timeline import Cut, Timeline

if TYPE_CHECKING:
    import opentimelineio as otio


def render(document: HighlightsDocument, timeline: Timeline) -> str:
    """The timeline: a track of pictures and one of sound, as far as the recording has them.

    A clip's source range lies in the available range of the recording, which begins at its time code.
    """
    import opentimelineio as otio

    kinds = [otio.schema.TrackKind.Video] * timeline.media.has_video
    kinds += [otio.schema.TrackKind.Audio] * (timeline.media.channels > 0)
    edited = otio.schema.Timeline(timeline.name, metadata={"kuaihl": {"model": document["model"]["name"]}})
    edited.tracks.extend(
        otio.schema.Track(str(kind), kind=kind, children=[_clip_of(cut, timeline) for cut in timeline.cuts])
        for kind in kinds
    )
    return str(otio.adapters.write_to_string(edited, "otio_json")) + "\n"


def _clip_of(cut: Cut, timeline: Timeline) -> "otio.schema.Clip":
    import opentimelineio as otio

    media = otio.schema.ExternalReference(file_uri(timeline.file), _range_of(0, timeline.frames, timeline))
    media.name = timeline.file_name
    span = _range_of(cut.first, cut.frames, timeline)
    marker = otio.schema.Marker(cut.label, span, otio.schema.MarkerColor.BLUE, comment=cut.note)
    told = {"rank": cut.entry["rank"], "score": cut.entry["score"], "start": cut.start, "end": cut.end}
    return otio.schema.Clip(cut.title, media, span, metadata={"kuaihl": told}, markers=[marker])


def _range_of(first: int, frames: int, timeline: Timeline) -> Any:
    """A span of the recording's frames, numbered by its time code."""
    import opentimelineio as otio

    rate = float(timeline.rate)
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(timeline.start_frame + first, rate), otio.opentime.RationalTime(frames, rate)
    )
