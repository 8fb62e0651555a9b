"""Files of editors are read as the spans that were kept, and whatever is no span is told with its line."""

from pathlib import Path

import pytest

from kuaihl.engines.datasets.cut_files import MediaClock, read_spans, time_code_seconds
from kuaihl.models.errors import DataError

AT_25 = MediaClock(25.0)

EDL = """TITLE: best of
FCM: NON-DROP FRAME

001  AX       V     C        00:00:30:00 00:01:00:00 00:00:00:00 00:00:30:00
* FROM CLIP NAME: demo.flv
002  BL       V     C        00:00:00:00 00:00:02:00 00:00:30:00 00:00:32:00
003  AX       V     D    025 00:02:00:05 00:02:10:00 00:00:32:00 00:00:41:20
"""
MARKERS = """TITLE: markers
001  001      V     C        01:00:20:00 01:00:20:01 01:00:20:00 01:00:20:01
 |C:ResolveColorBlue |M:a goal |D:250
"""
LLC = """{
  version: 2,
  mediaFileName: 'demo.flv',
  cutSegments: [
    { start: 30, end: 60.5, name: 'good' },
    { end: 10, name: 'from the beginning', },
    { start: 90, end: 100, name: 'not taken', selected: false },
    { start: 200, name: 'a marker' },
  ],
}"""
FFMETADATA = """;FFMETADATA1
title=a broadcast
[CHAPTER]
TIMEBASE=1/1000
START=30000
END=60000
title=goal
[STREAM]
title=sound
[CHAPTER]
START=120000000000
END=130000000000
"""


def otio(rate: float = 25.0, available: str = "") -> str:
    """A timeline of one clip, 250 frames from frame 750 of the media."""
    return f"""{{"OTIO_SCHEMA": "Timeline.1", "name": "t", "tracks": {{"OTIO_SCHEMA": "Stack.1", "children": [
        {{"OTIO_SCHEMA": "Track.1", "kind": "Video", "children": [
            {{"OTIO_SCHEMA": "Gap.1", "source_range": {time_range(0, 10, rate)}}},
            {{"OTIO_SCHEMA": "Clip.1", "name": "good", "source_range": {time_range(750, 250, rate)},
              "media_reference": {{"OTIO_SCHEMA": "ExternalReference.1", "target_url": "file:///a/demo.flv"{available}}}
            }}]}}]}}}}"""


def time_range(start: float, duration: float, rate: float = 25.0) -> str:
    times = (f'{{"OTIO_SCHEMA": "RationalTime.1", "rate": {rate}, "value": {value}}}' for value in (start, duration))
    return '{{"OTIO_SCHEMA": "TimeRange.1", "start_time": {}, "duration": {}}}'.format(*times)


def spans(folder: Path, name: str, text: str, clock: MediaClock = AT_25) -> list[tuple[float, float | None, str]]:
    file = folder / name
    file.write_text(text)
    return [(span.start, span.end, span.name) for span in read_spans(file, clock)]


def test_an_edl_gives_the_sources_in_and_out_of_each_event(tmp_path: Path) -> None:
    assert spans(tmp_path, "a.edl", EDL) == [(30.0, 60.0, "demo.flv"), (120.2, 130.0, "")]


def test_resolve_markers_are_as_long_as_they_say_from_the_timelines_start(tmp_path: Path) -> None:
    clock = MediaClock(25.0, "01:00:00:00")
    assert spans(tmp_path, "a.edl", MARKERS, clock) == [(20.0, 30.0, "a goal")]


def test_losslesscut_projects_leave_out_what_is_not_selected_and_markers(tmp_path: Path) -> None:
    assert spans(tmp_path, "a-proj.llc", LLC) == [(30.0, 60.5, "good"), (0.0, 10.0, "from the beginning")]


@pytest.mark.parametrize(
    "text",
    [
        ',10,"first"\n70,842.33,"another, quoted"\n1234,,marker\n',  # as LosslessCut writes it
        'start,end,name\n0,0:10,first\n1:10,00:14:02.33,"another, quoted"\n',
        "name;end;start\nfirst;10;\nanother, quoted;842.33;00:01:10:00\n",
        "start\tend\tname\n\n# mine\n0\t10\tfirst\n70\t842.33\tanother, quoted\n",
    ],
)
def test_spans_come_from_tables_of_seconds_or_time_codes(tmp_path: Path, text: str) -> None:
    assert spans(tmp_path, "a.csv", text) == [(0.0, 10.0, "first"), (70.0, 842.33, "another, quoted")]


def test_ffmpegs_metadata_has_chapters_in_units_of_their_own(tmp_path: Path) -> None:
    assert spans(tmp_path, "a.ffmetadata", FFMETADATA) == [(30.0, 60.0, "goal"), (120.0, 130.0, "")]


def test_lines_of_chapters_last_until_the_next(tmp_path: Path) -> None:
    text = "0:00 hello\n1:30 a goal\n1:02:03 the end\n"
    assert spans(tmp_path, "a.chapters.txt", text) == [(0.0, None, "hello"), (90.0, None, "a goal"),
                                                       (3723.0, None, "the end")]  # fmt: skip


def test_otio_clips_are_on_the_medias_clock(tmp_path: Path) -> None:
    assert spans(tmp_path, "a.otio", otio()) == [(30.0, 40.0, "good")]
    available = f', "available_range": {time_range(500, 5000)}'  # the media begins at frame 500
    assert spans(tmp_path, "a.otio", otio(available=available)) == [(10.0, 20.0, "good")]


@pytest.mark.parametrize(
    ("text", "rate", "seconds"),
    [
        ("00:01:00:12", 25.0, 60.48),
        ("01:00:00:00", 30000 / 1001, 3603.6),  # without drop-frame, an hour of code is longer
        ("01:00:00;00", 30000 / 1001, 3599.9964),  # 107,892 frames
        ("00:01:00;02", 30000 / 1001, 60.06),  # the frame after 00:00:59;29 is the 1,800th
        ("00:10:00;00", 60000 / 1001, 599.9994),  # 35,964 frames
    ],
)
def test_time_codes_count_frames(text: str, rate: float, seconds: float) -> None:
    assert time_code_seconds(text, rate) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.edl", "", "no cuts in it"),
        ("a.edl", "TITLE: x\nsome words\n", "no cuts in it"),
        ("a.edl", "10.5 20.5 3\n", "line 1: not an event"),  # MPlayer's list, of what to skip
        ("a.edl", EDL.replace("00:01:00:00 00:00:00:00", "00:01:00:29 00:00:00:00"), "line 4: 00:01:00:29 is no time"),
        ("a.edl", EDL.replace("00:01:00:00", "00:00:10:00", 1), "line 4: a cut from 30 to 10 s"),
        ("a.edl", MARKERS.replace("250", "999999999"), "line 2: a cut from 3620"),
        ("a.llc", "", "not JSON5"),
        ("a.llc", "{cutSegments: 3}", "no cutSegments"),
        ("a.llc", "{cutSegments: [3]}", "number 1 is not a cut"),
        ("a.llc", "{cutSegments: [{start: 1, end: 'x'}]}", "number 1 is not a cut"),
        ("a.llc", '{"cutSegments": [{"start": 1e300, "end": 1e400}]}', "a cut from 1e+300 to inf"),
        ("a.llc", f'{{"cutSegments": [{{"start": 1, "end": {10**400}}}]}}', "number 1 is not a cut"),
        ("a.llc", "[" * 100_000, "not JSON5"),
        ("a.otio", "", "not a timeline"),
        ("a.otio", "{}", "not a timeline"),
        ("a.otio", '{"OTIO_SCHEMA": "Timeline.1"}', "not a timeline"),
        ("a.otio", otio(rate=0.0), "a cut from"),
        ("a.otio", otio().replace('"value": 250', '"value": -250'), "a cut from 30 to 20 s"),
        ("a.csv", "", "no cuts in it"),
        ("a.csv", "start,end\n1,2\n9,4\n", "line 3: a cut from 9 to 4 s"),
        ("a.csv", "1,2\n1e9,1e300\n", "line 2: a cut from 1e+09"),
        ("a.csv", "1,2\nnan,5\n", "line 2: a cut from nan"),
        ("a.csv", "1,2\nten,20\n", "line 2: 'ten' is not a time"),
        ("a.csv", "1,00:00:02:99\n", "line 1: 00:00:02:99 is no time code at 25"),
        ("a.ffmetadata", "hello", ";FFMETADATA1"),
        ("a.ffmetadata", ";FFMETADATA1\n[CHAPTER]\nSTART=1\n", "line 2: a chapter without"),
        ("a.ffmetadata", ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/0\nSTART=1\nEND=2\n", "line 2: a chapter without"),
        ("a.ffmetadata", f";FFMETADATA1\n[CHAPTER]\nSTART={10**400}\nEND=2\n", "line 2: a chapter without"),
        ("a.chapters.txt", "hello\n", "line 1: 'hello' is not a time"),
        ("a.docx", "0,1", "not a file of cuts"),
    ],
)
def test_what_is_no_span_is_told_with_its_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    if name.endswith(".llc"):
        pytest.importorskip("json5")
    with pytest.raises(DataError) as error:
        spans(tmp_path, name, text)
    assert said in str(error.value)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_time_codes_without_a_rate_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 4: 00:00:30:00 counts frames; give the frames per second$") as caught:
        spans(tmp_path, "a.edl", EDL, MediaClock())
    assert caught.value.remedy is not None
    assert set(caught.value.remedy.settings) == {"cuts_rate"}


def test_bytes_are_no_cuts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\x00\xfe")
    with pytest.raises(DataError, match="is not text in UTF-8"):
        read_spans(tmp_path / "a.csv", AT_25)
