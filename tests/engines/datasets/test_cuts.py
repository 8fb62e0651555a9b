"""The share of a segment that an editor kept, from the file beside the recording or its own chapters."""

import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support.paths import EXAMPLES

from kuaihl.engines.datasets.cut_files import MediaClock, Span
from kuaihl.engines.datasets.cuts import CutSettings, compute_shares, media_clock, read_cuts
from kuaihl.models.errors import DataError

STARTS = np.arange(4) * 30.0
ENDS = STARTS + 30.0


def rates(*spans: tuple[float, float]) -> list[float]:
    return compute_shares([Span(*span) for span in spans], STARTS, ENDS, "demo.flv").tolist()


def test_a_segments_label_is_the_share_of_it_inside_any_span() -> None:
    assert rates((45.0, 75.0)) == pytest.approx([0.0, 0.5, 0.5, 0.0])
    assert rates((60.0, 66.0), (0.0, 6.0)) == pytest.approx([0.2, 0.0, 0.2, 0.0])


def test_time_in_several_spans_counts_once() -> None:
    assert rates((30.0, 50.0), (40.0, 60.0), (42.0, 43.0), (30.0, 45.0)) == pytest.approx([0.0, 1.0, 0.0, 0.0])


def test_a_span_may_end_after_the_recording_and_an_open_one_ends_with_it() -> None:
    assert rates((105.0, 125.0)) == pytest.approx([0.0, 0.0, 0.0, 0.5])
    assert rates((105.0, float("inf"))) == pytest.approx([0.0, 0.0, 0.0, 0.5])


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ([(3600.0, 3700.0)], "after the recording's end"),  # an hour of time code ahead
        ([(100.0, 500.0)], "after the recording's end"),
        ([(0.0, 60.0), (60.0, 120.0)], "are the whole recording"),
        ([(30.0, 30.0)], "after the recording's end"),
    ],
)
def test_cuts_that_label_nothing_are_told(spans: list[tuple[float, float]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        rates(*spans)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return Path(shutil.copy(EXAMPLES / "demo.flv", tmp_path / "demo.flv"))


def read(recording: Path, **settings: object) -> list[tuple[float, float | None]]:
    found = read_cuts(str(recording), None, CutSettings(**settings))  # type: ignore[arg-type]
    return [(span.start, span.end) for span in found]


def test_the_file_beside_the_recording_is_found_and_one_may_be_named(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "demo.csv").write_text("10,20\n")
    (tmp_path / "other.csv").write_text("30,40\n")
    assert read(recording) == [(10.0, 20.0)]
    assert read(recording, path=tmp_path / "other.csv") == [(30.0, 40.0)]
    assert read_cuts(str(recording), tmp_path / "other.csv", CutSettings())[0].start == 30.0
    (tmp_path / "demo-proj.llc").write_text('{"cutSegments": [{"start": 1, "end": 2}]}')
    assert read(recording) == [(1.0, 2.0)]
    (tmp_path / "cuts").mkdir()
    (tmp_path / "cuts" / "demo.csv").write_text("50,60\n")
    assert read(recording, path=tmp_path / "cuts") == [(50.0, 60.0)]


def test_a_recording_without_cuts_is_told(recording: Path) -> None:
    with pytest.raises(DataError, match=r"demo\.flv: no file of cuts beside it .* and no chapters"):
        read(recording)


def test_names_choose_among_spans_and_a_chapter_lasts_until_the_next_of_any_name(
    recording: Path, tmp_path: Path
) -> None:
    (tmp_path / "demo.chapters.txt").write_text("0:00 hello\n0:30 A goal\n1:00 talk\n2:00 goal again\n")
    assert read(recording, named="goal") == [(30.0, 60.0), (120.0, float("inf"))]
    with pytest.raises(DataError, match="none of its 4 cuts has 'save' in its name"):
        read(recording, named="save")


def test_a_timeline_of_several_recordings_gives_the_spans_of_this_one(recording: Path, tmp_path: Path) -> None:
    event = "{0:03}  AX  V  C  00:00:{0:02}:00 00:00:{1:02}:00 00:00:00:00 00:00:10:00\n* FROM CLIP NAME: {2}\n"
    text = event.format(10, 20, "other.flv") + event.format(30, 40, "DEMO.flv")
    (tmp_path / "demo.edl").write_text(text)
    assert read(recording) == [(30.0, 40.0)]
    (tmp_path / "demo.edl").write_text(text.replace("DEMO", "third"))
    with pytest.raises(DataError, match=r"is cut from 2 recordings, and none is called demo\.flv"):
        read(recording)


def test_frame_rate_start_and_chapters_are_the_recordings_unless_told(tmp_path: Path) -> None:
    file = tmp_path / "tape.mov"
    with av.open(str(file), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width = video.height = 64
        video.metadata["timecode"] = "01:00:00:00"
        for _ in range(50):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        container.mux(video.encode())
        container.set_chapters(
            [
                {"id": 1, "start": 500, "end": 1500, "time_base": Fraction(1, 1000), "metadata": {"title": "goal"}},
                {"id": 2, "start": 1500, "end": 2000, "time_base": Fraction(1, 1000), "metadata": {"title": "talk"}},
            ]
        )
    clock, chapters = media_clock(str(file), MediaClock())
    assert clock == MediaClock(25.0, "01:00:00:00")
    assert [(span.start, span.end, span.name) for span in chapters] == [(0.5, 1.5, "goal"), (1.5, 2.0, "talk")]
    assert media_clock(str(file), MediaClock(30.0, "00:00:10:00"))[0] == MediaClock(30.0, "00:00:10:00")
    assert [(span.start, span.end) for span in read_cuts(str(file), None, CutSettings(named="goal"))] == [(0.5, 1.5)]
    (tmp_path / "tape.edl").write_text("001  AX  V  C  01:00:00:10 01:00:01:10 00:00:00:00 00:00:01:00\n")
    (span,) = read_cuts(str(file), None, CutSettings())
    assert (span.start, span.end) == pytest.approx((0.4, 1.4))
