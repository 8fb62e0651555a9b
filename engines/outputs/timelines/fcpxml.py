"""highlights.fcpxml: Final Cut Pro XML 1.10, which Final Cut Pro and DaVinci Resolve read.

A time is a fraction of a second, always with its denominator, and a whole number of frames.
"""

from xml.etree.ElementTree import Element, SubElement

from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.engines.outputs.timelines.locations import file_uri
from kuaihl.engines.outputs.timelines.timeline import Timeline
from kuaihl.engines.outputs.timelines.xml_text import to_text

_VERSION = "1.10"
# The sample rates that a sequence may have.
_RATES = {32000: "32k", 44100: "44.1k", 48000: "48k", 88200: "88.2k", 96000: "96k", 176400: "176.4k", 192000: "192k"}
_WITHOUT_PICTURE = (1920, 1080)  # a sequence has a size in any case


def render(_: HighlightsDocument, timeline: Timeline) -> str:
    """A project whose spine is the highlights one after the other, with a marker each."""
    media, code = timeline.media, "DF" if timeline.drops else "NDF"
    root = Element("fcpxml", version=_VERSION)
    resources = SubElement(root, "resources")
    width, height = (media.width, media.height) if media.has_video else _WITHOUT_PICTURE
    SubElement(resources, "format", id="r1", frameDuration=_seconds(1, timeline), width=str(width), height=str(height))
    asset = SubElement(
        resources,
        "asset",
        id="r2",
        name=timeline.file_name,
        start=_seconds(timeline.start_frame, timeline),
        duration=_seconds(timeline.frames, timeline),
    )
    if media.has_video:
        asset.attrib |= {"hasVideo": "1", "format": "r1", "videoSources": "1"}
    if media.channels:
        asset.attrib |= {"hasAudio": "1", "audioSources": "1", "audioChannels": str(media.channels)}
        asset.attrib |= {"audioRate": str(media.audio_rate)}
    SubElement(asset, "media-rep", kind="original-media", src=file_uri(timeline.file))
    event = SubElement(SubElement(root, "library"), "event", name=timeline.name)
    project = SubElement(event, "project", name=f"{timeline.name} highlights")
    offsets = timeline.offsets()
    sequence = SubElement(
        project,
        "sequence",
        format="r1",
        duration=_seconds(offsets[-1], timeline),
        tcStart=_seconds(timeline.record_start, timeline),
        tcFormat=code,
        audioLayout="mono" if media.channels == 1 else "stereo",
        audioRate=_RATES.get(media.audio_rate, "48k"),
    )
    spine = SubElement(sequence, "spine")
    for cut, offset in zip(timeline.cuts, offsets, strict=False):
        start = _seconds(timeline.start_frame + cut.first, timeline)
        clip = SubElement(
            spine,
            "asset-clip",
            ref="r2",
            offset=_seconds(timeline.record_start + offset, timeline),
            name=cut.title,
            start=start,
            duration=_seconds(cut.frames, timeline),
            tcFormat=code,
        )
        marker = SubElement(clip, "marker", start=start, duration=_seconds(1, timeline), value=cut.label)
        if cut.note:
            marker.set("note", cut.note)
    return to_text(root)


def _seconds(frames: int, timeline: Timeline) -> str:
    """The time of a number of frames: `1001/30000s` for one at 29.97."""
    return f"{frames * timeline.rate.denominator}/{timeline.rate.numerator}s"
