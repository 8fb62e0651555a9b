"""A live playlist that its server ends: the stream is over, and nothing is read twice."""

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from support.http_media import MediaServer
from support.rtmp_server import find_ffmpeg, make_broadcast
from support.watched import BRIEF, Watched, no_thread_left

from kuaihl.engines.ingest.live import live_packets
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import TimedPacket


@pytest.fixture(scope="module")
def playlist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pieces of two seconds: no repeat of the last ones is among the first, for a minute is remembered."""
    folder = tmp_path_factory.mktemp("event")
    broadcast = make_broadcast(folder / "event.flv", seconds=160.0)
    path = folder / "pieces" / "live.m3u8"
    path.parent.mkdir()
    command = [find_ffmpeg(), "-loglevel", "error", "-i", broadcast, "-c", "copy", "-f", "hls", "-hls_time", "2"]
    subprocess.run([*command, "-hls_list_size", "0", path], check=True)
    return path


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    with no_thread_left():
        yield


def watch(url: str) -> tuple[Watched, str | None]:
    """What came, and why it is not complete."""
    source, stop = open_source(url, timeout=2), threading.Event()
    assert source.is_live

    def end_it(packet: TimedPacket) -> None:
        if packet.time > 60.0:  # it might begin again for ever
            stop.set()

    return Watched(live_packets(source, policy=BRIEF, stop=stop), end_it), source.shortfall


def seconds_of(seen: Watched) -> float:
    times = seen.decode_times("video")
    return times[-1] - times[0]


def test_a_stream_is_over_and_complete_once_its_playlist_has_ended(http: MediaServer, playlist: Path) -> None:
    seen, shortfall = watch(http.grown("/hls", playlist))
    assert seen.kinds == ["eof"] and "ended the playlist" in seen.event("eof").detail
    assert seconds_of(seen) == pytest.approx(8.0, abs=0.2)  # the last three pieces, and one more
    assert shortfall is None and seen.seconds < 8


def test_so_it_is_behind_a_redirect(http: MediaServer, playlist: Path) -> None:
    target = http.grown("/hls", playlist)

    def redirect(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    http.answers["/room.m3u8"] = redirect
    seen, shortfall = watch(http.url("/room.m3u8"))
    assert seen.kinds == ["eof"] and "ended the playlist" in seen.event("eof").detail
    assert seconds_of(seen) < 9.0 and shortfall is None


def test_a_playlist_that_ends_while_nobody_is_connected_is_not_read_from_its_beginning(
    http: MediaServer, playlist: Path
) -> None:
    url = http.grown("/hls", playlist)
    grown = http.answers["/hls/live.m3u8"]

    def lost(handler: BaseHTTPRequestHandler) -> None:
        if http.requests.count("/hls/live.m3u8") == 4:
            handler.send_error(503)
            return
        grown(handler)

    http.answers["/hls/live.m3u8"] = lost
    seen, shortfall = watch(url)
    assert seen.kinds == ["eof"] and seconds_of(seen) < 9.0
    assert shortfall is not None and shortfall.endswith("the server has ended the playlist meanwhile")
