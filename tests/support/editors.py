"""What other programs read from the files that kuaihl writes for them, as spans of the recording's frames.

OpenTimelineIO and its adapters read for themselves. The rules of programs that cannot run here are written down from
their sources: LosslessCut (edlFormats.ts, cmx3600.ts, types.ts), auto-editor (imports/json.nim), the readers
of Twitch's CSV.
"""

import csv
import io
import json
import re
from fractions import Fraction
from itertools import pairwise
from xml.etree import ElementTree

import opentimelineio as otio

Spans = list[tuple[int, int]]


def frame_of_code(code: str, rate: Fraction) -> int:
    """The frame number of a time code, by OpenTimelineIO."""
    return int(otio.opentime.from_timecode(code, float(rate)).value)


def _clip_spans(timeline: "otio.schema.Timeline", kind: str = "Video") -> Spans:
    spans = []
    for track in timeline.tracks:
        if track.kind == kind:
            at = 0
            for clip in track:
                assert isinstance(clip, otio.schema.Clip), "clips stand back to back: LosslessCut takes no gap"
                media, span = clip.media_reference.available_range, clip.source_range
                placed = clip.range_in_parent()
                assert placed.start_time.to_frames() == at
                at += span.duration.to_frames()
                begin = 0 if media is None else media.start_time.to_frames()
                if media is not None:
                    assert media.start_time <= span.start_time
                    assert span.end_time_exclusive() <= media.end_time_exclusive()
                first = span.start_time.to_frames() - begin
                spans.append((first, first + span.duration.to_frames()))
    return spans


def otio_spans(text: str, kind: str = "Video") -> Spans:
    return _clip_spans(otio.adapters.read_from_string(text, "otio_json"), kind)


def edl_spans(text: str, rate: Fraction, start_frame: int = 0) -> Spans:
    """By OTIO's adapter; it checks the record side against the source side."""
    if "001 " not in text:
        return []
    timeline = otio.adapters.read_from_string(text, "cmx_3600", rate=float(rate))
    return [(first - start_frame, last - start_frame) for first, last in _clip_spans(timeline)]


def xmeml_spans(text: str, kind: str = "Video") -> Spans:
    """By OTIO's adapter."""
    return _clip_spans(otio.adapters.read_from_string(text, "fcp_xml"), kind)


def fcpxml_spans(text: str) -> Spans:
    """As LosslessCut reads it: every time is `number/numbers`; here against the asset's start, in whole frames."""
    root = ElementTree.fromstring(text)
    frame = _fcp_seconds(root.find("resources/format").attrib["frameDuration"])  # type: ignore[union-attr]
    asset = root.find("resources/asset")
    assert asset is not None
    begin, length = _fcp_seconds(asset.attrib["start"]), _fcp_seconds(asset.attrib["duration"])
    sequence = root.find("library/event/project/sequence")
    assert sequence is not None
    spans, at = [], _fcp_seconds(sequence.attrib["tcStart"])
    for clip in sequence.iterfind("spine/asset-clip"):
        start, duration, offset = (_fcp_seconds(clip.attrib[name]) for name in ("start", "duration", "offset"))
        assert offset == at, "clips stand back to back"
        at += duration
        assert begin <= start and start + duration <= begin + length
        first, count = (start - begin) / frame, duration / frame
        assert first.denominator == count.denominator == 1, "whole frames"
        spans.append((int(first), int(first + count)))
    assert at - _fcp_seconds(sequence.attrib["tcStart"]) == _fcp_seconds(sequence.attrib["duration"])
    return spans


def _fcp_seconds(text: str) -> Fraction:
    match = re.fullmatch(r"(\d+)/(\d+)s", text)
    assert match, text
    return Fraction(int(match[1]), int(match[2]))


def resolve_markers(text: str, rate: Fraction) -> list[tuple[int, int, str, str]]:
    """Frame from 01:00:00:00, length, name and note of every marker."""
    lines = text.splitlines()
    drop = lines[1] == "FCM: DROP FRAME"
    start = frame_of_code("01:00:00;00" if drop else "01:00:00:00", rate)
    markers = []
    for line, under in pairwise(lines):
        # As LosslessCut finds events; a line of words must not be one.
        if re.match(r"\d+\s+", line) and len(parts := line.split()) >= 8:
            assert len(parts) == 8 and parts[4:6] == parts[6:8]
            first, last = (frame_of_code(code, rate) - start for code in parts[4:6])
            assert last == first + 1
            match = re.fullmatch(r"(.*) \|C:ResolveColor[A-Z]\w+ \|M:([^|]*) \|D:(\d+)", under)
            assert match, under
            markers.append((first, int(match[3]), match[2], match[1]))
    return markers


def llc_segments(text: str, file_name: str) -> list[tuple[float, float, str]]:
    """LosslessCut's schema of a project, version 2."""
    project = json.loads(text)
    assert project["version"] == 2 and project["mediaFileName"] == file_name
    for one in project["cutSegments"]:
        assert set(one) <= {"start", "end", "name", "tags", "selected"}
        assert isinstance(one["name"], str) and all(isinstance(value, str) for value in one["tags"].values())
        assert 0 <= one["start"] < one["end"]
    return [(one["start"], one["end"], one["name"]) for one in project["cutSegments"]]


def losslesscut_csv(text: str) -> list[tuple[float, float, str]]:
    """Three columns without a header; a time is read by its regular expression."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    for row in rows:
        assert len(row) == 3 and all(re.fullmatch(r"\d+\.\d{1,3}", cell) for cell in row[:2])
    return [(float(start), float(end), name) for start, end, name in rows]


def auto_editor_spans(text: str, source: str, frames: int) -> tuple[Spans, Fraction]:
    """The kept chunks and the rate; it refuses holes and chunks without a frame."""
    said = json.loads(text)
    assert said["version"] == "1" and said["source"] == source
    at, kept = 0, []
    for chunk in said["chunks"]:
        first, last, speed = chunk
        assert isinstance(first, int) and isinstance(last, int) and first == at < last
        at = last
        if speed == 1.0:
            kept.append((first, last))
        else:
            assert speed == 99999.0
    assert at == frames
    return kept, Fraction(said["timebase"])


def youtube_chapters(text: str, duration: float) -> list[tuple[int, str]]:
    """The lines, by YouTube's rules: the first at 0:00, 10 s each at least, and at least three."""
    chapters = []
    for line in text.splitlines():
        match = re.fullmatch(r"(?:(\d+):)?(\d{1,2}):(\d\d) (.+)", line)
        assert match, line
        assert "<" not in match[4] and ">" not in match[4]
        chapters.append((int(match[1] or 0) * 3600 + int(match[2]) * 60 + int(match[3]), match[4]))
    starts = [start for start, _ in chapters]
    assert not chapters or (starts[0] == 0 and len(chapters) >= 3)
    assert all(after - before >= 10 for before, after in pairwise([*starts, duration]))
    return chapters


def twitch_markers(text: str) -> list[tuple[int, str]]:
    """Four columns without a header, the time in three parts."""
    markers = []
    for row in csv.reader(io.StringIO(text, newline="")):
        assert len(row) == 4 and len(row[3]) <= 141
        hours, minutes, seconds = map(int, row[0].split(":"))
        markers.append((hours * 3600 + minutes * 60 + seconds, row[3]))
    return markers


# Of the FCPXML 1.10 document type, the elements that kuaihl writes: their children in order, their attributes.
_FCPXML = {
    "fcpxml": (r"(resources )(library )", {"version"}, set()),
    "resources": (r"(format |asset )*", set(), set()),
    "format": (r"", {"id"}, {"name", "frameDuration", "width", "height"}),
    "asset": (
        r"(media-rep )+",
        {"id"},
        {"name", "start", "duration", "hasVideo", "format", "hasAudio", "videoSources", "audioSources",
         "audioChannels", "audioRate"},
    ),
    "media-rep": (r"", {"src"}, {"kind"}),
    "library": (r"(event )*", set(), set()),
    "event": (r"(project )*", set(), {"name"}),
    "project": (r"(sequence )", set(), {"name"}),
    "sequence": (r"(spine )", {"format"}, {"duration", "tcStart", "tcFormat", "audioLayout", "audioRate"}),
    "spine": (r"(asset-clip )*", set(), set()),
    "asset-clip": (r"(marker )*", {"ref"}, {"offset", "name", "start", "duration", "tcFormat"}),
    "marker": (r"", {"start", "value"}, {"duration", "note"}),
}  # fmt: skip
_FCPXML_VALUES = {
    "version": {"1.10"}, "tcFormat": {"DF", "NDF"}, "audioLayout": {"mono", "stereo", "surround"},
    "kind": {"original-media", "proxy-media"},
}  # fmt: skip
_SEQUENCE_RATES = {"32k", "44.1k", "48k", "88.2k", "96k", "176.4k", "192k"}


def check_fcpxml(text: str) -> None:
    """The rules of Apple's document type for FCPXML 1.10, of which the text is Apple's: Final Cut refuses any other."""
    root = ElementTree.fromstring(text)
    names = {one.attrib["id"] for one in root.iter() if "id" in one.attrib}
    for one in root.iter():
        children, required, optional = _FCPXML[one.tag]
        assert re.fullmatch(children, "".join(f"{child.tag} " for child in one)), one.tag
        assert required <= set(one.attrib) <= required | optional, one.tag
        assert not (one.text or "").strip()
        for name, value in one.attrib.items():
            assert value in _FCPXML_VALUES.get(name, {value}), (name, value)
        for reference in ("ref", "format"):
            assert one.attrib.get(reference, "r1") in names
    sequence = root.find("library/event/project/sequence")
    assert sequence is not None and sequence.attrib["audioRate"] in _SEQUENCE_RATES


# Of Apple's element catalogue for xmeml, the elements that kuaihl writes, with those that each must and may hold.
_RATE = ({"timebase", "ntsc"}, set[str]())
_XMEML: dict[str, tuple[set[str], set[str]]] = {
    "xmeml": (set(), {"sequence"}),
    "sequence": ({"name", "duration", "rate"}, {"timecode", "media"}),
    "rate": _RATE,
    "timecode": ({"rate", "string", "frame", "displayformat"}, set()),
    "media": (set(), {"video", "audio"}),
    "video": (set(), {"format", "track", "samplecharacteristics"}),
    "audio": (set(), {"track", "samplecharacteristics", "channelcount"}),
    "format": ({"samplecharacteristics"}, set()),
    "samplecharacteristics": (set(), {"rate", "width", "height", "samplerate", "depth"}),
    "track": (set(), {"clipitem", "outputchannelindex"}),
    "clipitem": ({"name", "duration", "rate", "start", "end", "in", "out", "file", "sourcetrack"},
                 {"enabled", "link", "marker"}),
    "file": (set(), {"name", "pathurl", "rate", "duration", "timecode", "media"}),
    "sourcetrack": ({"mediatype", "trackindex"}, set()),
    "link": ({"linkclipref", "mediatype", "trackindex", "clipindex"}, set()),
    "marker": ({"name", "in", "out"}, {"comment"}),
}  # fmt: skip


def check_xmeml(text: str) -> None:
    """The rules of Apple's element catalogue; links name clips that exist, and the file is described once."""
    root = ElementTree.fromstring(text)
    assert root.tag == "xmeml" and root.attrib == {"version": "4"}
    clips = [one.attrib["id"] for one in root.iter("clipitem")]
    assert len(clips) == len(set(clips))
    assert {one.text for one in root.iter("linkclipref")} <= set(clips)
    assert sum(1 for one in root.iter("pathurl")) == bool(clips)
    for one in root.iter():
        if one.tag in _XMEML and len(one):
            required, optional = _XMEML[one.tag]
            children = {child.tag for child in one}
            assert required <= children <= required | optional, (one.tag, children)
        elif one.tag not in _XMEML:
            assert not len(one), one.tag
    assert {one.text for one in root.iter("ntsc")} <= {"TRUE", "FALSE"}
    assert {one.text for one in root.iter("displayformat")} <= {"DF", "NDF"}
