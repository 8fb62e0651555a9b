"""A finished recording is the same whichever way it comes in: as a file, a pipe, over http, and while it grows."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.http_media import media_server
from support.media import make, media_tags, retimed, write_flv

from kuaihl.engines.ingest.live import live_packets
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import Segment

pytestmark = pytest.mark.timeout(120)

PIECES = 8  # in which a growing recording comes


@pytest.fixture(scope="module", params=["flv", "ts", "late.ts", "mkv"])
def recording(made: Path, request: pytest.FixtureRequest) -> Path:
    """Each container, and sound that FFmpeg's analysis does not reach."""
    late = request.param == "late.ts"
    muxer = {"max_delay": "700000"} if late else {}
    return make(made / f"ways.{request.param}", seconds=14.0, bframes=2, audio_from=8.0 * late, muxer=muxer)


def read(name: str) -> list[Segment]:
    """All segments, read as the scoring of such a source reads them."""
    with open_source(name) as source:
        stream = live_packets(source) if source.is_network or source.is_pipe else packets(source)
        return list(segments(stream, segment_seconds=4.0))


@contextmanager
def named_pipe(path: Path, pieces: list[bytes], pause: float) -> Iterator[str]:
    """A pipe whose writer pauses between pieces."""

    def write() -> None:
        with path.open("wb", buffering=0) as pipe:
            for piece in pieces:
                pipe.write(piece)
                time.sleep(pause)

    os.mkfifo(path)
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    yield str(path)
    writer.join(10)


def assert_same(found: list[Segment], expected: list[Segment]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one.start, one.end, one.gap, one.events) == (other.start, other.end, other.gap, other.events)
        assert one.keyframe_times == other.keyframe_times
        assert one.audio.tobytes() == other.audio.tobytes()
        assert [frame.time for frame in one.frames] == [frame.time for frame in other.frames]
        assert all((a.image == b.image).all() for a, b in zip(one.frames, other.frames, strict=True))


def test_a_recording_has_the_same_segments_by_every_way_in(recording: Path, tmp_path: Path) -> None:
    expected = read(str(recording))
    assert len(expected) == 4 and len(expected[0].frames) == 3 and expected[-1].audio.any()
    data = recording.read_bytes()
    with named_pipe(tmp_path / "at_once", [data], 0.0) as pipe:
        assert_same(read(pipe), expected)
    step = len(data) // PIECES + 1
    with named_pipe(tmp_path / "growing", [data[at : at + step] for at in range(0, len(data), step)], 0.2) as pipe:
        assert_same(read(pipe), expected)
    with media_server() as server:
        assert_same(read(server.file("/recording", recording, "application/octet-stream")), expected)


def test_so_has_one_whose_time_stamps_are_all_0(made: Path, tmp_path: Path) -> None:
    tags = media_tags(make(made / "stamped.flv", seconds=14.0, bframes=2))
    zeros = write_flv(made / "zeros.flv", retimed(tags, lambda ms: 0))
    expected = read(str(zeros))
    assert len(expected) == 4 and all(len(one.frames) == 3 and one.audio.any() for one in expected)
    with named_pipe(tmp_path / "pipe", [zeros.read_bytes()], 0.0) as pipe:
        assert_same(read(pipe), expected)
    with media_server() as server:
        found = read(server.file("/zeros.flv", zeros))
    assert "it is a recording" in found[-1].events[-1].detail  # nothing states its length
    events = (*found[-1].events[:-1], expected[-1].events[-1])
    assert_same([*found[:-1], replace(found[-1], events=events)], expected)
