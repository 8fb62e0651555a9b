"""What can be read is opened, what cannot is one clear line with the name in it, and nothing waits for ever."""

import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from support.media import make, media_tags, picture, with_legacy_hevc, write_flv

from kuaihl.engines.ingest.live import ReconnectPolicy, live_packets
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import TimedPacket, packets
from kuaihl.engines.ingest.source import Source
from kuaihl.engines.ingest.timeouts import PipeReader, call_with_timeout
from kuaihl.engines.read_ahead import Channel
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import Event
from kuaihl.models.errors import SourceError, SourceUnavailable

if TYPE_CHECKING:
    from av.packet import Packet

pytestmark = pytest.mark.timeout(60)


def refusal(name: str | Path, **options: float) -> str:
    begin = time.monotonic()
    with pytest.raises(SourceError) as caught:
        open_source(str(name), **options)
    line = str(caught.value)
    assert "\n" not in line
    assert Path(str(name)).name in line
    assert time.monotonic() - begin < 15
    return line


def seconds_of(source: Source) -> float:
    with source:
        return list(segments(packets(source)))[-1].end


@pytest.fixture(scope="module")
def flv(made: Path) -> Path:
    return make(made / "source.flv", seconds=8.0)


# Files


def test_a_file_tells_its_streams_and_length(flv: Path) -> None:
    with open_source(str(flv)) as source:
        assert source.video is not None and source.audio is not None
        assert source.duration == pytest.approx(8.0, abs=0.2)
        assert not source.is_live and not source.is_network
        assert source.name == str(flv)
    source.close()  # twice is fine


def test_a_file_url_is_a_file(flv: Path) -> None:
    assert seconds_of(open_source(f"file://{flv}")) == pytest.approx(8.0, abs=0.2)


def test_odd_file_names_are_only_names(flv: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    for name in ("-dash.flv", "concat:a|b.flv", "50% off #1?.flv", "直播.flv", "a:b.flv"):
        Path(name).write_bytes(flv.read_bytes())
        assert seconds_of(open_source(name)) == pytest.approx(8.0, abs=0.2)


def test_what_is_no_media_file_is_refused_with_the_reason(made: Path) -> None:
    assert "no such file" in refusal(made / "missing.flv")
    assert "directory" in refusal(made)
    assert "neither a file nor a pipe" in refusal("/dev/zero")
    (made / "empty.mp4").touch()
    assert "empty" in refusal(made / "empty.mp4")
    (made / "words.mp4").write_text("not a film\n" * 100)
    assert "not media" in refusal(made / "words.mp4")
    (made / "noise.ts").write_bytes(np.random.default_rng(1).bytes(50_000))
    refusal(made / "noise.ts")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(flv: Path, made: Path) -> None:
    secret = made / "secret.flv"
    secret.write_bytes(flv.read_bytes())
    secret.chmod(0)
    assert "permission" in refusal(secret)


def test_pictures_subtitles_and_terminal_art_are_no_videos(made: Path) -> None:
    picture_file = made / "cover.png"
    with av.open(str(picture_file), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 192, 96, "rgb24"
        frame = av.VideoFrame.from_ndarray(picture(5), format="gray").reformat(format="rgb24")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    assert "picture" in refusal(picture_file)
    subtitles = made / "lines.srt"
    subtitles.write_text("1\n00:00:01,000 --> 00:00:02,000\nhello\n\n2\n00:00:03,000 --> 00:00:04,000\nyou\n")
    refusal(subtitles)
    art = made / "art.nfo"
    art.write_text("\x1b[31m### ART ###\n" * 50)
    refusal(art)


def test_a_cover_picture_is_no_video(made: Path) -> None:
    song = made / "song.mp3"
    with av.open(str(song), "w") as container:
        sound = container.add_stream("libmp3lame", rate=44_100, layout="mono")
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 192, 96, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(picture(5), format="gray").reformat(format="rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, 1)
        container.mux([*cover.encode(frame), *cover.encode(None)])
        for index in range(100):
            noise = av.AudioFrame.from_ndarray(np.full((1, 1152), 0.1, np.float32), format="fltp", layout="mono")
            noise.sample_rate, noise.pts, noise.time_base = 44_100, index * 1152, Fraction(1, 44_100)
            container.mux(sound.encode(noise))
        container.mux(sound.encode(None))
    with open_source(str(song)) as source:
        assert source.audio is not None and source.video is None


def test_of_several_streams_the_best_are_taken(shared_media: Path) -> None:
    with open_source(str(shared_media / "nasa_13s_two_streams.mp4")) as source:
        assert source.video is not None and source.audio is not None
        assert (source.video.width, source.audio.sample_rate) == (480, 16_000)


# Pipes

READ_STDIN = (
    "from kuaihl.engines.ingest.opening import open_source; from kuaihl.engines.ingest.packets import packets;"
    "from kuaihl.engines.segmenter.segmenter import segments; source = open_source('-');"
    "print(round(list(segments(packets(source)))[-1].end))"
)


@pytest.mark.parametrize("suffix", ["flv", "ts", "mkv"])
def test_standard_input_is_read_from_a_pipe_and_from_a_file(made: Path, suffix: str) -> None:
    path = make(made / f"stdin.{suffix}", seconds=8.0)
    command = [sys.executable, "-c", READ_STDIN]
    assert subprocess.run(command, input=path.read_bytes(), capture_output=True, timeout=50).stdout == b"8\n"
    with path.open("rb") as file:
        assert subprocess.run(command, stdin=file, capture_output=True, timeout=50).stdout == b"8\n"


def test_a_named_pipe_is_read_as_it_is_written(flv: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "live.flv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(flv.read_bytes()), daemon=True)
    writer.start()
    assert seconds_of(open_source(str(pipe))) == pytest.approx(8.0, abs=0.2)
    writer.join(timeout=5)


def test_a_pipe_that_falls_silent_is_given_up() -> None:
    reading, writing = os.pipe()
    reader = PipeReader(reading, seconds=0.2)
    os.write(writing, b"abc")
    assert reader.read(10) == b"abc"
    with pytest.raises(TimeoutError):
        reader.read(10)
    os.close(writing)
    assert reader.read(10) == b""
    reader.close()


@pytest.mark.parametrize(("written", "said"), [(b"", "no data came"), (b"this is no media\n" * 100, "not media")])
def test_standard_input_without_media_is_one_clear_line(written: bytes, said: str) -> None:
    run = subprocess.run([sys.executable, "-c", READ_STDIN], input=written, capture_output=True, timeout=50)
    assert f"SourceError: -: {said}".encode() in run.stderr.splitlines()[-1]


# The network


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def tcp_server(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """A server that does with each connection what it is told to."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=(connection, over), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        over.set()


def say_nothing(_: socket.socket, over: threading.Event) -> None:
    over.wait(30)


def test_a_file_on_the_web_is_read_to_its_end(flv: Path) -> None:
    with web_server(flv.parent) as web:
        source = open_source(f"{web}/{flv.name}", timeout=5)
        assert source.is_network
        assert seconds_of(source) == pytest.approx(8.0, abs=0.2)
        assert "404" in refusal(f"{web}/missing.flv", timeout=5)


@pytest.mark.parametrize("scheme", ["http", "rtmp"])
def test_a_server_that_says_nothing_is_given_up_in_time(scheme: str) -> None:
    with tcp_server(say_nothing) as port:
        begin = time.monotonic()
        refusal(f"{scheme}://127.0.0.1:{port}/live", timeout=1)
        assert time.monotonic() - begin < 6


@pytest.mark.parametrize("scheme", ["http", "https", "rtmp", "srt"])
def test_a_port_where_nobody_listens_is_one_clear_line(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    line = refusal(f"{scheme}://127.0.0.1:{port}/live", timeout=1)
    assert line.endswith("check the address, and that the stream is on air") and "Input/output" not in line


@pytest.mark.parametrize("scheme", ["http", "rtmp", "srt"])
def test_a_host_that_no_name_server_knows_is_one_clear_line(scheme: str) -> None:
    line = refusal(f"{scheme}://nobody.invalid:1935/live", timeout=1)
    assert line.endswith("check the address, and that the stream is on air") and "Input/output" not in line


def answer_with(status: str) -> Callable[[socket.socket, threading.Event], None]:
    def answer(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        connection.close()

    return answer


@pytest.mark.parametrize("status", ["404 Not Found", "429 Too Many Requests", "503 Service Unavailable"])
def test_a_room_that_is_not_on_air_may_be_asked_again(status: str) -> None:
    with tcp_server(answer_with(status)) as port, pytest.raises(SourceUnavailable):
        open_source(f"http://127.0.0.1:{port}/live.flv", timeout=2)


@pytest.mark.parametrize("scheme", ["http", "rtmp"])
def test_a_server_that_is_silent_or_gone_may_be_asked_again(scheme: str) -> None:
    with tcp_server(say_nothing) as port, pytest.raises(SourceUnavailable):
        open_source(f"{scheme}://127.0.0.1:{port}/live", timeout=1)
    with pytest.raises(SourceUnavailable):
        open_source(f"{scheme}://127.0.0.1:{port}/live", timeout=1)


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "403 Forbidden"])
def test_what_will_not_change_by_waiting_is_a_plain_source_error(status: str, made: Path) -> None:
    for name in ("missing.flv", "ftp://host/a.flv"):
        with pytest.raises(SourceError) as caught:
            open_source(name)
        assert caught.type is SourceError
    with tcp_server(answer_with(status)) as port, pytest.raises(SourceError) as caught:
        open_source(f"http://127.0.0.1:{port}/live.flv", timeout=2)
    assert caught.type is SourceError


def test_a_stream_that_stalls_ends_in_time_and_says_why(flv: Path, made: Path) -> None:
    raw = write_flv(made / "as_if_live.flv", media_tags(flv)).read_bytes()

    def stall(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n\r\n" + raw[: len(raw) * 2 // 3])
        over.wait(30)

    with tcp_server(stall) as port:
        source = open_source(f"http://127.0.0.1:{port}/live.flv", timeout=1)
        assert source.is_live
        begin = time.monotonic()
        with source:
            items = list(packets(source))
        assert time.monotonic() - begin < 6
    assert len(items) > 100
    assert isinstance(items[-1], Event) and items[-1].kind == "eof"
    assert source.failure is not None and source.failure in items[-1].detail


def test_a_stalled_stream_stops_when_it_is_told_to(flv: Path) -> None:
    raw = flv.read_bytes()

    def stall(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n\r\n" + raw)
        over.wait(30)

    stop = threading.Event()
    with tcp_server(stall) as port, open_source(f"http://127.0.0.1:{port}/live.flv", timeout=20) as source:
        threading.Timer(0.5, stop.set).start()
        begin = time.monotonic()
        items = list(packets(source, stop=stop))
    assert time.monotonic() - begin < 5
    assert isinstance(items[-1], Event) and items[-1].detail == "stopped"


class Blocked:
    """A source's packets that hang once `count` have come, as FFmpeg does now and then, until they are let go."""

    def __init__(self, source: Source, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.here, self.go, self.released = threading.Event(), threading.Event(), threading.Event()
        demuxed, release = source.demuxed, source.release

        def hang() -> "Iterator[Packet[Any] | None]":
            yield from itertools.islice(demuxed(), count)
            self.here.set()
            self.go.wait(30)

        def note() -> None:
            self.released.set()
            release()

        monkeypatch.setattr(source, "demuxed", hang)
        monkeypatch.setattr(source, "release", note)


def test_what_is_read_is_never_closed_under_its_feet(flv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(str(flv))
    blocked = Blocked(source, 10, monkeypatch)
    came: list[object] = []
    reader = threading.Thread(target=lambda: came.extend(source.read()))
    reader.start()
    assert blocked.here.wait(5)
    source.close()
    source.close()
    assert source.closed and not blocked.released.is_set()
    blocked.go.set()
    reader.join(5)
    assert not reader.is_alive() and blocked.released.is_set() and len(came) == 10


def test_a_closed_source_gives_no_more_packets(flv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(str(flv))
    blocked = Blocked(source, 10, monkeypatch)
    items = source.read()
    next(items)
    source.close()
    assert blocked.released.is_set(), "nobody reads at this moment"
    assert list(items) == []


@pytest.mark.parametrize("read", [packets, partial(live_packets, policy=ReconnectPolicy(tries=0))])
def test_a_read_that_hangs_in_ffmpeg_is_given_up_in_time(
    read: Callable[[Source], Iterator[TimedPacket | Event]], flv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_server(flv.parent) as web, open_source(f"{web}/{flv.name}", timeout=0.5) as source:
        assert source.is_network
        blocked = Blocked(source, 20, monkeypatch)
        begin = time.monotonic()
        items = list(read(source))
        assert 2 < time.monotonic() - begin < 5
        assert len(items) == 21
        assert isinstance(items[-1], Event) and "no more data came in time" in items[-1].detail
        assert not blocked.released.is_set()
        blocked.go.set()
    assert blocked.released.wait(5)


@pytest.mark.parametrize("read", [packets, live_packets])
def test_a_packet_from_the_network_crosses_one_queue(
    read: Callable[[Source], Iterator[TimedPacket | Event]], flv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[object] = []
    put = Channel.put

    def note(channel: Channel[object], item: object) -> bool:
        queued.append(item)
        return put(channel, item)

    monkeypatch.setattr(Channel, "put", note)
    with web_server(flv.parent) as web, open_source(f"{web}/{flv.name}", timeout=5) as source:
        items = list(read(source))
    assert 100 < len(queued) <= len(items)


def test_a_playlist_from_the_network_reads_no_local_file(flv: Path, made: Path) -> None:
    local = make(made / "local.ts", seconds=4.0)
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:4", "#EXTINF:4,", f"file://{local}", "#EXT-X-ENDLIST", ""]
    (made / "evil.m3u8").write_text("\n".join(lines))
    (made / "good.m3u8").write_text("\n".join(lines).replace(f"file://{local}", "local.ts"))
    with web_server(made) as web:
        assert seconds_of(open_source(f"{web}/good.m3u8", timeout=5)) == pytest.approx(4.0, abs=0.2)
        refusal(f"{web}/evil.m3u8", timeout=5)


def test_hevc_under_the_old_codec_id_comes_over_the_network_too(made: Path) -> None:
    hevc = make(made / "hevc_source.flv", seconds=4.0, video="libx265")
    path = write_flv(made / "legacy_source.flv", map(with_legacy_hevc, media_tags(hevc)))
    with web_server(made) as web:
        source = open_source(f"{web}/{path.name}", timeout=5)
        assert source.video is not None
        assert seconds_of(source) == pytest.approx(4.0, abs=0.2)


def test_schemes_that_are_not_spoken_are_refused_at_once() -> None:
    for name in ("ftp://host/a.flv", "gopher://host/x", "subfile://a.flv", "RTSP://cam/1"):
        assert "not supported" in refusal(name)


def test_a_call_that_hangs_is_left_behind() -> None:
    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        call_with_timeout(lambda: time.sleep(30), 0.2)
    assert time.monotonic() - begin < 2
    assert call_with_timeout(lambda: 7, 1) == 7
    with pytest.raises(ZeroDivisionError):
        call_with_timeout(lambda: 1 // 0, 1)
