"""Exact frames are those shown at the very instants, and what cannot give them says so in one line and in time."""

import os
import time
from pathlib import Path

import av
import numpy as np
import pytest
from support.media import FPS, make, media_tags, number_in, retimed, write_flv

from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.segmenter.exact_frames import ExactFrames, exact_frames
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.models.errors import SourceError

pytest.importorskip("decord")
pytestmark = pytest.mark.timeout(120)


def refusal(path: Path) -> str:
    begin = time.monotonic()
    with pytest.raises(SourceError) as caught:
        exact_frames(path, [1.0, 2.5, 4.0])
    line = str(caught.value)
    assert "\n" not in line and path.name in line
    assert time.monotonic() - begin < 40
    return line


@pytest.mark.parametrize(("suffix", "bframes"), [("mp4", 0), ("mp4", 2), ("flv", 2), ("mkv", 2)])
def test_the_frame_shown_at_the_instant_is_given(made: Path, suffix: str, bframes: int) -> None:
    path = make(made / f"exact_{bframes}.{suffix}", seconds=10.0, bframes=bframes, gop=25)
    instants = [0.0, 0.55, 3.06, 5.0, 7.49, 9.95, 60.0]
    with open_source(str(path)) as source:
        first = next(item.time for item in packets(source) if getattr(item, "keyframe", False))
    found = exact_frames(path, instants)
    for frame, instant in zip(found, instants, strict=True):
        shown = min(max(0, int((instant - first + 0.002) * FPS)), 99)
        assert number_in(frame) == shown
        assert frame.time == pytest.approx(shown / FPS + first, abs=0.005)


def test_variable_frame_rates_are_found_by_time_and_not_by_index(made: Path) -> None:
    times = (*(k / 10 for k in range(20)), 6.0, 6.5, 9.0)
    found = exact_frames(make(made / "exact_vfr.mkv", seconds=10.0, frame_times=times), [1.55, 5.0, 6.2, 8.9])
    assert [number_in(frame) for frame in found] == [15, 19, 60, 65]


def test_they_are_what_a_full_decode_shows(shared_media: Path) -> None:
    path = shared_media / "talk_42s.mp4"
    wanted = {round(frame.time, 3): frame.image for frame in exact_frames(path, [5.0, 15.02, 25.0])}
    with av.open(str(path)) as container:
        for decoded in container.decode(video=0):
            image = wanted.pop(round(decoded.time or 0.0, 3), None)
            if image is not None:
                same = decoded.to_ndarray(format="rgb24", width=image.shape[1], height=image.shape[0])
                assert np.abs(same.astype(int) - image).mean() < 4
    assert not wanted


def test_segments_take_them(made: Path) -> None:
    path = make(made / "exact_segments.mp4", seconds=14.0, gop=25)
    with ExactFrames(path) as finder, open_source(str(path)) as source:
        found = list(segments(packets(source), segment_seconds=6.0, exact=finder))
    assert [frame.time for one in found[:2] for frame in one.frames] == pytest.approx([1, 3, 5, 7, 9, 11])
    assert [number_in(frame) for one in found[:2] for frame in one.frames] == [10, 30, 50, 70, 90, 110]


def test_time_stamps_that_restart_are_refused(made: Path) -> None:
    ten = media_tags(make(made / "exact_ten.flv", seconds=10.0))
    assert "rules out exact frames; take keyframes" in refusal(write_flv(made / "exact_restart.flv", [*ten, *ten]))


def test_time_stamps_that_jump_ahead_are_refused_for_the_stream_s_clock_does_not_jump(made: Path) -> None:
    ten = media_tags(make(made / "exact_ten.flv", seconds=10.0))
    jumps = write_flv(made / "exact_ahead.flv", [*ten, *retimed(ten, lambda ms: ms + 1_000_000)])
    assert "time stamps jump, which rules out exact frames; take keyframes" in refusal(jumps)


def test_files_that_cannot_be_accessed_at_random_are_refused(made: Path, shared_media: Path) -> None:
    assert "no video" in refusal(make(made / "exact_sound.flv", seconds=3.0, video=None))
    assert refusal(shared_media / "odd" / "corrupted.mp4")
    assert refusal(shared_media / "odd" / "portrait.ts")
    for name in ("-", "rtmp://host/live", "http://host/a.flv"):
        with pytest.raises(SourceError):
            exact_frames(name, [1.0])


def test_a_worker_that_hangs_is_stopped_in_time(made: Path) -> None:
    with ExactFrames(make(made / "exact_hang.mp4", seconds=4.0), timeout=0.5) as finder:
        os.kill(finder.worker.pid, 19)  # SIGSTOP: as good as hanging
        begin = time.monotonic()
        with pytest.raises(SourceError, match="did not answer"):
            finder.frames_at([1.0])
        assert time.monotonic() - begin < 5
        assert finder.worker.returncode is not None
        with pytest.raises(SourceError):
            finder.frames_at([1.0])


def test_a_worker_that_dies_is_one_clear_line(made: Path) -> None:
    with ExactFrames(make(made / "exact_dead.mp4", seconds=4.0)) as finder:
        finder.worker.kill()
        with pytest.raises(SourceError) as caught:
            finder.frames_at([1.0])
        assert "\n" not in str(caught.value)
