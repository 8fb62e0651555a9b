"""SRT from a real sender, by the ffmpeg program: a sender that is away, that comes back, and with other streams."""

import time
from pathlib import Path

import pytest
from support.media import make
from support.ports import free_port
from support.srt_sender import find_srt, srt_sender
from support.waiting import wait_until

from kuaihl.engines.ingest import srt_program
from kuaihl.engines.ingest.live import ReconnectPolicy, live_packets
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import TimedPacket
from kuaihl.engines.ingest.source import Source
from kuaihl.engines.types import Event
from kuaihl.models.errors import SourceError, SourceUnavailable

PIDS = {"mpegts_start_pid": "0x200"}

pytestmark = pytest.mark.timeout(60)


def open_when_there(url: str) -> Source:
    def try_it() -> Source | None:
        try:
            return open_source(url, timeout=3)
        except SourceUnavailable:  # it does not listen yet
            return None

    return wait_until(try_it)  # type: ignore[return-value]


@pytest.mark.slow
def test_a_sender_that_comes_back_with_other_streams_is_followed(tmp_path: Path) -> None:
    first = make(tmp_path / "first.ts", seconds=4.0)
    second = make(tmp_path / "second.ts", seconds=4.0, first_number=20, video="libx265", muxer=PIDS)
    port, codecs, events = free_port(), list[str](), list[Event]()
    url = f"srt://127.0.0.1:{port}?connect_timeout=300"
    with srt_sender(first, port) as sender:
        stream = live_packets(open_when_there(url), policy=ReconnectPolicy(tries=20, patience=15.0))
        for item in stream:
            if isinstance(item, TimedPacket) and item.kind == "video":
                codecs.append(item.packet.stream.codec_context.name)
                if item.time > 2.0:
                    break
        sender.kill()
    with srt_sender(second, port):
        for item in stream:
            if isinstance(item, Event):
                events.append(item)
            elif item.kind == "video":
                codecs.append(item.packet.stream.codec_context.name)
                if codecs[-1] == "hevc":
                    break
        stream.close()
    assert (codecs[0], codecs[-1]) == ("h264", "hevc")
    assert {"reconnect", "gap"} <= {event.kind for event in events}


def test_nobody_there_may_be_there_later_and_a_missing_program_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find_srt()
    url = f"srt://127.0.0.1:{free_port()}?connect_timeout=300"
    began = time.monotonic()
    with pytest.raises(SourceUnavailable, match="no connection") as caught:
        open_source(url, timeout=3)
    assert time.monotonic() < began + 10 and "\n" not in str(caught.value)
    monkeypatch.setattr(srt_program.shutil, "which", lambda _: str(tmp_path))
    with pytest.raises(SourceUnavailable, match="cannot be started"):
        open_source(url, timeout=3)
    monkeypatch.setattr(srt_program.shutil, "which", lambda _: None)
    with pytest.raises(SourceError, match="needs the ffmpeg program"):
        open_source(url, timeout=3)
