"""Live streams of a real RTMP server, whose publishers and itself come and go."""

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.rtmp_server import RtmpServer, end_publisher, make_broadcast
from support.watched import BRIEF, Watched, no_thread_left

from kuaihl.engines.ingest.live import ReconnectPolicy, live_packets
from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.models.errors import SourceUnavailable


@pytest.fixture(scope="module")
def broadcast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_broadcast(tmp_path_factory.mktemp("broadcast") / "first.flv", seconds=20.0)


@pytest.fixture(scope="module")
def second_broadcast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the streamer sends after coming back: other pictures, other sound."""
    return make_broadcast(
        tmp_path_factory.mktemp("broadcast") / "second.flv", seconds=20.0, tone=550, picture="rgbtestsrc"
    )


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    with no_thread_left():
        yield


@pytest.mark.slow
def test_a_publisher_who_goes_silent_and_comes_back_leaves_a_gap_as_long_as_he_was_away(
    rtmp: RtmpServer, broadcast: Path, second_broadcast: Path
) -> None:
    """`live` keeps its viewers when the publisher goes, and sends nothing: the demuxer would wait for ever."""
    publisher = rtmp.publish(broadcast, "room")
    stop = threading.Event()
    left_at: list[float] = []

    def each(packet: TimedPacket) -> None:
        if packet.time > 4 and not left_at:
            end_publisher(publisher)
            left_at.append(time.monotonic())
            threading.Timer(5.0, lambda: rtmp.publish(second_broadcast, "room")).start()
        if left_at and packet.time > left_at[0] - began + 12:
            stop.set()

    time.sleep(1.5)  # until ffmpeg publishes, on a busy machine too
    began = time.monotonic()
    policy = ReconnectPolicy(patience=20.0)
    seen = Watched(live_packets(rtmp.url("room"), timeout=2, policy=policy, stop=stop), each)
    assert "gap" in seen.kinds and seen.kinds[-1] == "eof"
    seen.assert_time_never_runs_back()
    assert seen.largest_hole() == pytest.approx(5.5, abs=2.0)


@pytest.mark.parametrize("application", ["live", "strict"])
def test_a_room_that_nobody_publishes_may_be_asked_again(rtmp: RtmpServer, application: str) -> None:
    """One server keeps the viewer waiting, the strict one refuses."""
    with pytest.raises(SourceUnavailable):
        next(live_packets(rtmp.url("nobody", application), timeout=1, policy=BRIEF))


@pytest.mark.slow
def test_a_publisher_who_leaves_and_does_not_come_back_ends_the_stream_in_time(
    rtmp: RtmpServer, broadcast: Path
) -> None:
    for application in ("live", "strict"):
        publisher = rtmp.publish(broadcast, "room", application)
        time.sleep(1.5)  # until ffmpeg publishes, on a busy machine too

        def each(packet: TimedPacket, publisher: "subprocess.Popen[bytes]" = publisher) -> None:
            if packet.time > 3:
                end_publisher(publisher)

        seen = Watched(live_packets(rtmp.url("room", application), timeout=1, policy=BRIEF), each)
        assert seen.kinds == ["eof"] and "not back" in seen.event("eof").detail
        assert len(seen.packets) > 150 and seen.seconds < 15


@pytest.mark.slow
def test_a_server_that_dies_and_is_started_again_is_found_again(
    rtmp: RtmpServer, broadcast: Path, second_broadcast: Path
) -> None:
    rtmp.publish(broadcast, "room")
    stop, events = threading.Event(), [0]

    def restart() -> None:
        rtmp.start()
        rtmp.publish(second_broadcast, "room")

    def each(packet: TimedPacket) -> None:
        if packet.time > 3 and not events[0]:
            events[0] = 1
            rtmp.kill()
            threading.Timer(2.0, restart).start()
        if events[0] and packet.time > 9:
            stop.set()

    time.sleep(1.5)  # until ffmpeg publishes, on a busy machine too
    policy = ReconnectPolicy(patience=20.0)
    seen = Watched(live_packets(rtmp.url("room"), timeout=2, policy=policy, stop=stop), each)
    assert seen.kinds == ["reconnect", "gap", "eof"]
    assert seen.event("eof").detail == "stopped"
    seen.assert_time_never_runs_back()
    assert 1.5 < seen.largest_hole() < 6


@pytest.mark.slow
def test_a_server_that_dies_for_good_ends_the_stream(rtmp: RtmpServer, broadcast: Path) -> None:
    rtmp.publish(broadcast, "room")
    time.sleep(1.5)  # until ffmpeg publishes, on a busy machine too

    def each(packet: TimedPacket) -> None:
        if packet.time > 3:
            rtmp.kill()

    seen = Watched(live_packets(rtmp.url("room"), timeout=2, policy=BRIEF), each)
    assert seen.kinds == ["eof"] and seen.seconds < 12
