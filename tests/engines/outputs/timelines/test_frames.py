"""Every file for an editor names the very frames, at every rate, as another program reads it."""

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import opentimelineio as otio
import pytest
from support.editors import (
    auto_editor_spans,
    check_fcpxml,
    check_xmeml,
    edl_spans,
    fcpxml_spans,
    llc_segments,
    losslesscut_csv,
    otio_spans,
    resolve_markers,
    xmeml_spans,
)
from support.rated_media import NTSC, NTSC_FILM, NTSC_TWICE, PAL, frame_times, make_rated

from kuaihl.engines.datasets.cut_files import MediaClock, read_spans
from kuaihl.engines.ingest.media_facts import probe_file
from kuaihl.engines.outputs.formats import FORMATS, write_formats
from kuaihl.engines.outputs.highlights_json import HighlightsDocument, Report, build_document
from kuaihl.engines.outputs.timelines.timeline import Timeline, build_timeline
from kuaihl.engines.types import Highlight
from kuaihl.models.errors import UsageError


@dataclass(frozen=True)
class Case:
    """A recording, and the frames of its three highlights."""

    name: str
    rate: Fraction
    start_code: str = ""
    start_frame: int = 0  # of `start_code`
    varies: bool = False


CASES = [
    Case("film.mp4", NTSC_FILM),
    Case("film.mkv", NTSC_FILM),
    Case("pal.mp4", PAL),
    Case("pal.flv", PAL),
    Case("pal_coded.mov", PAL, "10:00:00:00", 900_000),
    Case("ntsc.mp4", NTSC),
    Case("ntsc.flv", NTSC),
    Case("ntsc.ts", NTSC),
    Case("ntsc_drop.mov", NTSC, "01:00:50;00", 107892 + 50 * 30),
    Case("ntsc_coded.mp4", NTSC, "01:00:50:00", 108000 + 50 * 30),
    Case("ntsc_coded.mkv", NTSC, "01:00:50;00", 107892 + 50 * 30),
    Case("twice.mkv", NTSC_TWICE),
    Case("twice.ts", NTSC_TWICE),
    Case("twice_drop.mov", NTSC_TWICE, "01:00:50;00", 2 * 107892 + 50 * 60),
    Case("vfr.mp4", Fraction(30), varies=True),
    Case("vfr.mkv", Fraction(30), varies=True),
]
SECONDS = 13.0  # those that begin at 0:50 pass a minute, where drop frame drops


@dataclass(frozen=True)
class Made:
    case: Case
    path: Path
    document: HighlightsDocument
    timeline: Timeline
    spans: list[tuple[int, int]]  # the frames that an editor must show

    def text(self, name: str) -> str:
        return FORMATS[name].render(self.document, self.timeline)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    case: Case = request.param
    path = tmp_path_factory.mktemp("rated") / case.name
    # Of every seven frames two are missing: most of a screen recording's frames are evenly spaced.
    kept = [number for number in range(round(SECONDS * 30)) if number % 7 not in (2, 3)] if case.varies else None
    make_rated(path, case.rate, seconds=SECONDS, start_code=case.start_code, kept=kept)
    times = frame_times(path)
    count = len(times)
    indices = [(0, count // 7), (count // 3, count // 2), (count // 2, count - 3)]
    # Between two frames an editor counts by time: where spacing varies, the place in time is the frame's number.
    spans = [(kept[first], kept[last]) if kept else (first, last) for first, last in indices]
    highlights = [Highlight(times[first], times[last], 0.5, (0,), "words") for first, last in indices]
    document = build_document(Report("x", times[-1], None, "edge", None, highlights))
    return Made(case, path, document, build_timeline(document, probe_file(str(path)), "show"), spans)


def test_opentimelineio_reads_the_frames_in_the_recording_s_true_range(made: Made) -> None:
    text = made.text("otio")
    assert otio_spans(text) == otio_spans(text, "Audio") == made.spans
    clip = next(iter(otio.adapters.read_from_string(text, "otio_json").find_clips()))
    media = clip.media_reference
    assert media.target_url == made.path.as_uri()
    assert media.available_range.start_time.value == made.case.start_frame
    assert media.available_range.start_time.rate == pytest.approx(float(made.case.rate), abs=1e-9)
    # Matroska and FLV state one length for all streams, and the sound is the longer one by a packet or two.
    assert media.available_range.duration.value == pytest.approx(SECONDS * float(made.case.rate), abs=3.0)


def test_opentimelineio_s_adapter_reads_the_edit_decision_list(made: Made) -> None:
    text = made.text("edl")
    assert edl_spans(text, made.case.rate, made.case.start_frame) == made.spans
    drops = ";" in made.case.start_code
    assert text.splitlines()[1] == ("FCM: DROP FRAME" if drops else "FCM: NON-DROP FRAME")
    assert (";" in text) == drops


def test_opentimelineio_s_adapter_reads_the_xml_of_final_cut_7(made: Made) -> None:
    text = made.text("xmeml")
    check_xmeml(text)
    assert xmeml_spans(text) == xmeml_spans(text, "Audio")[: len(made.spans)] == made.spans


def test_the_xml_of_final_cut_keeps_to_its_document_type(made: Made) -> None:
    text = made.text("fcpxml")
    check_fcpxml(text)
    assert fcpxml_spans(text) == made.spans
    assert f'src="{made.path.as_uri()}"' in text


def test_resolve_s_markers_stand_at_the_frames_of_the_whole_recording(made: Made) -> None:
    markers = resolve_markers(made.text("resolve"), made.case.rate)
    assert [(first, first + length) for first, length, *_ in markers] == made.spans
    assert [note for *_, note in markers] == ["“words”"] * 3


def test_auto_editor_keeps_the_frames_and_cuts_the_others(made: Made) -> None:
    kept, rate = auto_editor_spans(made.text("auto-editor"), str(made.path), made.timeline.frames)
    (first, second, third) = made.spans
    assert (kept, rate) == ([first, (second[0], third[1])], made.case.rate)  # the last two touch


def test_times_in_seconds_are_those_of_the_frames(made: Made) -> None:
    times = [(one["start"], one["end"]) for one in made.document["highlights"]]
    assert [one[:2] for one in llc_segments(made.text("llc"), made.path.name)] == times
    assert [one[:2] for one in losslesscut_csv(made.text("llc-csv"))] == times


def test_our_own_reader_of_cuts_finds_them_again(made: Made, tmp_path: Path) -> None:
    clock = MediaClock(float(made.case.rate), made.case.start_code)
    wanted = [(first / float(made.case.rate), last / float(made.case.rate)) for first, last in made.spans]
    for path in write_formats(made.document, ["edl", "otio"], tmp_path, made.timeline):
        found = [(span.start, span.end) for span in read_spans(path, clock)][: len(wanted)]
        assert found == [pytest.approx(span, abs=1e-6) for span in wanted], path.name
        assert path.name in ("highlights.edl", "highlights.otio")
    (path,) = write_formats(made.document, ["llc"], tmp_path, made.timeline)
    assert len(read_spans(path, clock)) == 3


def test_ffmpeg_reads_the_chapters(made: Made, tmp_path: Path) -> None:
    paths = write_formats(made.document, ["ffmetadata", "vtt-chapters"], tmp_path, made.timeline)
    metadata, cues = paths
    with av.open(str(metadata), format="ffmetadata") as container:
        found = [
            (float(one["start"] * one["time_base"]), float(one["end"] * one["time_base"]), one["metadata"]["title"])
            for one in container.chapters()
        ]
    assert found[0][0] == 0.0 and found[-1][1] == pytest.approx(made.timeline.duration, abs=1e-3)
    assert all(before[1] == after[0] for before, after in pairwise(found))
    titled = [start for start, _, title in found if title == "words"]
    assert titled == pytest.approx([max(one["start"], 0.0) for one in made.document["highlights"]], abs=0.03)
    with av.open(str(cues)) as container:
        starts = [float(packet.pts * packet.time_base) for packet in container.demux() if packet.size]
    assert starts == pytest.approx([start for start, *_ in found], abs=1e-3)


def test_a_recording_that_is_gone_or_was_never_a_file_has_no_frames(made: Made) -> None:
    unknown = replace(made.timeline, known=None)
    for name, one in FORMATS.items():
        if one.needs_media:
            with pytest.raises(UsageError, match="frames are unknown"):
                one.render(made.document, unknown)
        else:
            assert one.render(made.document, unknown) == made.text(name)
