"""A real SRT sender for tests: the ffmpeg command, which waits for one viewer on a loopback port."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.rtmp_server import find_ffmpeg


def find_srt() -> str:
    """The ffmpeg command; skips a test without one that speaks SRT."""
    ffmpeg = find_ffmpeg()
    protocols = subprocess.run([ffmpeg, "-protocols"], capture_output=True, text=True, check=False).stdout
    if "srt" not in protocols.split():
        pytest.skip("needs an ffmpeg command with SRT")
    return ffmpeg


@contextmanager
def srt_sender(media: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Sends a transport stream in real time, over and over, until the block is left."""
    command = [find_srt(), "-nostdin", "-loglevel", "error", "-re", "-stream_loop", "-1", "-i", media, "-c", "copy"]
    with subprocess.Popen([*command, "-f", "mpegts", f"srt://127.0.0.1:{port}?mode=listener"]) as process:
        try:
            yield process
        finally:
            process.kill()
