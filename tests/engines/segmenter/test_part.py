"""A part of a recording: real media, read whole and in part, must show the same thing at the same time."""

from pathlib import Path

import av
import numpy as np
import pytest

from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.segmenter.part import part_of
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import SAMPLE_RATE, Segment
from kuaihl.models.errors import SourceError

SECONDS, RATE, TONE = 20, 10, 40.0  # of the recording, pictures per second, Hz per second of it


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures whose brightness is their time, a keyframe every 4 s, and a tone that rises with time."""
    path = tmp_path_factory.mktemp("part") / "rising.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"g": str(4 * RATE), "sc_threshold": "0"})
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        for index in range(SECONDS * RATE):
            picture = np.full((64, 64, 3), 10 + index, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for second in range(SECONDS):
            samples = np.full((1, SAMPLE_RATE), 500 * (second + 1), np.int16)  # as loud as it is late
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, second * SAMPLE_RATE
            container.mux(audio.encode(frame))
        for stream in (video, audio):
            container.mux(stream.encode())
    return path


def cut(recording: Path, start: float, end: float | None, length: float = 3.0) -> list[Segment]:
    with open_source(str(recording)) as source:
        stream = part_of(str(recording), packets(source), start, end)
        return list(segments(stream, segment_seconds=length, start=start, end=end))


def test_a_part_has_the_times_that_it_has_in_the_whole(recording: Path) -> None:
    found = cut(recording, 6.5, 14.0)
    assert [(one.index, one.start, one.end) for one in found] == [(0, 6.5, 9.5), (1, 9.5, 12.5), (2, 12.5, 14.0)]


def test_its_pictures_are_those_of_its_time_though_their_keyframe_lies_before_it(recording: Path) -> None:
    for segment in cut(recording, 6.5, 14.0):
        for frame in segment.frames:
            assert segment.start - 0.11 <= frame.time < segment.end
            brightness = frame.image.mean()
            assert brightness == pytest.approx(10 + frame.time * RATE, abs=3)


def test_its_sound_is_that_of_its_time(recording: Path) -> None:
    for segment in cut(recording, 6.5, 14.0):
        assert len(segment.audio) == round((segment.end - segment.start) * SAMPLE_RATE)
        times = segment.start + np.arange(len(segment.audio)) / SAMPLE_RATE
        expected = 500 * (np.floor(times) + 1) / 32768
        assert np.median(np.abs(segment.audio - expected)) < 1e-3


def test_from_the_start_and_to_the_end_it_is_the_whole(recording: Path) -> None:
    with open_source(str(recording)) as source:
        whole = list(segments(packets(source), segment_seconds=3.0))
    part = cut(recording, 0.0, None)
    assert [(one.start, one.end) for one in part] == [(one.start, one.end) for one in whole]
    for one, other in zip(part, whole, strict=True):
        assert np.array_equal(one.audio, other.audio)
        assert [frame.time for frame in one.frames] == [frame.time for frame in other.frames]


def test_a_part_beyond_the_end_is_refused_with_the_recordings_length(recording: Path) -> None:
    with pytest.raises(SourceError, match=r"ends at 20\.0 s, before the part that begins at 60\.0 s"):
        cut(recording, 60.0, None)


def test_an_end_beyond_the_recording_is_the_recordings(recording: Path) -> None:
    assert cut(recording, 15.0, 99.0)[-1].end == pytest.approx(20.0, abs=0.11)


def test_reading_stops_soon_after_the_part(recording: Path) -> None:
    read = []

    def watched(stream):  # type: ignore[no-untyped-def]
        for item in stream:
            read.append(item)
            yield item

    with open_source(str(recording)) as source:
        list(part_of(str(recording), watched(packets(source)), 1.0, 4.0))
    assert max(item.time for item in read) < 12.0
