"""Live streams against servers that close, stall, repeat, lie and die: right packets or one clear line, in time."""

import gc
import os
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from statistics import median

import pytest
from support.flv_parts import part
from support.http_media import MediaServer, begin_stream, send_file, silent_server
from support.rtmp_server import find_ffmpeg, free_port, make_broadcast
from support.watched import BRIEF, Watched, no_thread_left

from kuaihl.engines.ingest.live import ReconnectPolicy, live_packets
from kuaihl.engines.ingest.opening import open_source
from kuaihl.models.errors import SourceError, SourceUnavailable


@pytest.fixture(scope="module")
def broadcast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_broadcast(tmp_path_factory.mktemp("broadcast") / "first.flv", seconds=20.0)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    with no_thread_left():
        yield


def test_delays_grow_to_a_limit_and_differ_from_client_to_client() -> None:
    policy = ReconnectPolicy(tries=60)
    runs = [list(policy.delays()) for _ in range(50)]
    typical = [median(delays) for delays in zip(*runs, strict=True)]
    assert len(typical) == 60
    assert typical[0] == pytest.approx(0.25, rel=0.15)
    assert typical[-1] == pytest.approx(10.0, rel=0.15)
    assert all(max(delays) <= 12.0 for delays in runs)
    assert len({delays[0] for delays in runs}) > 40


def test_what_is_missed_while_waiting_is_a_tenth_of_the_time_away_and_the_patience_can_be_used_up() -> None:
    policy = ReconnectPolicy(jitter=0.0)
    away = 0.0
    for delay in policy.delays():
        assert delay <= 0.25 + 0.1 * away + 1e-9
        away += delay
    assert away >= policy.patience


def test_nobody_listening_is_one_clear_line_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(SourceError) as caught:
        next(live_packets(f"rtmp://127.0.0.1:{free_port()}/live/x", timeout=3))
    assert time.monotonic() - began < 3
    assert "\n" not in str(caught.value) and "no connection" in str(caught.value)


@pytest.mark.parametrize("scheme", ["rtmp", "http"])
def test_a_server_that_never_answers_is_one_clear_line_within_the_timeout(scheme: str) -> None:
    with silent_server() as port:
        began = time.monotonic()
        with pytest.raises(SourceError) as caught:
            next(live_packets(f"{scheme}://127.0.0.1:{port}/live/x", timeout=1))
        assert time.monotonic() - began < 4
    assert "\n" not in str(caught.value) and "in time" in str(caught.value)


def test_a_connection_that_closes_is_made_again_and_the_missing_time_is_a_gap(
    http: MediaServer, broadcast: Path
) -> None:
    flv = broadcast.read_bytes()
    url = http.live("/live.flv", part(flv, 0, 6), part(flv, 9, 12), b"")
    seen = Watched(live_packets(url, timeout=2, policy=BRIEF))
    assert seen.kinds == ["reconnect", "gap", "eof"]
    assert seen.event("gap").time == pytest.approx(6.0, abs=0.1)
    assert "3.0 s" in seen.event("gap").detail
    assert seen.largest_hole() == pytest.approx(3.05, abs=0.1)
    assert seen.decode_times("video")[-1] == pytest.approx(11.95, abs=0.1)
    seen.assert_time_never_runs_back()


def test_connections_that_break_leave_nothing_for_the_garbage_collector(http: MediaServer, broadcast: Path) -> None:
    parts = [part(broadcast.read_bytes(), start, start + 3) for start in (0, 3, 6)]
    http.answers["/live.flv"] = lambda handler: _send_and_reset(handler, parts.pop(0) if parts else b"")
    with only_new_objects():
        kinds = [item.kind for item in live_packets(http.url("/live.flv"), timeout=2, policy=BRIEF)]
        left = [type(one).__name__ for one in gc.get_objects() if type(one).__name__ == "InputContainer"]
    assert kinds.count("reconnect") == 2
    assert not left


@contextmanager
def only_new_objects() -> Iterator[None]:
    """The garbage collector rests, and does not know what earlier tests have left."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def test_a_stream_that_goes_on_keeps_nothing_of_its_earlier_connections(http: MediaServer, broadcast: Path) -> None:
    flv = broadcast.read_bytes()
    url = http.live("/live.flv", *(part(flv, start, start + 3) for start in (0, 4, 8)), b"")
    kinds: list[str] = []
    left: Counter[str] = Counter()
    with only_new_objects():
        for item in live_packets(open_source(url, timeout=2), policy=BRIEF):
            kinds.append(item.kind)
            if item.kind == "video" and kinds.count("video") == 150:
                left.update(type(one).__name__ for one in gc.get_objects())
    assert kinds.count("reconnect") == 2 and kinds.count("video") == 180
    assert (left["Held"], left["VideoStream"], left["AudioStream"]) == (0, 1, 1)


def _send_and_reset(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    begin_stream(handler)
    handler.wfile.write(data)
    time.sleep(0.3)  # for the reader: what it has not read is lost with the connection
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(handler.connection.detach())


def test_a_tail_that_the_server_repeats_is_dropped_to_the_packet(http: MediaServer, broadcast: Path) -> None:
    flv = broadcast.read_bytes()
    whole = Watched(live_packets(http.live("/whole.flv", part(flv, 0, 12), b""), timeout=2, policy=BRIEF))
    url = http.live("/live.flv", part(flv, 0, 6), part(flv, 3, 12), b"")
    seen = Watched(live_packets(url, timeout=2, policy=BRIEF))
    assert seen.kinds == ["reconnect", "replay_dropped", "eof"]
    assert "3.0 s" in seen.event("replay_dropped").detail
    for kind in ("video", "audio"):
        assert seen.decode_times(kind) == pytest.approx(whole.decode_times(kind), abs=0.002)


@pytest.mark.slow
@pytest.mark.parametrize("phase", [0.0, 0.15, 0.3])
def test_a_silence_of_half_a_second_is_seen_wherever_it_falls_between_the_rests(
    phase: float, http: MediaServer, broadcast: Path
) -> None:
    """Its media is lost although the time stamps go on, and nothing but the wall clock can tell."""
    flv, step, away = broadcast.read_bytes(), 0.05, 0.7
    header = len(part(flv, 1000, 1001))

    def answer(handler: BaseHTTPRequestHandler) -> None:
        begin_stream(handler)
        began = time.monotonic()
        for number in range(220):
            at = number * step
            time.sleep(max(began + at + (away if at >= 6 + phase else 0.0) - time.monotonic(), 0.0))
            handler.wfile.write(part(flv, at, at + step)[header if number else 0 :])
            handler.wfile.flush()

    http.answers["/live.flv"] = answer
    stop = threading.Event()
    threading.Timer(11.0, stop.set).start()
    seen = Watched(live_packets(http.url("/live.flv"), timeout=20, stop=stop))
    assert seen.kinds == ["gap", "eof"]
    assert seen.largest_hole() == pytest.approx(away, abs=0.2)


def test_a_connection_that_falls_silent_is_given_up_and_made_again(http: MediaServer, broadcast: Path) -> None:
    flv = broadcast.read_bytes()
    url = http.live("/live.flv", part(flv, 0, 6), part(flv, 6, 9), b"", stall=True)
    seen = Watched(live_packets(url, timeout=1, policy=BRIEF))
    assert seen.kinds[0] == "reconnect" and seen.kinds[-1] == "eof" and "gap" not in seen.kinds
    assert "no more data came in time" in seen.event("reconnect").detail
    assert seen.decode_times("video")[-1] == pytest.approx(8.95, abs=0.1)
    assert seen.largest_hole() < 0.2
    assert seen.seconds < 12


def test_a_connection_made_late_may_be_silent_for_as_long_as_any_other(http: MediaServer, broadcast: Path) -> None:
    flv, began = broadcast.read_bytes(), time.monotonic()
    ways = iter(["first", "late", "gone"])

    def answer(handler: BaseHTTPRequestHandler) -> None:
        way = "none yet" if len(http.requests) > 1 and time.monotonic() < began + 1.5 else next(ways, "gone")
        if way in ("none yet", "gone"):
            handler.send_error(503)
            return
        begin_stream(handler)
        handler.wfile.write(part(flv, 0, 3) if way == "first" else part(flv, 6, 9))
        if way == "late":
            time.sleep(2.0)  # longer than the patience that was left
            handler.wfile.write(part(flv, 9, 12)[len(part(flv, 9, 9)) :])

    http.answers["/live.flv"] = answer
    policy = ReconnectPolicy(patience=3.0, first_delay=0.1, growth=1.0)
    seen = Watched(live_packets(http.url("/live.flv"), timeout=5, policy=policy))
    assert seen.kinds == ["reconnect", "gap", "eof"]
    assert seen.decode_times("video")[-1] == pytest.approx(11.95, abs=0.1)


def test_a_stream_that_is_gone_ends_when_patience_does(http: MediaServer, broadcast: Path) -> None:
    url = http.live("/live.flv", part(broadcast.read_bytes(), 0, 6), b"")
    seen = Watched(live_packets(url, timeout=2, policy=BRIEF))
    assert seen.kinds == ["eof"]
    assert seen.decode_times("video")[-1] == pytest.approx(5.95, abs=0.1)
    assert "not back" in seen.event("eof").detail
    assert 0.5 < seen.seconds < 5
    assert 3 <= len(http.requests) <= 5


def test_a_file_at_the_address_of_a_stream_that_is_gone_is_not_the_stream(http: MediaServer, broadcast: Path) -> None:
    flv = broadcast.read_bytes()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if len(http.requests) > 1:
            send_file(handler, part(flv, 9, 12), "video/x-flv")
            return
        begin_stream(handler)
        handler.wfile.write(part(flv, 0, 6))

    http.answers["/live.flv"] = answer
    seen = Watched(live_packets(http.url("/live.flv"), timeout=2, policy=ReconnectPolicy(tries=2, first_delay=0.1)))
    assert seen.kinds == ["eof"] and "not back" in seen.event("eof").detail


def test_a_server_that_repeats_the_same_tail_for_ever_is_left(http: MediaServer, broadcast: Path) -> None:
    flv = broadcast.read_bytes()
    url = http.live("/live.flv", part(flv, 0, 6), part(flv, 3, 6))
    seen = Watched(live_packets(url, timeout=2, policy=BRIEF))
    assert seen.kinds[-1] == "eof" and len(http.requests) <= 6
    assert seen.decode_times("video")[-1] == pytest.approx(5.95, abs=0.1)
    seen.assert_time_never_runs_back()


def test_a_recording_served_without_its_length_is_read_once(http: MediaServer, broadcast: Path) -> None:
    seen = Watched(live_packets(http.live("/live.flv", part(broadcast.read_bytes(), 0, 6)), timeout=2, policy=BRIEF))
    assert seen.kinds == ["eof"] and "recording" in seen.event("eof").detail
    assert len(seen.decode_times("video")) == 120


def test_a_young_stream_whose_server_sends_all_it_holds_is_no_recording(http: MediaServer, broadcast: Path) -> None:
    flv = broadcast.read_bytes()
    seen = Watched(live_packets(http.live("/live.flv", part(flv, 0, 2), part(flv, 0, 12), b""), policy=BRIEF))
    assert seen.kinds == ["reconnect", "replay_dropped", "eof"]
    assert len(seen.decode_times("video")) == 240
    seen.assert_time_never_runs_back()


def test_a_broadcast_that_states_the_duration_of_the_publishers_file_is_live(
    http: MediaServer, broadcast: Path, tmp_path: Path
) -> None:
    stated = tmp_path / "stated.flv"
    subprocess.run([find_ffmpeg(), "-loglevel", "error", "-i", broadcast, "-c", "copy", stated], check=True)
    flv = stated.read_bytes()
    assert open_source(str(stated)).duration == pytest.approx(20.0, abs=0.2)
    url = http.live("/live.flv", part(flv, 0, 6), part(flv, 9, 12), b"")
    seen = Watched(live_packets(url, timeout=2, policy=BRIEF))
    assert seen.kinds == ["reconnect", "gap", "eof"]


def test_a_file_over_http_ends_at_its_end_without_a_second_try(
    http: MediaServer, broadcast: Path, tmp_path: Path
) -> None:
    subprocess.run([find_ffmpeg(), "-loglevel", "error", "-i", broadcast, "-c", "copy", tmp_path / "a.mp4"], check=True)
    url = http.file("/a.mp4", tmp_path / "a.mp4", "video/mp4")
    seen = Watched(live_packets(url, timeout=2, policy=BRIEF))
    assert seen.kinds == ["eof"] and seen.seconds < 2
    assert len(seen.decode_times("video")) == 400


def test_a_connection_that_brings_nothing_is_one_clear_line(http: MediaServer, tmp_path: Path) -> None:
    """The index of this file is at its end, and the server cannot seek."""
    data = make_broadcast(tmp_path / "a.mp4", seconds=5).read_bytes()
    with pytest.raises(SourceError, match="neither picture nor sound came") as caught:
        list(live_packets(http.live("/a.mp4", data), timeout=1, policy=BRIEF))
    assert "\n" not in str(caught.value)


def hls(broadcast: Path, directory: Path, *flags: str) -> Path:
    command = [find_ffmpeg(), "-loglevel", "error", "-i", broadcast, "-c", "copy", "-f", "hls", "-hls_time", "2"]
    subprocess.run([*command, *flags, directory / "live.m3u8"], check=True)
    return directory / "live.m3u8"


def test_a_finished_hls_playlist_is_read_to_its_end(http: MediaServer, broadcast: Path, tmp_path: Path) -> None:
    hls(broadcast, tmp_path, "-hls_list_size", "0")
    seen = Watched(live_packets(http.folder("/hls", tmp_path) + "/live.m3u8", timeout=2, policy=BRIEF))
    assert seen.kinds == ["eof"] and seen.seconds < 5
    assert len(seen.decode_times("video")) == 400


def test_an_hls_playlist_that_stops_growing_is_left_in_time(http: MediaServer, broadcast: Path, tmp_path: Path) -> None:
    playlist = hls(broadcast, tmp_path, "-hls_list_size", "0", "-hls_flags", "omit_endlist")
    policy = ReconnectPolicy(tries=2, patience=4.0, first_delay=0.2)
    seen = Watched(live_packets(http.grown("/hls", playlist), timeout=2, policy=policy))
    assert seen.kinds[-1] == "eof" and seen.seconds < 20
    assert seen.decode_times("video")[-1] - seen.decode_times("video")[0] == pytest.approx(7.95, abs=0.1)
    seen.assert_time_never_runs_back()


def test_a_playlist_that_a_server_left_behind_is_not_on_air(http: MediaServer, broadcast: Path, tmp_path: Path) -> None:
    hls(broadcast, tmp_path, "-hls_list_size", "0", "-hls_flags", "omit_endlist")
    began = time.monotonic()
    with pytest.raises(SourceUnavailable, match="its playlist does not grow"):
        open_source(http.folder("/hls", tmp_path) + "/live.m3u8", timeout=2)
    assert time.monotonic() - began < 6


def test_a_playlist_that_names_a_local_file_is_one_clear_line(http: MediaServer, tmp_path: Path) -> None:
    playlist = tmp_path / "evil.m3u8"
    playlist.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", encoding="utf-8"
    )
    url = http.file("/evil.m3u8", playlist, "application/vnd.apple.mpegurl")
    began = time.monotonic()
    with pytest.raises(SourceError) as caught:
        next(live_packets(url, timeout=2))
    assert time.monotonic() - began < 6
    assert "\n" not in str(caught.value) and "evil.m3u8" in str(caught.value)


def test_stop_ends_a_blocked_read_within_a_second(http: MediaServer, broadcast: Path) -> None:
    url = http.live("/live.flv", part(broadcast.read_bytes(), 0, 6), stall=True)
    stop, set_at = threading.Event(), [0.0]

    def later() -> None:
        time.sleep(1)
        set_at[0] = time.monotonic()
        stop.set()

    threading.Thread(target=later).start()
    seen = Watched(live_packets(url, timeout=5, stop=stop))
    assert time.monotonic() - set_at[0] < 1
    assert seen.kinds == ["eof"] and seen.event("eof").detail == "stopped"
    assert len(seen.decode_times("video")) == 120


def test_stop_ends_a_stream_however_much_of_it_waits(http: MediaServer, broadcast: Path) -> None:
    url = http.live("/live.flv", part(broadcast.read_bytes(), 0, 6), stall=True)
    stop, kinds = threading.Event(), []
    for number, item in enumerate(live_packets(url, timeout=5, stop=stop)):
        if number == 0:
            time.sleep(1)  # all of it is there now
        if number == 20:
            stop.set()
        if number > 20:
            kinds.append(item.kind)
    assert kinds == ["eof"]


def test_stop_ends_the_wait_for_a_reconnect_within_a_second(http: MediaServer, broadcast: Path) -> None:
    url = http.live("/live.flv", part(broadcast.read_bytes(), 0, 6), b"")
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    seen = Watched(live_packets(url, timeout=5, policy=ReconnectPolicy(first_delay=30.0), stop=stop))
    assert seen.seconds < 2 and seen.event("eof").detail == "stopped"


def test_a_source_that_is_open_already_is_taken_over_and_closed(http: MediaServer, broadcast: Path) -> None:
    source = open_source(http.live("/live.flv", part(broadcast.read_bytes(), 0, 6), b""), timeout=2)
    stream = live_packets(source, policy=BRIEF)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert source.closed
