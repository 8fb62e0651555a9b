"""highlights.xml: Final Cut Pro 7 XML (xmeml 4), which Premiere Pro, DaVinci Resolve and others read.

Times are frames. A clip's in and out count from the recording's first frame; its time code stands with the file.
"""

from xml.etree.ElementTree import Element, SubElement

from kuaihl.engines.outputs.highlights_json import HighlightsDocument
from kuaihl.engines.outputs.timelines.locations import file_uri
from kuaihl.engines.outputs.timelines.smpte import nominal_rate
from kuaihl.engines.outputs.timelines.timeline import Cut, Timeline
from kuaihl.engines.outputs.timelines.xml_text import to_text

_FILE = "file-1"
_MOST_CHANNELS = 2  # tracks of sound; an editor maps the others itself


def render(_: HighlightsDocument, timeline: Timeline) -> str:
    """A sequence of the highlights one after the other: a track of pictures, and one per channel of sound."""
    media, offsets = timeline.media, timeline.offsets()
    root = Element("xmeml", version="4")
    sequence = SubElement(root, "sequence", id="sequence-1")
    _text(sequence, "name", f"{timeline.name} highlights")
    _text(sequence, "duration", offsets[-1])
    _rate(sequence, timeline)
    _time_code(sequence, timeline, timeline.record_start)
    tracks = SubElement(sequence, "media")
    video = SubElement(tracks, "video")
    _characteristics(SubElement(video, "format"), timeline)
    audio = SubElement(tracks, "audio")
    kinds = [("video", 1)] * media.has_video
    kinds += [("audio", number) for number in range(1, min(media.channels, _MOST_CHANNELS) + 1)]
    named = False  # the file is described once, and then named by its id
    for kind, number in kinds:
        track = SubElement(video if kind == "video" else audio, "track")
        for index, (cut, offset) in enumerate(zip(timeline.cuts, offsets, strict=False), start=1):
            item = _clip_item(track, cut, offset, f"clip-{index}-{kind}-{number}", timeline)
            file = SubElement(item, "file", id=_FILE)
            if not named:
                _describe_file(file, timeline)
                named = True
            source = SubElement(item, "sourcetrack")
            _text(source, "mediatype", kind)
            _text(source, "trackindex", number)
            for other, place in kinds if len(kinds) > 1 else ():
                link = SubElement(item, "link")
                _text(link, "linkclipref", f"clip-{index}-{other}-{place}")
                _text(link, "mediatype", other)
                _text(link, "trackindex", place)
                _text(link, "clipindex", index)
            if (kind, number) == kinds[0]:
                _marker(item, cut)
        if kind == "audio":
            _text(track, "outputchannelindex", number)
    return to_text(root)


def _clip_item(track: Element, cut: Cut, offset: int, name: str, timeline: Timeline) -> Element:
    item = SubElement(track, "clipitem", id=name)
    _text(item, "name", cut.title)
    _text(item, "enabled", "TRUE")
    _text(item, "duration", timeline.frames)
    _rate(item, timeline)
    _text(item, "start", offset)
    _text(item, "end", offset + cut.frames)
    _text(item, "in", cut.first)
    _text(item, "out", cut.last)
    return item


def _describe_file(file: Element, timeline: Timeline) -> None:
    media = timeline.media
    _text(file, "name", timeline.file_name)
    _text(file, "pathurl", file_uri(timeline.file, "localhost"))
    _rate(file, timeline)
    _text(file, "duration", timeline.frames)
    _time_code(file, timeline, timeline.start_frame)
    tracks = SubElement(file, "media")
    if media.has_video:
        _characteristics(SubElement(tracks, "video"), timeline)
    if media.channels:
        audio = SubElement(tracks, "audio")
        sound = SubElement(audio, "samplecharacteristics")
        _text(sound, "samplerate", media.audio_rate)
        _text(sound, "depth", 16)
        _text(audio, "channelcount", media.channels)


def _characteristics(parent: Element, timeline: Timeline) -> None:
    picture = SubElement(parent, "samplecharacteristics")
    _rate(picture, timeline)
    if timeline.media.has_video:
        _text(picture, "width", timeline.media.width)
        _text(picture, "height", timeline.media.height)


def _marker(item: Element, cut: Cut) -> None:
    """At the clip's first frame; -1 stands for a marker without a length."""
    marker = SubElement(item, "marker")
    _text(marker, "name", cut.label)
    _text(marker, "comment", cut.note)
    _text(marker, "in", cut.first)
    _text(marker, "out", -1)


def _time_code(parent: Element, timeline: Timeline, frame: int) -> None:
    code = SubElement(parent, "timecode")
    _rate(code, timeline)
    _text(code, "string", timeline.code(frame))
    _text(code, "frame", frame)
    _text(code, "displayformat", "DF" if timeline.drops else "NDF")


def _rate(parent: Element, timeline: Timeline) -> None:
    """`30` and NTSC for 29.97."""
    rate = SubElement(parent, "rate")
    _text(rate, "timebase", nominal_rate(timeline.rate))
    _text(rate, "ntsc", "TRUE" if timeline.rate.denominator == 1001 else "FALSE")


def _text(parent: Element, tag: str, value: str | int) -> None:
    SubElement(parent, tag).text = str(value)
