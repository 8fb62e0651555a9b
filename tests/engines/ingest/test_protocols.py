"""One recording by every way in (file, redirected file, pipe, named pipe, http, RTMP) gives the same packets."""

import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.flv_parts import part
from support.http_media import media_server
from support.rtmp_server import make_broadcast, rtmp_server

from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.types import Event
from kuaihl.models.errors import SourceError

# Prints what came, or the error's line: what the command would meet on its standard input.
READ_STDIN = """
from kuaihl.engines.types import Event
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.ingest.opening import open_source
from kuaihl.models.errors import SourceError
try:
    with open_source("-", timeout=2) as source:
        items = list(packets(source))
except SourceError as error:
    print("error:", error)
else:
    media = [item for item in items if not isinstance(item, Event)]
    kinds = [item.kind for item in items if isinstance(item, Event)]
    print(len(media), round(max(item.time for item in media), 3) if media else 0, *kinds)
"""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_broadcast(tmp_path_factory.mktemp("recording") / "recording.flv", seconds=8.0)


def summary(name: str) -> str:
    with open_source(name, timeout=3) as source:
        items = list(packets(source))
    media = [item for item in items if not isinstance(item, Event)]
    kinds = [item.kind for item in items if isinstance(item, Event)]
    return " ".join(map(str, [len(media), round(max(item.time for item in media), 3), *kinds]))


def read_stdin(**stdin: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", READ_STDIN]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **stdin)  # type: ignore[call-overload, no-any-return]


def said(process: "subprocess.Popen[str]") -> str:
    try:
        out, err = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0 and "Traceback" not in err, err
    return out.strip()


def test_a_piped_stream_gives_what_the_file_gives(recording: Path) -> None:
    with subprocess.Popen(["cat", recording], stdout=subprocess.PIPE) as cat:
        assert said(read_stdin(stdin=cat.stdout)) == summary(str(recording))


def test_a_redirected_file_gives_what_the_file_gives(recording: Path) -> None:
    with recording.open("rb") as file:
        assert said(read_stdin(stdin=file)) == summary(str(recording))


def test_a_named_pipe_gives_what_the_file_gives(recording: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(recording.read_bytes()))
    writer.start()
    assert summary(str(fifo)) == summary(str(recording))
    writer.join(5)


def test_a_recording_over_http_gives_what_the_file_gives(recording: Path) -> None:
    with media_server() as server:
        assert summary(server.file("/a.flv", recording)) == summary(str(recording))


def test_a_pipe_that_trickles_is_read_as_it_comes(recording: Path) -> None:
    reader, writer = os.pipe()
    process = read_stdin(stdin=reader)
    os.close(reader)
    data = recording.read_bytes()
    with os.fdopen(writer, "wb", buffering=0) as pipe:
        for start in range(0, len(data), 40_000):
            pipe.write(data[start : start + 40_000])
            time.sleep(0.02)
    assert said(process) == summary(str(recording))


def test_a_pipe_that_ends_in_mid_packet_gives_what_came(recording: Path) -> None:
    flv = recording.read_bytes()
    cut = len(part(flv, 0, 4)) + 700
    reader, writer = os.pipe()
    process = read_stdin(stdin=reader)
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(part(flv, 0, 5)[:cut])
    count, last = said(process).split()[:2]
    assert 230 < int(count) < 270 and 3.9 < float(last) < 4.3


@pytest.mark.parametrize("data", [b"", b"hello\n" * 1000, bytes(100_000)], ids=["empty", "text", "zeros"])
def test_a_pipe_without_media_is_one_clear_line(data: bytes) -> None:
    reader, writer = os.pipe()
    process = read_stdin(stdin=reader)
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(data)
    answer = said(process)
    assert answer.startswith("error: -: ") and "\n" not in answer


def test_an_unknown_protocol_is_one_clear_line() -> None:
    for name in ("gopher://127.0.0.1/x", "concat:a|b", "file:///nowhere/x.flv"):
        with pytest.raises(SourceError) as caught:
            open_source(name)
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_rtmp_gives_the_packets_of_the_file_in_real_time(recording: Path, tmp_path: Path) -> None:
    with rtmp_server(tmp_path) as server:
        server.publish(recording, "room")
        time.sleep(0.5)
        began = time.monotonic()
        with open_source(server.url("room"), timeout=3) as source:
            assert source.is_live and source.is_network
            times = []
            for item in packets(source):
                if not isinstance(item, Event) and item.kind == "video":
                    times.append(item.time)
                if times and times[-1] > 5:
                    break
        assert 3 < time.monotonic() - began < 9
        # nginx lets the first picture wait for a keyframe; from there on every frame comes.
        assert times[0] < 0.6
        assert [b - a for a, b in itertools.pairwise(times)] == pytest.approx([0.05] * (len(times) - 1), abs=0.002)
