"""A source counts as read to its end only if its container or its protocol vouches for that end."""

import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from support.http_media import MediaServer, media_server
from support.rtmp_server import find_ffmpeg, make_broadcast

from kuaihl.engines.ingest.live import ReconnectPolicy, live_packets
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets

FORMS = ("mp4", "mkv", "flv", "ts")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Twelve seconds in every container."""
    folder = tmp_path_factory.mktemp("media")
    made = make_broadcast(folder / "made.flv", seconds=12.0)
    for form in FORMS:
        more = ["-movflags", "+faststart"] if form == "mp4" else []
        command = [find_ffmpeg(), "-nostdin", "-loglevel", "error", "-i", str(made), "-c", "copy", *more]
        subprocess.run([*command, str(folder / f"m.{form}")], check=True)
    return {form: folder / f"m.{form}" for form in FORMS}


@pytest.fixture
def server() -> Iterator[MediaServer]:
    with media_server() as running:
        yield running


def shortfall(name: str) -> str | None:
    with open_source(name, timeout=3.0) as source:
        for _ in live_packets(source) if source.is_network else packets(source):
            pass
        return source.shortfall


@pytest.mark.parametrize("form", FORMS)
def test_a_whole_file_falls_short_of_nothing(media: dict[str, Path], server: MediaServer, form: str) -> None:
    assert shortfall(str(media[form])) is None
    assert shortfall(server.file("/whole", media[form])) is None


@pytest.mark.parametrize("form", ["mp4", "mkv", "flv"])
def test_a_file_that_is_cut_off_falls_short_of_its_header(media: dict[str, Path], tmp_path: Path, form: str) -> None:
    data = media[form].read_bytes()
    (tmp_path / f"half.{form}").write_bytes(data[: len(data) // 2])
    assert "cut off or damaged" in (shortfall(str(tmp_path / f"half.{form}")) or "")


@pytest.mark.parametrize("form", FORMS)
def test_a_download_that_breaks_off_falls_short_of_its_length(
    media: dict[str, Path], server: MediaServer, form: str
) -> None:
    data = media[form].read_bytes()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        first = int((handler.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        handler.send_response(206 if "Range" in handler.headers else 200)
        handler.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Length", str(len(data) - first))
        handler.end_headers()
        handler.wfile.write(data[first : len(data) // 2])
        handler.close_connection = True

    server.answers["/half"] = answer
    assert "reading failed: the connection was lost" in (shortfall(server.url("/half")) or "")


def test_a_live_stream_that_does_not_come_back_says_so(media: dict[str, Path], server: MediaServer) -> None:
    data = media["flv"].read_bytes()
    url = server.live("/live", data[: len(data) // 2])
    source = open_source(url, timeout=2.0)
    source.is_live = True
    for _ in live_packets(source, policy=ReconnectPolicy(tries=1, patience=2.0)):
        server.answers.pop("/live", None)
    assert "not back within" in (source.shortfall or "")


@pytest.mark.parametrize(("form", "said"), [("mkv", True), ("ts", False)])
def test_a_pipe_vouches_for_its_end_only_through_its_container(
    media: dict[str, Path], tmp_path: Path, form: str, said: bool
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(media[form].read_bytes()))
    writer.start()
    found = shortfall(str(pipe))
    writer.join()
    assert found == (None if said else "a pipe does not say whether its writer was done")


def test_a_source_that_was_left_has_not_been_read_to_its_end(media: dict[str, Path]) -> None:
    stop = threading.Event()
    with open_source(str(media["ts"])) as source:
        for _ in packets(source, stop=stop):
            stop.set()
    assert source.shortfall == "stopped"
