"""The stream's clock keeps to the wall clock, less the lag at the start, whatever the time stamps do."""

import math
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from support.http_media import begin_stream, media_server
from support.media import Tag, media_tags
from support.rtmp_server import find_ffmpeg, make_broadcast

from kuaihl.engines.ingest.burst import Burst
from kuaihl.engines.ingest.live import ReconnectPolicy, live_packets
from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.types import Event

LASTS = 3.5  # seconds of media before a fault, and after it: FFmpeg looks at the first two before it gives out any
FLV = b"FLV\x01\x05\0\0\0\x09\0\0\0\0"


@dataclass(frozen=True)
class Part:
    """LASTS seconds of the broadcast from `begins` on, sent after `away` seconds with stamps from `stamp` on."""

    begins: float
    away: float
    stamp: float
    burst: float = 0.0  # seconds of it that come at once
    connection: int = 0


@pytest.fixture(scope="module")
def broadcast(tmp_path_factory: pytest.TempPathFactory) -> list[Tag]:
    return media_tags(make_broadcast(tmp_path_factory.mktemp("broadcast") / "a.flv", seconds=20.0))


def send(handler: BaseHTTPRequestHandler, broadcast: list[Tag], parts: list[Part]) -> None:
    """Parts one after another, each tag at the moment at which a camera would have it."""
    begin_stream(handler)
    headers = [tag for tag in broadcast if tag.is_header]
    handler.wfile.write(FLV)
    for part in parts:
        time.sleep(part.away)
        began = time.monotonic() - part.burst
        handler.wfile.write(b"".join(replace(tag, ms=round(part.stamp * 1000)).packed() for tag in headers))
        for tag in broadcast:
            at = tag.ms / 1000 - part.begins
            if not tag.is_header and 0 <= at < LASTS + part.burst:
                time.sleep(max(began + at - time.monotonic(), 0.0))
                handler.wfile.write(replace(tag, ms=round((part.stamp + at) * 1000)).packed())
                handler.wfile.flush()


def watch(broadcast: list[Tag], parts: list[Part]) -> tuple[list[tuple[float, float]], list[Event]]:
    """Each packet's stream time with the moment at which it came, and the events."""
    connections = [[part for part in parts if part.connection == number] for number in (0, 1)]
    came, events = [], []
    with media_server() as server:
        answers: list[Callable[[BaseHTTPRequestHandler], None]] = []
        server.answers["/live.flv"] = lambda handler: answers.pop(0)(handler)
        answers += [partial(send, broadcast=broadcast, parts=parts) for parts in connections]
        answers += [begin_stream] * 9
        policy = ReconnectPolicy(tries=2, patience=8.0)
        for item in live_packets(server.url("/live.flv"), timeout=4, policy=policy):
            if isinstance(item, TimedPacket):
                came.append((item.decode_time, time.monotonic()))
            else:
                events.append(item)
    return came, events


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        (Part(5, 1.5, stamp=190.0), ["rebase", "gap"]),  # far ahead, and away for less
        (Part(5, 0.0, stamp=190.0), ["rebase"]),  # far ahead, and not away at all
        (Part(5, 2.5, stamp=0.0), ["rebase", "gap"]),  # from 0 again
        (Part(5, 1.5, stamp=LASTS), ["gap"]),  # as if no time had passed
        (Part(5, 2.0, stamp=0.0, burst=1.5, connection=1), ["reconnect", "gap"]),  # from 0, after media it had kept
        (Part(5, 1.0, stamp=300.0, connection=1), ["reconnect", "gap"]),  # another clock, after a disconnect
    ],
)
def test_after_a_fault_the_clock_trails_the_wall_clock_as_it_did_before(
    broadcast: list[Tag], fault: Part, kinds: list[str]
) -> None:
    came, events = watch(broadcast, [Part(0, 0.0, stamp=0.0), fault])
    assert [event.kind for event in events] == [*kinds, "eof"]
    fault_at = next(event.time for event in events if event.kind == kinds[-1])
    assert fault_at == pytest.approx(LASTS, abs=0.2)
    before = min(at - shown for shown, at in came if shown < fault_at)
    after = min(at - shown for shown, at in came if shown > fault_at)
    assert after == pytest.approx(before, abs=0.5)


def pieces_of(broadcast: Path, folder: Path, name: str, first: float) -> list[bytes]:
    """Pieces of a second, with stamps from the beginning."""
    command = [find_ffmpeg(), "-loglevel", "error", "-ss", str(first), "-i", broadcast, "-c", "copy", "-f", "hls"]
    subprocess.run([*command, "-hls_time", "1", "-hls_list_size", "0", folder / f"{name}.m3u8"], check=True)
    return [(folder / f"{name}{number}.ts").read_bytes() for number in range(5)]


@pytest.mark.slow
def test_a_restart_within_a_playlist_is_held_to_the_wall_clock_to_a_piece(tmp_path: Path) -> None:
    broadcast, away = make_broadcast(tmp_path / "a.flv", seconds=20.0), 5.0
    pieces = [*pieces_of(broadcast, tmp_path, "first", 0.0), *pieces_of(broadcast, tmp_path, "second", 10.0)]
    made_at = [*range(-2, 3), *(3 + away + number for number in range(5))]  # seconds after the first request
    began: list[float] = []

    def playlist(handler: BaseHTTPRequestHandler) -> None:
        began.append(time.monotonic())
        there = [number for number, at in enumerate(made_at) if at <= time.monotonic() - began[0]][-3:]
        lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{there[0]}"]
        for number in there:
            lines += ["#EXT-X-DISCONTINUITY"] * (number == 5) + ["#EXTINF:1.0,", f"{number}.ts"]
        begin_stream(handler, "application/vnd.apple.mpegurl")
        handler.wfile.write("\n".join([*lines, ""]).encode())

    came, events = [], []
    with media_server() as server:
        server.answers["/live.m3u8"] = playlist
        for number, piece in enumerate(pieces):
            server.answers[f"/{number}.ts"] = partial(send_bytes, data=piece)
        for item in live_packets(server.url("/live.m3u8"), timeout=4, policy=ReconnectPolicy(tries=0)):
            if isinstance(item, TimedPacket):
                came.append((item.decode_time, time.monotonic()))
            else:
                events.append(item)
    kinds = [event.kind for event in events if event.kind != "corrupt"]  # another muxer counts from 0 again
    assert kinds == ["rebase", "gap", "eof"]
    fault_at = next(event.time for event in events if event.kind == "gap")
    before = min(at - shown for shown, at in came if shown < fault_at)
    after = min(at - shown for shown, at in came if shown > fault_at)
    assert after == pytest.approx(before, abs=1.5)  # a piece, and half of one between two looks at the playlist


def send_bytes(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    begin_stream(handler, "video/mp2t")
    handler.wfile.write(data)


def arrivals(lag_at: Callable[[float], float], seconds: float) -> Burst:
    """Twenty packets per second of wall clock, with a lag that is a function of time."""
    burst = Burst(silence_ends=False)
    for number in range(round(seconds * 20)):
        burst.add(number / 20, number / 20 - lag_at(number / 20))
    return burst


def test_a_burst_is_over_once_the_lag_has_stopped_to_fall() -> None:
    def falling_for_a_second(at: float) -> float:
        return max(3.0 - 2.0 * at, 1.0)

    assert not arrivals(falling_for_a_second, 2.2).is_over(2.2)
    over = arrivals(falling_for_a_second, 2.6)
    assert over.is_over(2.6) and over.low == pytest.approx(1.0)


@pytest.mark.parametrize("recovery", [1.3, 3.0, 30.0])  # times real time
def test_what_catches_up_behind_a_slow_link_is_a_burst_too(recovery: float) -> None:
    def lag(at: float) -> float:
        return max(min(1.0 + 0.9 * at, 2.8 - (recovery - 1) * (at - 2.0)), 0.0)

    caught_up = 2.0 + 2.8 / (recovery - 1)
    burst = Burst(silence_ends=False)
    for number in range(round(caught_up * 200)):
        burst.add(number / 200, number / 200 - lag(number / 200))
        assert not burst.is_over(number / 200)


def test_media_that_a_server_sends_half_a_second_at_a_time_shows_its_lag() -> None:
    burst = Burst(silence_ends=False)
    for number in range(60):
        burst.add(math.ceil((number + 1) / 10) / 2, number / 20 + 0.01)
    assert burst.is_over(3.0) and burst.low == pytest.approx(0.04)


@pytest.mark.parametrize("in_pieces", [True, False])
def test_a_silence_ends_a_burst_only_if_media_come_in_pieces(in_pieces: bool) -> None:
    burst = Burst(silence_ends=in_pieces)
    for number in range(40):
        burst.add(0.0, number / 20)
    burst.add(0.0, 1.5)  # sound trails the picture in the file
    assert not burst.is_over(0.1)
    assert burst.wake_at(0.1, deadline=4.0) == pytest.approx(1.3 if in_pieces else 4.0)
    assert burst.is_over(1.31) == in_pieces


def test_over_a_link_that_is_too_slow_the_lag_is_never_known() -> None:
    assert not arrivals(lambda at: at / 2, 3.0).is_over(3.0)


def test_nothing_is_over_before_the_first_packet() -> None:
    assert not Burst(silence_ends=True).is_over(100.0)
