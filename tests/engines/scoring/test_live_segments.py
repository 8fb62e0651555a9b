"""What a disconnect leaves in the segments: they go on, in step with the clock, and say where media is missing."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from support.flv_parts import part
from support.http_media import MediaServer
from support.rtmp_server import end_publisher, make_broadcast, rtmp_server

from kuaihl.engines.ingest.live import ReconnectPolicy, live_packets
from kuaihl.engines.read_ahead import run_stage
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import SAMPLE_RATE, Audio, Segment

BRIEF = ReconnectPolicy(tries=2, patience=1.5, first_delay=0.2)


@pytest.fixture(scope="module")
def broadcast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_broadcast(tmp_path_factory.mktemp("broadcast") / "first.flv", seconds=20.0)


def cut(http: MediaServer, *parts: bytes) -> list[Segment]:
    stream = live_packets(http.live("/live.flv", *parts, b""), timeout=2, policy=BRIEF)
    return list(segments(stream, segment_seconds=2.0))


def loudness(segment: Segment, start: float, end: float) -> float:
    """Root mean square of [start, end), in seconds of the stream's clock."""
    first, last = (round((at - segment.start) * SAMPLE_RATE) for at in (start, end))
    return float(np.sqrt(np.mean(segment.audio[first:last] ** 2)))


def assert_in_step(found: list[Segment], seconds: float = 2.0) -> None:
    for number, segment in enumerate(found):
        assert segment.index == number
        assert segment.start == pytest.approx(number * seconds)
        assert segment.audio.size == pytest.approx((segment.end - segment.start) * SAMPLE_RATE, abs=1)


def test_missing_time_stays_in_the_segments_and_is_flagged(http: MediaServer, broadcast: Path) -> None:
    flv = broadcast.read_bytes()
    found = cut(http, part(flv, 0, 6.5), part(flv, 9.5, 14))
    assert_in_step(found)
    assert found[-1].end == pytest.approx(14, abs=0.2)
    assert [segment.gap for segment in found] == [False, False, False, True, True, False, False]
    assert [event.kind for event in found[3].events] == ["reconnect", "gap"]
    assert loudness(found[3], 6, 6.4) > 0.01 and loudness(found[3], 6.7, 8) < 0.001
    assert loudness(found[4], 8, 9.4) < 0.001 and loudness(found[4], 9.7, 10) > 0.01
    assert [event.kind for event in found[-1].events] == ["eof"]


def test_a_repeated_tail_leaves_no_trace_in_what_is_seen_and_heard(http: MediaServer, broadcast: Path) -> None:
    flv = broadcast.read_bytes()
    whole, joined = cut(http, part(flv, 0, 12)), cut(http, part(flv, 0, 7.3), part(flv, 5, 12))
    assert_in_step(joined)
    assert len(joined) == len(whole)
    assert [event.kind for event in joined[3].events] == ["reconnect", "replay_dropped"]
    for ours, theirs in zip(joined, whole, strict=True):
        assert not ours.gap
        for a, b in zip(ours.frames, theirs.frames, strict=True):
            assert a.time == pytest.approx(b.time, abs=0.002)
            assert np.abs(a.image.astype(int) - b.image).mean() < 2
        assert likeness(ours.audio, theirs.audio) > 0.9  # a new audio decoder needs two frames, 46 ms, to settle


def likeness(ours: Audio, theirs: Audio) -> float:
    """Correlation, give or take the millisecond to which FLV rounds times."""
    lag = SAMPLE_RATE // 1000
    size = min(ours.size, theirs.size) - 2 * lag
    middle = ours[lag : lag + size]
    return max(float(np.corrcoef(middle, theirs[at : at + size])[0, 1]) for at in range(2 * lag + 1))


def test_frames_come_from_the_connection_that_is_over_as_well(http: MediaServer, broadcast: Path) -> None:
    flv = broadcast.read_bytes()
    found = cut(http, part(flv, 0, 5), part(flv, 5, 10))
    assert_in_step(found)
    for segment in found:
        assert len(segment.frames) == 3
        for k, frame in enumerate(segment.frames):  # instants at 1/3, 1 and 5/3 s; half a spacing before them is enough
            instant = segment.start + (k + 0.5) * 2 / 3
            assert instant - 0.35 <= frame.time <= instant + 0.01


@pytest.mark.slow
def test_segments_go_on_when_a_publisher_comes_back(broadcast: Path, tmp_path: Path) -> None:
    """As the command runs it: a real server, the segmenter on a thread, scored as it comes."""
    other = make_broadcast(tmp_path / "second.flv", seconds=20.0, tone=550, picture="rgbtestsrc")
    with rtmp_server(tmp_path) as server:
        publisher = server.publish(broadcast, "room", "strict")
        time.sleep(0.5)
        stop = threading.Event()
        stream = live_packets(server.url("room", "strict"), timeout=2, policy=ReconnectPolicy(patience=15.0), stop=stop)
        found: list[Segment] = []
        began = time.time()
        with run_stage(segments(stream, segment_seconds=2.0), 3, stop=stop) as stage:
            for segment in stage:
                found.append(segment)
                if segment.index == 1:
                    end_publisher(publisher)
                    threading.Timer(3.0, lambda: server.publish(other, "room", "strict")).start()
                if segment.start >= 12:
                    stop.set()
        assert_in_step(found)
        flags = [segment.gap for segment in found]
        assert not any(flags[:2]) and any(flags[2:]) and not flags[6]
        kinds = [event.kind for segment in found for event in segment.events]
        assert [kind for kind in kinds if kind in ("reconnect", "gap", "eof")] == ["reconnect", "gap", "eof"]
        # Media time kept step with the wall clock over the outage.
        assert found[6].wall_time - began == pytest.approx(found[6].end, abs=4)
