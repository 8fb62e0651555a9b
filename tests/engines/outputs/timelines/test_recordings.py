"""Recordings of any kind: sound or pictures alone, no highlight, a wrong header, a path of another system."""

import json
from dataclasses import replace
from fractions import Fraction
from xml.etree import ElementTree

import pytest
from support.editors import (
    auto_editor_spans,
    check_fcpxml,
    check_xmeml,
    edl_spans,
    fcpxml_spans,
    otio_spans,
    resolve_markers,
    xmeml_spans,
)

from kuaihl.engines.outputs.formats import FORMATS, remarks
from kuaihl.engines.outputs.highlights_json import HighlightsDocument, Report, build_document
from kuaihl.engines.outputs.timelines.timeline import build_timeline
from kuaihl.engines.types import Highlight, MediaFacts

PAL = Fraction(25)
SPANS = [(10.0, 30.0), (25.0, 40.0), (90.0, 100.0)]  # two overlap, and the last reaches the end
FRAMES = [(250, 750), (625, 1000), (2250, 2500)]
WHOLE = MediaFacts("/media/a.mp4", PAL, 2500, width=64, height=36, audio_rate=44100, channels=2)


def document_of(spans: list[tuple[float, float]], duration: float = 100.0) -> HighlightsDocument:
    highlights = [Highlight(start, end, 0.5, (0,), "words") for start, end in spans]
    return build_document(Report("a.mp4", duration, None, "edge", None, highlights))


def texts(media: MediaFacts, document: HighlightsDocument) -> dict[str, str]:
    timeline = build_timeline(document, media, "a")
    return {name: one.render(document, timeline) for name, one in FORMATS.items()}


def test_sound_alone_makes_tracks_of_sound_alone() -> None:
    text = texts(replace(WHOLE, width=0, height=0), document_of(SPANS))
    assert otio_spans(text["otio"], "Video") == xmeml_spans(text["xmeml"], "Video") == []
    assert otio_spans(text["otio"], "Audio") == xmeml_spans(text["xmeml"], "Audio")[:3] == FRAMES
    assert " AA " in text["edl"] and "AA/V" not in text["edl"]
    check_xmeml(text["xmeml"])
    check_fcpxml(text["fcpxml"])
    assert fcpxml_spans(text["fcpxml"]) == FRAMES and "hasVideo" not in text["fcpxml"]


def test_pictures_alone_make_no_track_of_sound() -> None:
    text = texts(replace(WHOLE, audio_rate=0, channels=0), document_of(SPANS))
    assert otio_spans(text["otio"], "Audio") == xmeml_spans(text["xmeml"], "Audio") == []
    assert otio_spans(text["otio"]) == xmeml_spans(text["xmeml"]) == edl_spans(text["edl"], PAL) == FRAMES
    assert " V " in text["edl"] and "hasAudio" not in text["fcpxml"]
    check_fcpxml(text["fcpxml"])


def test_no_highlight_makes_files_without_a_clip() -> None:
    text = texts(WHOLE, document_of([]))
    check_fcpxml(text["fcpxml"])
    check_xmeml(text["xmeml"])
    assert otio_spans(text["otio"]) == fcpxml_spans(text["fcpxml"]) == xmeml_spans(text["xmeml"]) == []
    assert resolve_markers(text["resolve"], PAL) == [] and "AX" not in text["edl"]
    assert auto_editor_spans(text["auto-editor"], WHOLE.path, 2500) == ([], PAL)
    assert json.loads(text["llc"])["cutSegments"] == [] and text["twitch"] == text["youtube"] == ""
    assert text["ffmetadata"].count("[CHAPTER]") == 1


def test_highlights_that_overlap_are_clips_of_their_own_but_one_chunk() -> None:
    text = texts(WHOLE, document_of(SPANS))
    assert otio_spans(text["otio"]) == FRAMES
    assert auto_editor_spans(text["auto-editor"], WHOLE.path, 2500)[0] == [(250, 1000), (2250, 2500)]


@pytest.mark.parametrize("frames", [0, 30, 2500, 9000])
def test_a_header_that_knows_less_than_was_scored_does_not_count(frames: int) -> None:
    timeline = build_timeline(document_of(SPANS), replace(WHOLE, frames=frames), "a")
    assert timeline.frames == max(frames, 2500)
    assert [(cut.first, cut.last) for cut in timeline.cuts] == FRAMES


def test_no_clip_reaches_beyond_the_last_frame() -> None:
    timeline = build_timeline(document_of([(90.0, 100.0), (99.9, 100.0)]), replace(WHOLE, frames=2490), "a")
    assert [(cut.first, cut.last) for cut in timeline.cuts] == [(2250, 2490)]


def test_a_picture_that_comes_late_is_the_editor_s_first_frame() -> None:
    timeline = build_timeline(document_of([(0.0, 20.0), (30.0, 40.0)]), replace(WHOLE, lead=2.0, frames=2450), "a")
    assert [(cut.first, cut.last) for cut in timeline.cuts] == [(0, 450), (700, 950)]
    assert [cut.start for cut in timeline.cuts] == [0.0, 30.0], "players count from the sound"


@pytest.mark.parametrize(
    ("path", "uri", "name"),
    [
        ("/media/my stream & more.mp4", "file:///media/my%20stream%20%26%20more.mp4", "my stream & more.mp4"),
        ("C:\\recordings\\a.mp4", "file:///C:/recordings/a.mp4", "a.mp4"),
        ("/媒体/直播.mp4", "file:///%E5%AA%92%E4%BD%93/%E7%9B%B4%E6%92%AD.mp4", "直播.mp4"),
        ("/media/caf\udce9.mp4", "file:///media/caf%E9.mp4", "caf\ufffd.mp4"),  # Latin-1 on a system of UTF-8
    ],
)
def test_the_recording_is_named_by_its_address(path: str, uri: str, name: str) -> None:
    text = texts(replace(WHOLE, path=path), document_of(SPANS))
    assert f'"target_url": "{uri}"' in text["otio"] and f'src="{uri}"' in text["fcpxml"]
    assert ElementTree.fromstring(text["xmeml"]).findtext(".//pathurl") == uri.replace("file://", "file://localhost")
    assert f"* FROM CLIP NAME: {name}" in text["edl"]


def test_a_varying_rate_is_told_where_frames_count() -> None:
    document, varying = document_of(SPANS), replace(WHOLE, varies=True)
    (line,) = remarks(document, ["csv", "edl", "llc", "otio"], build_timeline(document, varying, "a"))
    assert line == "the recording's frame rate varies: frames in edl, otio are counted by time, at 25 per second"
    assert not list(remarks(document, ["csv", "llc", "twitch"], build_timeline(document, varying, "a")))
